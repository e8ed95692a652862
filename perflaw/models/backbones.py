r"""The backbones: SASRec, a LLaMA-style decoder, HSTU, GRU4Rec and Mamba, as functions of weights and histories.

A model is a dict of tensors (`init_weights`) and one function (`forward`): histories in, one vector of d
numbers a position out. The score of item i there is the inner product of that vector with the
item's embedding, the same that it has as an input. Matrices act from the right, so that the
code reads like the equations (rows of x are positions):

* SASRec (Kang and McAuley 2018), pre-norm: x ← x + A(LN x), x ← x + ReLU(LN(x) W₁ + b₁) W₂ + b₂
* LLaMA-style (the paper's): x ← x + A(RMS x) with rotated queries and keys, x ← x + (SiLU(RMS(x) W_g) ⊙ RMS(x) W_u) W_d
* HSTU (Zhai et al. 2024): U, V, Q, K = SiLU(LN(x) W), x ← x + (LN(SiLU(Q Kᵀ + b) V / L) ⊙ U) W_o
* GRU4Rec (Hidasi et al. 2016), with SASRec's frame: x ← x + GRU(LN x) W_o, x ← x + ReLU(LN(x) W₁ + b₁) W₂ + b₂
* Mamba (Gu and Dao 2023; Mamba4Rec, Liu et al. 2024): U, Z = LN(x) W, U ← SiLU(conv U), x ← x + (SSM(U) ⊙ SiLU(Z)) W_o

Everything here works on one model, and on a stack of S of them at once: all tensors then have a
leading axis of S. Histories lie in a `Layout` of rectangles, so that almost nothing is padding.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from perflaw.errors import InputError

Weights = dict[str, Tensor]
NORM_EPS = 1e-6
TIME_BUCKETS, TIME_BASE = (
    128,
    0.301,
)  # of HSTU's time bias: bucket = ln(seconds) / 0.301, as in its authors' code
RECURRENT = ("gru", "mamba")  # of the backbones: no attention, hence no heads and no need of places
STATES, TAPS = 8, 4  # of Mamba: numbers of state of a channel, places that its convolution sees
SLOWEST, FASTEST = 0.001, 0.1  # of Mamba's channels, the steps that they begin with


@dataclass(frozen=True)
class Architecture:
    """What a model is made of; raises InputError for what cannot be."""

    backbone: str = "sasrec"  # or "llama", "hstu", "gru", "mamba"
    n_layers: int = 2  # N
    d_emb: int = 64  # d
    n_heads: int = 1
    max_seq_len: int = 200  # L, items of a history that are looked at
    dropout: float = 0.1  # of embeddings and of what each sublayer adds
    shared_layers: bool = False  # one block's weights in all N layers
    time_bias: bool = False  # HSTU only, and time-aware: it is told when the target happens

    def __post_init__(self):
        for name, field in self.__dataclass_fields__.items():
            object.__setattr__(self, name, _of_kind(name, getattr(self, name), field.type))
        if self.backbone not in BACKBONES:
            raise InputError(
                f"there is no backbone {self.backbone!r}; use one of {', '.join(BACKBONES)}"
            )
        for name, least in (("n_layers", 1), ("d_emb", 2), ("n_heads", 1), ("max_seq_len", 1)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name} = {getattr(self, name)} is not usable; use a whole number, {least} or more"
                )
        if self.backbone in RECURRENT and self.n_heads != 1:
            raise InputError(f"n_heads is of attention; {self.backbone} has none; use 1")
        if self.d_emb % self.n_heads:
            raise InputError(
                f"n_heads = {self.n_heads} does not divide d_emb = {self.d_emb}; use a number that does, such as 1"
            )
        if not 0 <= self.dropout <= 0.99:
            raise InputError(
                f"dropout = {self.dropout!r} is not usable; use a share from 0 to 0.99"
            )
        if self.time_bias and self.backbone != "hstu":
            raise InputError(f"time_bias is a part of hstu; {self.backbone} has none")


def _of_kind(name, value, kind):
    """The value as the plain Python type that the setting has, so that equal configurations are the same; or InputError."""
    if (kind == "float | None" and value is None) or (kind == "int | None" and value is None):
        return None
    kind = kind.removesuffix(" | None")
    if (kind == "bool" and isinstance(value, bool)) or (kind == "str" and isinstance(value, str)):
        return value
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if kind == "float" and number:
        return float(value)
    if (
        kind == "int"
        and number
        and math.isfinite(value)
        and value == int(value)
        and abs(value) < 1 << 63
    ):
        return int(value)
    wanted = {
        "bool": "true or false",
        "str": "a name",
        "float": "a number",
        "int": "a whole number",
    }[kind]
    raise InputError(f"{name} = {value!r} is not usable; use {wanted}")


class Layout(NamedTuple):
    """Where the T positions of a batch are: rectangles of (rows, width), one history a row, padded at its end.

    A position sees those before it in its row, hence never the padding.
    """

    shapes: tuple[tuple[int, int], ...]
    place: Tensor  # (T,) int64, place in its row, from 0
    row: Tensor  # (T,) int64, row in the batch
    order: Tensor  # (T,) int64, the positions place after place, the rows of each in order of width, the widest first

    @classmethod
    def of(cls, shapes, device="cpu") -> Layout:
        widths = torch.tensor([width for rows, width in shapes for _ in range(rows)])
        starts = widths.cumsum(0) - widths
        row = torch.repeat_interleave(torch.arange(len(widths)), widths)
        widest, each = (-widths).argsort(stable=True), torch.arange(int(widths.max()))[:, None]
        order = (starts[widest] + each)[each < widths[widest]]
        return cls(
            tuple(shapes),
            (torch.arange(len(row)) - starts[row]).to(device),
            row.to(device),
            order.to(device),
        )

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.shapes)

    @property
    def counts(self) -> list[int]:
        """How many rows have each place; in `order` they are the first of those that have the place before."""
        return [
            sum(rows for rows, width in self.shapes if width > place)
            for place in range(max(width for _, width in self.shapes))
        ]


class LayerContext(NamedTuple):
    """What the blocks of one forward pass share."""

    model: Architecture
    layout: Layout
    drop: Callable[[Tensor], Tensor]
    times: (
        tuple[Tensor, Tensor] | None
    )  # each (…, T), seconds: of each position, and of the interaction after it
    last: Tensor | None = (
        None  # (rows,) places, in the last layer: all that is asked for (of one model, no stack)
    )

    def at(self, x: Tensor) -> Tensor:
        """The positions of x (…, T, k) that are asked for: all, or (rows, k)."""
        return (
            x if self.last is None else x[torch.nonzero(self.layout.place == 0)[:, 0] + self.last]
        )


# ---------------------------------------------------------------- the blocks


def sasrec(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    y = layer_norm(x, w["norm_1"])
    mixed = attend(c.at(y) @ w["query"], y @ w["key"], y @ w["value"], c)
    x = c.at(x) + c.drop(mixed @ w["output"])
    y = layer_norm(x, w["norm_2"])
    inner = torch.relu(y @ w["up"] + w["up_bias"][..., None, :])
    return x + c.drop(inner @ w["down"] + w["down_bias"][..., None, :])


def llama(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    y = rms_norm(x, w["norm_1"])
    q, k = rotate(y @ w["query"], c), rotate(y @ w["key"], c)
    mixed = attend(c.at(q), k, y @ w["value"], c)
    x = c.at(x) + c.drop(mixed @ w["output"])
    y = rms_norm(x, w["norm_2"])
    return x + c.drop((F.silu(y @ w["gate"]) * (y @ w["up"])) @ w["down"])


def hstu(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    y = layer_norm(x, w["norm_1"])
    u, v, q, k = F.silu(y @ w["uvqk"]).chunk(4, dim=-1)
    mixed = attend(c.at(q), k, v, c, pointwise_mix(w, c))
    gated = layer_norm(mixed, w["norm_2"]) * c.at(u)
    return c.at(x) + c.drop(gated) @ w["output"]


def gru(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    y = layer_norm(x, w["norm_1"])
    x = c.at(x) + c.drop(c.at(gated(y, w, c)) @ w["output"])
    y = layer_norm(x, w["norm_2"])
    inner = torch.relu(y @ w["up"] + w["up_bias"][..., None, :])
    return x + c.drop(inner @ w["down"] + w["down_bias"][..., None, :])


def mamba(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    y = layer_norm(x, w["norm_1"])
    u, z = (y @ w["inward"]).chunk(2, dim=-1)
    u = F.silu(convolve(u, w["conv"], c) + w["conv_bias"][..., None, :])
    delta = F.softplus(u @ w["delta"] + w["delta_bias"][..., None, :])
    read = (
        selective(u, delta, u @ w["B"], u @ w["C"], -w["log_A"].exp(), c) + w["D"][..., None, :] * u
    )
    return c.at(x) + c.drop((c.at(read) * F.silu(c.at(z))) @ w["output"])


BACKBONES = {"sasrec": sasrec, "llama": llama, "hstu": hstu, "gru": gru, "mamba": mamba}


# ---------------------------------------------------------------- their parts


def layer_norm(x: Tensor, w: Tensor) -> Tensor:
    """W is (…, 2, d): gain and bias."""
    gain, bias = w.unbind(-2)
    if w.dim() == 2:
        return F.layer_norm(x, x.shape[-1:], gain, bias, NORM_EPS)
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) * gain[..., None, :] + bias[..., None, :]


def rms_norm(x: Tensor, w: Tensor) -> Tensor:
    """W is (…, d): gain."""
    if w.dim() == 1:
        return F.rms_norm(x, x.shape[-1:], w, NORM_EPS)
    return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS) * w[..., None, :]


def rotate(x: Tensor, c: LayerContext) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of each head, its halves paired; of an odd width the last number stays."""
    width = c.model.d_emb // c.model.n_heads
    half = width // 2
    turn = 10_000.0 ** (-torch.arange(half, device=x.device) / max(half, 1))
    angle = c.layout.place[:, None, None] * turn
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b, rest = x.unflatten(-1, (-1, width)).split((half, half, width - 2 * half), dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1).flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, c: LayerContext, mix=None) -> Tensor:
    """Causal attention within each row. q is (…, T, d) or, where c.last is set, (rows, d); so is what comes back."""
    mix, mixed = mix or softmax_mix, []
    tokens = [rows * width for rows, width in c.layout.shapes]
    asked = tokens if c.last is None else [rows for rows, _ in c.layout.shapes]
    lasts = [None] * len(tokens) if c.last is None else c.last.split(asked)
    times = zip(*(t.split(tokens, -1) for t in c.times)) if c.times else [None] * len(tokens)
    parts = zip(
        c.layout.shapes, q.split(asked, -2), k.split(tokens, -2), v.split(tokens, -2), lasts, times
    )
    for (rows, width), *qkv, last, clock in parts:

        def by_head(x):  # (…, rows · length, d) → (…, rows, heads, length, d / heads)
            return (
                x.unflatten(-2, (rows, -1)).unflatten(-1, (c.model.n_heads, -1)).transpose(-2, -3)
            )

        place = torch.arange(width, device=q.device)
        distance = (place if last is None else last[:, None])[..., None] - place
        part = mix(*map(by_head, qkv), distance if last is not None else distance[None], clock)
        mixed.append(part.transpose(-2, -3).flatten(-4, -3).flatten(-2))
    return torch.cat(mixed, dim=-2)


