r"""The backbones as functions of weights and histories: SASRec, LLaMA-style, HSTU, GRU4Rec, Mamba.

A model is a dict of tensors (`init_weights`) and one function (`forward`): histories in, one vector
of d numbers a position out. The score of item i there is the inner product of that vector with the
item's embedding, the same that it has as an input. Matrices act from the right, so that the code
reads like the equations (rows of x are positions):

* SASRec (Kang and McAuley 2018), pre-norm:
  x ← x + A(LN x), x ← x + ReLU(LN(x) W₁ + b₁) W₂ + b₂
* LLaMA-style (the paper's): x ← x + A(RMS x) with rotated queries and keys,
  x ← x + (SiLU(RMS(x) W_g) ⊙ RMS(x) W_u) W_d
* HSTU (Zhai et al. 2024): U, V, Q, K = SiLU(LN(x) W),
  x ← x + (LN(SiLU(Q Kᵀ + b) V / L) ⊙ U) W_o
* GRU4Rec (Hidasi et al. 2016), with SASRec's frame:
  x ← x + GRU(LN x) W_o, x ← x + ReLU(LN(x) W₁ + b₁) W₂ + b₂
* Mamba (Gu and Dao 2023; Mamba4Rec, Liu et al. 2024): U, Z = LN(x) W, U ← SiLU(conv U),
  x ← x + (SSM(U) ⊙ SiLU(Z)) W_o
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from perflaw.models.configuration import RECURRENT, Architecture
from perflaw.models.layers import (
    STATES,
    TAPS,
    TIME_BUCKETS,
    LayerContext,
    Layout,
    Times,
    Weights,
    attend,
    biased_softmax_mix,
    convolve,
    gated_recurrence,
    gather_rows,
    layer_norm,
    pointwise_mix,
    rms_norm,
    rotate,
    selective_scan,
    softmax_mix,
)
from perflaw.models.matrix_products import AUXILIARY, build_matrices

SLOWEST, FASTEST = 0.001, 0.1  # steps with which Mamba's channels begin
EMBEDDING_SD = 0.02  # before training
OUTSIDE_BLOCKS = ("items", "positions", "norm")  # tensors that no layer owns
# groups of `count_parameters`; the other tensors are attention, or what is in its place
GROUPS = {
    "items": "embedding",
    "positions": "embedding",
    "gate": "feed_forward",
    "up": "feed_forward",
    "up_bias": "feed_forward",
    "down": "feed_forward",
    "down_bias": "feed_forward",
    "norm": "norm",
    "norm_1": "norm",
    "norm_2": "norm",
    "norm_3": "norm",
}

Shapes = dict[str, tuple[int, ...]]


def sasrec(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """One block of SASRec."""
    y = layer_norm(x, weights["norm_1"])
    q = context.select(y) @ weights["query"]
    mixed = attend(q, y @ weights["key"], y @ weights["value"], context, softmax_mix)
    x = context.select(x) + context.drop(mixed @ weights["output"])
    return _relu_network(x, weights, context)


def llama(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """One block of the LLaMA-style decoder."""
    y = rms_norm(x, weights["norm_1"])
    q, k = rotate(y @ weights["query"], context), rotate(y @ weights["key"], context)
    mixed = attend(context.select(q), k, y @ weights["value"], context, softmax_mix)
    x = context.select(x) + context.drop(mixed @ weights["output"])
    y = rms_norm(x, weights["norm_2"])
    gated = F.silu(y @ weights["gate"]) * (y @ weights["up"])
    return x + context.drop(gated @ weights["down"])


def hstu(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """One block of HSTU, with the change `hstu_change` for its ablation."""
    change = context.model.hstu_change
    y = layer_norm(x, weights["norm_1"])
    *gate, v, q, k = F.silu(y @ weights["uvqk"]).split(context.model.d_emb, dim=-1)
    if change == "softmax attention":
        mix = biased_softmax_mix(weights)
    else:
        mix = pointwise_mix(weights, context)
    mixed = layer_norm(attend(context.select(q), k, v, context, mix), weights["norm_2"])
    if gate:
        mixed = mixed * context.select(gate[0])
    x = context.select(x) + context.drop(mixed) @ weights["output"]
    return _relu_network(x, weights, context) if change == "feed-forward for gate" else x


def gru(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """One block of GRU4Rec."""
    y = layer_norm(x, weights["norm_1"])
    states = context.select(gated_recurrence(y, weights, context))
    x = context.select(x) + context.drop(states @ weights["output"])
    return _relu_network(x, weights, context)


def mamba(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """One block of Mamba."""
    y = layer_norm(x, weights["norm_1"])
    u, z = (y @ weights["inward"]).chunk(2, dim=-1)
    u = F.silu(convolve(u, weights["conv"], context) + weights["conv_bias"][..., None, :])
    delta = F.softplus(u @ weights["delta"] + weights["delta_bias"][..., None, :])
    a, b, c = -weights["log_A"].exp(), u @ weights["B"], u @ weights["C"]
    scanned = selective_scan(u, delta, b, c, a, context) + weights["D"][..., None, :] * u
    gated = context.select(scanned) * F.silu(context.select(z))
    return context.select(x) + context.drop(gated @ weights["output"])


def _relu_network(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """Return x + ReLU(LN(x) W₁ + b₁) W₂ + b₂."""
    y = layer_norm(x, weights["norm_3"] if "norm_3" in weights else weights["norm_2"])
    inner = torch.relu(y @ weights["up"] + weights["up_bias"][..., None, :])
    return x + context.drop(inner @ weights["down"] + weights["down_bias"][..., None, :])


BACKBONES: dict[str, Callable[[Tensor, Weights, LayerContext], Tensor]] = {
    "sasrec": sasrec,
    "llama": llama,
    "hstu": hstu,
    "gru": gru,
    "mamba": mamba,
}


def forward(
    weights: Weights,
    ids: Tensor,
    layout: Layout,
    model: Architecture,
    drop: Callable[[Tensor], Tensor] = lambda x: x,
    times: Times | None = None,
    last: Tensor | None = None,
) -> Tensor:
    """Return the vector of each position; its products with `weights["items"]` are scores.

    Embeddings go in times √d, and what comes out of the last block is normalised once more.

    Parameters
    ----------
    weights : dict of Tensor
        As `init_weights` makes them, or stacked.
    ids : Tensor
        (…, T) item codes.
    layout : Layout
        Where the T positions are.
    model : Architecture
        What the weights are of.
    drop : function
        Dropout; none by default.
    times : pair of Tensor, optional
        For a model with `time_bias`: seconds (…, T) of each position, and of the next
        interaction.
    last : Tensor, optional
        (rows,) the one place wanted of each row: the last layer is computed for those alone.

    Returns
    -------
    Tensor
        (…, T, d) or, with `last`, (rows, d).
    """
    x = gather_rows(weights["items"], ids) * math.sqrt(model.d_emb)
    if "positions" in weights:
        x = x + _embed_places(weights["positions"], layout)
    x = drop(x)
    block = BACKBONES[model.backbone]
    context = LayerContext(model, layout, drop, times)
    layers = _by_layer(weights, model)
    for layer in layers[:-1]:
        x = block(x, layer, context)
    x = block(x, layers[-1], context._replace(last=last))
    norm = rms_norm if model.backbone == "llama" else layer_norm
    return norm(x, weights["norm"])


def _embed_places(table: Tensor, layout: Layout) -> Tensor:
    """(…, T, d) the embedding of each position's place."""
    stack_axes = [1] * (table.dim() - 2)
    rectangles = [
        table[..., :width, :].repeat(*stack_axes, rows, 1) for rows, width in layout.shapes
    ]
    return torch.cat(rectangles, -2)


