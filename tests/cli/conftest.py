"""A model that is trained in a second, for every command that trains."""

import pytest


@pytest.fixture(scope="session")
def quick():
    """Return options of `perflaw train` for the smallest of models."""
    settings = {"d_emb": 8, "n_layers": 1, "max_seq_len": 10, "epochs": 1}
    options = [part for pair in settings.items() for part in ("-o", *pair)]
    return [*options, "--threads", 1]