def softmax_mix(q, k, v, distance, clock):
    """softmax(q kᵀ / √width) v over what is not ahead.

    q, k, v are (…, rows, heads, length, width); distance (rows or 1, length of q, length of k) is from key to query.
    """
    stack, (q, k, v) = q.shape[:-3], (x.flatten(0, -4) for x in (q, k, v))
    if q.shape[-2] == k.shape[-2]:
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=(distance >= 0)[:, None])
    return mixed.unflatten(0, stack)


def pointwise_mix(w, c):
    """SiLU(q kᵀ + b) v / L over what is not ahead, b by distance and, if the model has it, by time (HSTU, equation 2)."""

    def mix(q, k, v, distance, clock):
        scores = q @ k.transpose(-1, -2) + w["distance_bias"][..., distance.clamp(min=0)].unsqueeze(
            -3
        )
        if c.model.time_bias:
            times, after = (t.unflatten(-1, (-1, k.shape[-2])) for t in clock)
            if c.last is not None:
                after = after.gather(-1, distance[..., 0])  # the distance to place 0 is the place
            gap = (after[..., :, None] - times[..., None, :]).abs().clamp(min=1)
            bucket = (gap.log() / TIME_BASE).long().clamp(max=TIME_BUCKETS - 1)
            bias = w["time_bias"].gather(-1, bucket.flatten(-3)).unflatten(-1, bucket.shape[-3:])
            scores = scores + bias.unsqueeze(-3)
        return (
            F.silu(scores)
            * ((distance >= 0) / c.model.max_seq_len).to(scores.dtype).unsqueeze(-3)
            @ v
        )

    return mix


