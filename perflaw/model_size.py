"""Trainable parameters and floating-point operations of a sequential recommender.

Counts follow from the layers N, the embedding dimension d, the backbone and, for operations,
the maximum sequence length L. All functions broadcast over arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Weights of a layer in units of d²: (attention or what replaces it, feed-forward part).
LAYER_WEIGHTS = {
    # query, key, value, output; three matrices of width 8 d / 3 (SwiGLU, rounded up to eights)
    # or two of width 4 d
    "llama": (4, 8),
    # the same attention; two matrices of width d
    "sasrec": (4, 2),
    # query, key, value, gate, output; no feed-forward part
    "hstu": (5, 0),
    # three gates, each of the input and of the state, and output; two matrices of width d
    "gru": (7, 2),
    # two into the block, steps, output; no feed-forward part
    "mamba": (4, 0),
}
# Weights of a layer in units of d: 8 numbers of state written and read, 4 places of a convolution.
LINEAR_WEIGHTS = {"mamba": 20}
# Numbers of state of each channel of a recurrent backbone, which has no attention. Each costs as
# much as an attended position.
STATE_SIZES = {"gru": 0, "mamba": 8}


def parameters_by_group(
    n_layers: ArrayLike, d_emb: ArrayLike, n_items: ArrayLike = 0, backbone: str = "llama"
) -> dict[str, NDArray[np.float64]]:
    """Count the trainable parameters of a decoder with tied item embeddings, by group.

    Each layer has `LAYER_WEIGHTS` times d², `LINEAR_WEIGHTS` times d, and two norms (one in Mamba)
    of one gain a dimension; a last norm follows. Biases, positions and Mamba's numbers by channel
    are left out; `perflaw.models.backbones.count_parameters` counts everything.

    Parameters
    ----------
    n_layers, d_emb, n_items : array_like
        Layers N, embedding dimension d and number of items; they broadcast.
    backbone : str
        A key of `LAYER_WEIGHTS`.

    Returns
    -------
    dict of str to numpy.ndarray
        The groups embedding, attention, feed_forward and norm.

    Examples
    --------
    >>> groups = parameters_by_group(n_layers=2, d_emb=64, n_items=1000)
    >>> {group: int(count) for group, count in groups.items()}
    {'embedding': 64000, 'attention': 32768, 'feed_forward': 65536, 'norm': 320}
    """
    n = np.asarray(n_layers, float)
    d = np.asarray(d_emb, float)
    attention, feed_forward = LAYER_WEIGHTS[backbone]
    norms = 1 if backbone == "mamba" else 2
    return {
        "embedding": np.asarray(n_items, float) * d,
        "attention": attention * n * d**2 + LINEAR_WEIGHTS.get(backbone, 0) * n * d,
        "feed_forward": feed_forward * n * d**2,
        "norm": (norms * n + 1) * d,
    }


def layer_parameters(
    n_layers: ArrayLike, d_emb: ArrayLike, backbone: str = "llama"
) -> NDArray[np.float64]:
    """Count the non-embedding parameters that multiply: attention and feed-forward parts.

    Examples
    --------
    >>> float(layer_parameters(n_layers=2, d_emb=64))
    98304.0
    """
    groups = parameters_by_group(n_layers, d_emb, backbone=backbone)
    return groups["attention"] + groups["feed_forward"]


def flops_per_token(
    n_layers: ArrayLike,
    d_emb: ArrayLike,
    max_seq_len: ArrayLike,
    n_scored: ArrayLike = 1,
    backbone: str = "llama",
) -> NDArray[np.float64]:
    """Count the floating-point operations to train on one token, forward and backward.

    The forward pass takes two operations a weight, 4 d an attended position in each layer (scores
    and mixing) and 2 d a scored item. A causal mask leaves (L + 1) / 2 of L positions on average;
    a recurrent backbone has `STATE_SIZES` in their place. The backward pass costs twice the
    forward pass. Training compute is the result times tokens times epochs.

    Parameters
    ----------
    n_layers, d_emb, max_seq_len : array_like
        Layers N, embedding dimension d, maximum sequence length L; they broadcast.
    n_scored : array_like
        Items that the output layer scores a position.
    backbone : str
        A key of `LAYER_WEIGHTS`.

    Returns
    -------
    numpy.ndarray
        Operations a token.

    Examples
    --------
    >>> float(flops_per_token(n_layers=2, d_emb=64, max_seq_len=100))
    667776.0
    """
    n = np.asarray(n_layers, float)
    d = np.asarray(d_emb, float)
    length = np.asarray(max_seq_len, float)
    is_recurrent = backbone in STATE_SIZES
    positions = np.full_like(length, STATE_SIZES[backbone]) if is_recurrent else (length + 1) / 2
    weights = layer_parameters(n, d, backbone)
    forward = 2 * weights + 4 * n * d * positions + 2 * d * np.asarray(n_scored)
    return 3 * forward
