"""Settings that the tests of training share."""

from perflaw.models import configuration

SMALL = {"n_layers": 2, "d_emb": 16, "n_heads": 2, "max_seq_len": 20, "batch_size": 64, "epochs": 3}


def small(backbone):
    return SMALL | {
        "backbone": backbone,
        "n_heads": 1 if backbone in configuration.RECURRENT else 2,
    }