def convolve(u: Tensor, w: Tensor, c: LayerContext) -> Tensor:
    """Each channel over the last TAPS places of its row: u (…, T, d), w (…, TAPS, d), the last of them for the place itself."""
    mixed = u * w[..., -1, None, :]
    for back in range(1, TAPS):
        before = F.pad(u, (0, 0, back, 0))[..., :-back, :] * (c.layout.place >= back)[:, None]
        mixed = mixed + before * w[..., -1 - back, None, :]
    return mixed


def gated(x: Tensor, w: Weights, c: LayerContext) -> Tensor:
    """The states of a gated recurrent unit along each row: x (…, T, d). (Cho et al. 2014; torch's variant, the reset after the product.)"""

    def advance(h, x):
        (r, z, n), (r_h, z_h, n_h) = (
            x.chunk(3, -1),
            (h @ w["recurrent"] + w["recurrent_bias"][..., None, :]).chunk(3, -1),
        )
        z, n = torch.sigmoid(z + z_h), torch.tanh(n + torch.sigmoid(r + r_h) * n_h)
        h = n + z * (h - n)
        return h, h

    x = x @ w["inward"] + w["inward_bias"][..., None, :]
    return recur(advance, x.new_zeros(*x.shape[:-2], c.layout.rows, c.model.d_emb), c, x)


