"""Entropies of sequences and of interaction logs, in nats, and what they bound."""

from perflaw.front_doors import offer_lazily

_DOORS = {
    "approximate": ["apen", "apen_by_user", "sample_entropy"],
    "compression": ["compression_ratio"],
    "conditional": ["conditional_entropy", "shannon_entropy"],
    "lempel_ziv": ["lempel_ziv_entropy"],
    "predictability": ["accuracy_limit"],
}
__all__, __getattr__, __dir__ = offer_lazily(__name__, _DOORS)
