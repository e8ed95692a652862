"""Matrix product operators: a matrix as the product of three tensors, the outer two small.

The rows of a matrix are numbered by (i, p, k) and its columns by (j, q, l), where i, j, k and l run
over the s of `mpo_side`. Then

    W[ipk, jql] = Σ_ab left[ij, a] · central[a, p, q, b] · right[b, kl]

with bonds a and b of s², which is enough for any matrix. All layers share the central tensor. It
has as many numbers as the matrix, and is kept in its shape: (ap, qb).

References
----------
Liu et al. 2023, arXiv 2303.16753.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from perflaw.models.layers import Weights

AUXILIARY = (".left", ".right")  # endings of the names of the two outer tensors


def build_matrix(left: Tensor, central: Tensor, right: Tensor) -> Tensor:
    """Contract the three tensors of a matrix.

    Parameters
    ----------
    left, right : Tensor
        (…, s², s²); the bond is the last axis of `left` and the one before in `right`.
    central : Tensor
        (…, rows, columns), of as many axes. Axes before these are those of `left`, or 1.

    Returns
    -------
    Tensor
        (…, rows, columns).
    """
    bond = left.shape[-1]
    side = math.isqrt(bond)
    matrix = torch.einsum(
        "...ija,...apqb,...bkl->...ipkjql",
        left.unflatten(-2, (side, side)),
        central.unflatten(-1, (-1, bond)).unflatten(-3, (bond, -1)),
        right.unflatten(-1, (side, side)),
    )
    return matrix.flatten(-6, -4).flatten(-3)


def build_matrices(weights: Weights) -> Weights:
    """Return the weights with plain matrices, one a layer, in the place of their tensors."""
    matrices = {name: weight for name, weight in weights.items() if not name.endswith(AUXILIARY)}
    for name, central in matrices.items():
        if name + ".left" in weights:
            left, right = weights[name + ".left"], weights[name + ".right"]
            matrices[name] = build_matrix(left, central, right)
    return matrices