def selective(
    u: Tensor, delta: Tensor, b: Tensor, read: Tensor, a: Tensor, c: LayerContext
) -> Tensor:
    """C h, where h ← exp(Δ A) ⊙ h + Δ u B along each row: u, Δ (…, T, d); B, C (…, T, S); A (…, d, S), below 0."""
    a = a.unsqueeze(-3)

    def advance(h, step, gain, into, out):
        h = torch.exp(step[..., None] * a) * h + gain[..., None] * into[..., None, :]
        return h, (h @ out[..., None])[..., 0]

    return recur(
        advance,
        u.new_zeros(*u.shape[:-2], c.layout.rows, *a.shape[-2:]),
        c,
        delta,
        delta * u,
        b,
        read,
    )


def recur(advance, state: Tensor, c: LayerContext, *parts: Tensor) -> Tensor:
    """(state, what is told) ← advance(state, parts of a place) from place to place, for all rows that have it; what is told, (…, T, ·).

    state (…, rows, …) is that before the first place; parts are (…, T, ·). What a place needs fits in the cache. (A parallel
    scan of Mamba's recurrence by recursive doubling passes over all of it 2 log₂ L times: four times as slow on a CPU, gradient included.)
    """
    order, counts, axis, told = c.layout.order, c.layout.counts, parts[0].dim() - 2, []
    for rows, *now in zip(
        counts, *(part.index_select(axis, order).split(counts, axis) for part in parts)
    ):
        if rows < state.shape[axis]:
            state = state.narrow(axis, 0, rows)
        state, out = advance(state, *now)
        told.append(out)
    told = torch.cat(told, axis)
    return torch.empty_like(told).index_copy(axis, order, told)


