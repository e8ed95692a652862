"""The interaction log: read, describe, split, change and measure it."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "datasets": ["load_log"],
    "interaction_log": ["InteractionLog", "from_histories", "read_log", "write_log"],
    "splits": ["Split", "global_time", "leave_one_out"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