def _by_layer(weights: Weights, model: Architecture) -> list[Weights]:
    """Return the weights of each of the N layers, matrix product operators as matrices."""
    if model.mpo_side is not None:
        weights = build_matrices(weights)
    layer_axis = weights["items"].dim() - 2
    by_name = {
        name: weight.unbind(layer_axis)
        for name, weight in weights.items()
        if name not in OUTSIDE_BLOCKS
    }
    own_layers = 1 if model.shared_layers else model.n_layers
    return [
        {name: layers[i % own_layers] for name, layers in by_name.items()}
        for i in range(model.n_layers)
    ]


# ---------------------------------------------------------------- weights


def init_weights(
    model: Architecture, n_items: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Weights:
    """Return weights before training, the same on every device.

    Embeddings are normal with standard deviation 0.02, matrices with that of Glorot and Bengio
    (2010), those that end a sublayer divided by √(2 N), as so many are added up; gains are 1 and
    biases 0. The outer tensors of a matrix product operator are orthogonal, so that the matrices
    are distributed like plain ones. Mamba's A is −1 … −S in each channel, its D is 1, and its
    steps are from `SLOWEST` to `FASTEST`, evenly in logarithms, as in its authors' code.

    Returns
    -------
    dict of Tensor
        A block's weights have a leading axis of N, or of 1 where layers share them.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _init_weight(name, shape, model, generator).to(device)
        for name, shape in weight_shapes(model, n_items).items()
    }


def _init_weight(
    name: str, shape: tuple[int, ...], model: Architecture, generator: torch.Generator
) -> Tensor:
    """Return one tensor before training."""
    if name in ("items", "positions"):
        return torch.randn(shape, generator=generator) * EMBEDDING_SD
    if name.startswith("norm"):
        weight = torch.ones(shape)
        if model.backbone != "llama":
            weight[..., 1, :] = 0
        return weight
    if name == "log_A":
        return torch.arange(1.0, shape[-1] + 1).log().repeat(*shape[:-1], 1)
    if name == "D":
        return torch.ones(shape)
    if name == "delta_bias":  # its softplus is the step
        slowest, fastest = math.log10(SLOWEST), math.log10(FASTEST)
        steps = torch.logspace(slowest, fastest, shape[-1], dtype=torch.float64)
        return steps.expm1().log().float().repeat(*shape[:-1], 1)
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.endswith(AUXILIARY):
        # contiguous, as a checkpoint gives it back: moments of another layout would not fit
        return torch.linalg.qr(torch.randn(shape, generator=generator)).Q.contiguous()
    d = model.d_emb
    side_by_side = {"uvqk": d, "inward": d, "recurrent": d, "conv": TAPS}  # the width of each
    scale = math.sqrt(2 / (shape[-2] + side_by_side.get(name, shape[-1])))
    if name in ("output", "down"):
        scale /= math.sqrt(2 * model.n_layers)
    return torch.randn(shape, generator=generator) * scale


def weight_shapes(model: Architecture, n_items: int) -> Shapes:
    """Return the shape of every tensor of a model, embeddings first."""
    d = model.d_emb
    norm = (d,) if model.backbone == "llama" else (2, d)
    block = _block_shapes(model)
    if model.time_bias:
        block["time_bias"] = (TIME_BUCKETS,)
    block["norm_1"] = norm
    if model.backbone != "mamba":
        block["norm_2"] = norm
    if model.hstu_change == "feed-forward for gate":
        block["norm_3"] = norm
    own_layers = 1 if model.shared_layers else model.n_layers
    layers = {name: (own_layers, *shape) for name, shape in block.items()}
    if model.mpo_side is not None:
        layers |= _mpo_shapes(model, model.mpo_side)
    embeddings: Shapes = {"items": (n_items, d)}
    without_places = model.backbone in ("llama", *RECURRENT)
    if not without_places and model.hstu_change != "no positions":
        embeddings["positions"] = (model.max_seq_len, d)
    return embeddings | layers | {"norm": norm}


def _mpo_shapes(model: Architecture, side: int) -> Shapes:
    """Return the shapes of a block's matrices as matrix product operators."""
    matrices = {name: shape for name, shape in _block_shapes(model).items() if len(shape) == 2}
    outer = (model.n_layers, side**2, side**2)
    central: Shapes = {name: (1, *shape) for name, shape in matrices.items()}
    return central | {name + part: outer for name in matrices for part in AUXILIARY}


def _block_shapes(model: Architecture) -> Shapes:
    """Return the shapes of one layer's tensors, without its norms."""
    d = model.d_emb
    square = (d, d)
    projections: Shapes = {"query": square, "key": square, "value": square, "output": square}
    relu_network: Shapes = {"up": square, "up_bias": (d,), "down": square, "down_bias": (d,)}
    if model.backbone == "sasrec":
        return projections | relu_network
    if model.backbone == "llama":
        # SwiGLU: 8 d / 3, rounded up to eights: matrix products are then twice as fast
        wide = 8 * math.ceil(d / 3)
        return projections | {"gate": (d, wide), "up": (d, wide), "down": (wide, d)}
    if model.backbone == "hstu":
        return _hstu_shapes(model, relu_network)
    if model.backbone == "gru":
        gates: Shapes = {
            "inward": (d, 3 * d),
            "inward_bias": (3 * d,),
            "recurrent": (d, 3 * d),
            "recurrent_bias": (3 * d,),
        }
        return gates | {"output": square} | relu_network
    # Mamba with d channels: its authors' 2 d would take half as long again. Steps come from one
    # matrix: two of low rank would save little at such d.
    return {
        "inward": (d, 2 * d),
        "conv": (TAPS, d),
        "conv_bias": (d,),
        "delta": square,
        "delta_bias": (d,),
        "B": (d, STATES),
        "C": (d, STATES),
        "log_A": (d, STATES),
        "D": (d,),
        "output": square,
    }


def _hstu_shapes(model: Architecture, relu_network: Shapes) -> Shapes:
    """Return the shapes of a block of HSTU with the change `hstu_change`."""
    d, change = model.d_emb, model.hstu_change
    projections = 3 if change in ("no gate", "feed-forward for gate") else 4
    shapes: Shapes = {"uvqk": (d, projections * d), "output": (d, d)}
    if change != "no relative bias":
        shapes["distance_bias"] = (model.max_seq_len,)
    return shapes | (relu_network if change == "feed-forward for gate" else {})


def is_decayed(name: str) -> bool:
    """Say whether weight decay applies to the tensor of that name.

    It applies to matrices and items; not to norms, biases, positions, and Mamba's A and D.
    """
    exempt = name.startswith(("norm", "positions")) or name.endswith("bias")
    return not (exempt or name in ("log_A", "D"))


def count_parameters(model: Architecture, n_items: int) -> dict[str, int]:
    """Trainable numbers by group.

    Returns
    -------
    dict of int
        `embedding` (items and positions), `attention` (or what is in its place), `feed_forward`
        and `norm`.

    Examples
    --------
    >>> count_parameters(Architecture(n_layers=1, d_emb=8, max_seq_len=10), n_items=100)
    {'embedding': 880, 'attention': 256, 'feed_forward': 144, 'norm': 48}
    """
    counts = dict.fromkeys(("embedding", "attention", "feed_forward", "norm"), 0)
    for name, shape in weight_shapes(model, n_items).items():
        matrix = name.partition(".")[0]  # of a matrix product operator
        counts[GROUPS.get(matrix, "attention")] += math.prod(shape)
    return counts