# ---------------------------------------------------------------- the whole


def init_weights(model: Architecture, n_items: int, seed: int = 0, device="cpu") -> Weights:
    """Weights before training, the same on every device.

    Embeddings are normal with deviation 0.02, matrices with that of Glorot and Bengio (2010), those that end
    a sublayer divided by √(2 N), as there are so many to add up; gains are 1 and biases 0. Mamba's A is −1 … −S in each
    channel, its D is 1 and its steps are from SLOWEST to FASTEST, evenly in logarithms, as in its authors' code. A block's
    weights have a leading axis of N, or of 1 where layers share them.
    """
    random = torch.Generator().manual_seed(seed)
    d, weights = model.d_emb, {}
    ends = {"uvqk": d, "inward": d, "recurrent": d, "conv": TAPS}  # of one of several side by side
    for name, shape in weight_shapes(model, n_items).items():
        if name in ("items", "positions"):
            weights[name] = torch.randn(shape, generator=random) * 0.02
        elif name.startswith("norm"):
            weights[name] = torch.ones(shape)
            if model.backbone != "llama":
                weights[name][..., 1, :] = 0
        elif name == "log_A":
            weights[name] = torch.arange(1.0, shape[-1] + 1).log().repeat(*shape[:-1], 1)
        elif name == "D":
            weights[name] = torch.ones(shape)
        elif name == "delta_bias":
            steps = torch.logspace(
                math.log10(SLOWEST), math.log10(FASTEST), shape[-1], dtype=torch.float64
            )
            weights[name] = (
                steps.expm1().log().float().repeat(*shape[:-1], 1)
            )  # the softplus of it is the step
        elif name.endswith("bias"):
            weights[name] = torch.zeros(shape)
        else:
            scale = math.sqrt(2 / (shape[-2] + ends.get(name, shape[-1])))
            if name in ("output", "down"):
                scale /= math.sqrt(2 * model.n_layers)
            weights[name] = torch.randn(shape, generator=random) * scale
    return {name: weight.to(device) for name, weight in weights.items()}


