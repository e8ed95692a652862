"""The paper: its published points, what it printed, and its own steps done again."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "published": ["load_surfaces", "printed_fits"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