def weight_shapes(model: Architecture, n_items: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model, embeddings first."""
    d, norm = model.d_emb, (model.d_emb,) if model.backbone == "llama" else (2, model.d_emb)
    square, wide = (
        (d, d),
        8 * math.ceil(d / 3),
    )  # of SwiGLU: 8 d / 3, in eights, which matrix products take two times as fast
    block = {
        "sasrec": {
            "query": square,
            "key": square,
            "value": square,
            "output": square,
            "up": square,
            "up_bias": (d,),
            "down": square,
            "down_bias": (d,),
        },
        "llama": {
            "query": square,
            "key": square,
            "value": square,
            "output": square,
            "gate": (d, wide),
            "up": (d, wide),
            "down": (wide, d),
        },
        "hstu": {"uvqk": (d, 4 * d), "output": square, "distance_bias": (model.max_seq_len,)},
        "gru": {
            "inward": (d, 3 * d),
            "inward_bias": (3 * d,),
            "recurrent": (d, 3 * d),
            "recurrent_bias": (3 * d,),
            "output": square,
        }
        | {"up": square, "up_bias": (d,), "down": square, "down_bias": (d,)},
        # d channels, not 2 d, which takes half as long again; the steps by one matrix, not two of low rank, which would save little at such d
        "mamba": {
            "inward": (d, 2 * d),
            "conv": (TAPS, d),
            "conv_bias": (d,),
            "delta": square,
            "delta_bias": (d,),
        }
        | {"B": (d, STATES), "C": (d, STATES), "log_A": (d, STATES), "D": (d,), "output": square},
    }[model.backbone]
    if model.time_bias:
        block["time_bias"] = (TIME_BUCKETS,)
    block |= {"norm_1": norm} | ({} if model.backbone == "mamba" else {"norm_2": norm})
    depth = 1 if model.shared_layers else model.n_layers
    outside = {"items": (n_items, d)} | (
        {} if model.backbone in ("llama", *RECURRENT) else {"positions": (model.max_seq_len, d)}
    )
    return outside | {name: (depth, *shape) for name, shape in block.items()} | {"norm": norm}


def is_decayed(name: str) -> bool:
    """Whether weight decay is for the tensor of that name: for matrices and items; not for norms, biases, positions and Mamba's A and D."""
    return not (
        name.startswith(("norm", "positions")) or name.endswith("bias") or name in ("log_A", "D")
    )


def count_parameters(model: Architecture, n_items: int) -> dict[str, int]:
    """Trainable numbers by group: embedding (items and positions), attention (or what is in its place), feed_forward, norm."""
    groups = {"items": "embedding", "positions": "embedding"}
    groups |= dict.fromkeys(("gate", "up", "up_bias", "down", "down_bias"), "feed_forward")
    groups |= dict.fromkeys(("norm", "norm_1", "norm_2"), "norm")
    counted = dict.fromkeys(("embedding", "attention", "feed_forward", "norm"), 0)
    for name, shape in weight_shapes(model, n_items).items():
        counted[groups.get(name, "attention")] += math.prod(shape)
    return counted


def forward(
    weights: Weights,
    ids: Tensor,
    layout: Layout,
    model: Architecture,
    drop=lambda x: x,
    times=None,
    last=None,
) -> Tensor:
    """What the model knows at each position, (…, T, d); its inner products with weights["items"] are the scores.

    Embeddings go in times √d, and what comes out of the last block is normalised once more.
    ids (…, T) are item codes. times, for a model with time_bias, are seconds (…, T) of each position
    and of the interaction after it. last (rows,) asks for one place of each row only, (rows, d):
    the last layer is then computed for those alone.
    """
    x = gather_rows(weights["items"], ids) * math.sqrt(model.d_emb)
    if "positions" in weights:
        table = weights["positions"]
        x = x + torch.cat(
            [
                table[..., :width, :].repeat(*[1] * (table.dim() - 2), rows, 1)
                for rows, width in layout.shapes
            ],
            -2,
        )
    x = drop(x)
    c = LayerContext(model, layout, drop, times)
    blocks = _blocks(weights, model)
    for block in blocks[:-1]:
        x = BACKBONES[model.backbone](x, block, c)
    x = BACKBONES[model.backbone](x, blocks[-1], c._replace(last=last))
    return (rms_norm if model.backbone == "llama" else layer_norm)(x, weights["norm"])


def gather_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Table (…, V, d) at ids (…, T): (…, T, d)."""
    if table.dim() == 2:
        return F.embedding(ids, table)
    first = torch.arange(len(table), device=ids.device)[:, None] * table.shape[1]
    return F.embedding(ids + first, table.flatten(0, 1))


def scatter_add_rows(table: Tensor, ids: Tensor, rows: Tensor) -> None:
    """Add rows (…, T, d) to table (…, V, d) at ids (…, T), in place."""
    if table.dim() == 3:
        ids = ids + torch.arange(len(table), device=ids.device)[:, None] * table.shape[1]
    table.view(-1, table.shape[-1]).index_add_(0, ids.flatten(), rows.flatten(0, -2))


def _blocks(weights, model):
    """The weights of each layer: N dicts."""
    outside, axis = ("items", "positions", "norm"), weights["items"].dim() - 2
    layers = {name: weight.unbind(axis) for name, weight in weights.items() if name not in outside}
    depth = len(next(iter(layers.values())))
    return [
        {name: layer[i % depth] for name, layer in layers.items()} for i in range(model.n_layers)
    ]
