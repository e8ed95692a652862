"""The parts of backbones: layout of a batch, norms, attention, recurrences, tables.

Everything works on one model and on a stack of S models, whose tensors have a leading axis of S.
In shapes, `…` is that axis or nothing, and T is the number of positions in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from perflaw.models.configuration import Architecture

Weights = dict[str, Tensor]
Times = tuple[Tensor, Tensor]
Mix = Callable[[Tensor, Tensor, Tensor, Tensor, "Times | None"], Tensor]

NORM_EPS = 1e-6
# HSTU's time bias: bucket = ln(seconds) / 0.301, as in its authors' code
TIME_BUCKETS = 128
TIME_BASE = 0.301
STATES = 8  # numbers of state of each channel of Mamba
TAPS = 4  # places that Mamba's convolution sees


class Layout(NamedTuple):
    """Where the T positions of a batch are: rectangles of (rows, width), one history a row.

    Rows are padded at their end. A position sees those before it in its row, never the padding.
    """

    shapes: tuple[tuple[int, int], ...]
    place: Tensor  # (T,) int64, place in its row, from 0
    row: Tensor  # (T,) int64, row in the batch
    order: Tensor  # (T,) int64, positions place after place, at each place the widest rows first

    @classmethod
    def of(cls, shapes: list[tuple[int, int]], device: torch.device | str = "cpu") -> Layout:
        """Return the layout of rectangles with these (rows, width)."""
        widths = torch.tensor([width for rows, width in shapes for _ in range(rows)])
        starts = widths.cumsum(0) - widths
        row = torch.repeat_interleave(torch.arange(len(widths)), widths)
        place = torch.arange(len(row)) - starts[row]
        widest_first = (-widths).argsort(stable=True)
        places = torch.arange(int(widths.max()))[:, None]
        order = (starts[widest_first] + places)[places < widths[widest_first]]
        return cls(tuple(shapes), place.to(device), row.to(device), order.to(device))

    @property
    def rows(self) -> int:
        """Histories in the batch."""
        return sum(rows for rows, _ in self.shapes)

    @property
    def rows_by_place(self) -> list[int]:
        """Number of rows that reach each place; in `order` the widest rows come first."""
        widest = max(width for _, width in self.shapes)
        return [
            sum(rows for rows, width in self.shapes if width > place) for place in range(widest)
        ]


class LayerContext(NamedTuple):
    """What the blocks of one forward pass share."""

    model: Architecture
    layout: Layout
    drop: Callable[[Tensor], Tensor]  # dropout
    times: Times | None  # seconds (…, T) of each position, and of the interaction after it
    last: Tensor | None = None  # (rows,) the one place of each row that is wanted (no stack)

    def select(self, x: Tensor) -> Tensor:
        """Return the wanted positions of x (…, T, k): all or, with `last`, (rows, k)."""
        if self.last is None:
            return x
        return x[torch.nonzero(self.layout.place == 0)[:, 0] + self.last]


# ---------------------------------------------------------------- norms and rotation


def layer_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Layer normalisation; `weight` (…, 2, d) holds gain and bias."""
    gain, bias = weight.unbind(-2)
    if weight.dim() == 2:
        return F.layer_norm(x, x.shape[-1:], gain, bias, NORM_EPS)
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) * gain[..., None, :] + bias[..., None, :]


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Root mean square normalisation; `weight` (…, d) is the gain."""
    if weight.dim() == 1:
        return F.rms_norm(x, x.shape[-1:], weight, NORM_EPS)
    return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS) * weight[..., None, :]


def rotate(x: Tensor, context: LayerContext) -> Tensor:
    """Rotary position embedding of each head (Su et al. 2021), the two halves of its width paired.

    Where the width is odd, its last number stays as it is.
    """
    width = context.model.d_emb // context.model.n_heads
    half = width // 2
    turn = 10_000.0 ** (-torch.arange(half, device=x.device) / max(half, 1))
    angle = context.layout.place[:, None, None] * turn
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b, rest = x.unflatten(-1, (-1, width)).split((half, half, width - 2 * half), dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1).flatten(-2)


# ---------------------------------------------------------------- attention


def attend(q: Tensor, k: Tensor, v: Tensor, context: LayerContext, mix: Mix) -> Tensor:
    """Causal attention within each row.

    Parameters
    ----------
    q : Tensor
        Queries (…, T, d) or, where `context.last` is set, (rows, d).
    k, v : Tensor
        Keys and values (…, T, d).
    mix : function
        Mixes values by queries and keys, such as `softmax_mix`.

    Returns
    -------
    Tensor
        Of the shape of `q`.
    """
    shapes = context.layout.shapes
    n_keys = [rows * width for rows, width in shapes]
    n_queries = n_keys
    lasts: Sequence[Tensor | None] = [None] * len(shapes)
    if context.last is not None:
        n_queries = [rows for rows, _ in shapes]
        lasts = context.last.split(n_queries)
    times: Sequence[Any] = [None] * len(shapes)
    if context.times is not None:
        before, after = context.times
        times = list(zip(before.split(n_keys, -1), after.split(n_keys, -1)))
    rectangles = zip(
        shapes, q.split(n_queries, -2), k.split(n_keys, -2), v.split(n_keys, -2), lasts, times
    )
    mixed = []
    for (rows, width), *projections, last, times_of_rectangle in rectangles:
        q_heads, k_heads, v_heads = (
            _by_head(projection, rows, context.model.n_heads) for projection in projections
        )
        key_places = torch.arange(width, device=q.device)
        query_places = key_places[None] if last is None else last[:, None]
        distance = query_places[..., None] - key_places
        by_head = mix(q_heads, k_heads, v_heads, distance, times_of_rectangle)
        mixed.append(by_head.transpose(-2, -3).flatten(-4, -3).flatten(-2))
    return torch.cat(mixed, dim=-2)


def _by_head(x: Tensor, rows: int, heads: int) -> Tensor:
    """(…, rows · length, d) → (…, rows, heads, length, d / heads)."""
    return x.unflatten(-2, (rows, -1)).unflatten(-1, (heads, -1)).transpose(-2, -3)


def softmax_mix(q: Tensor, k: Tensor, v: Tensor, distance: Tensor, times: Times | None) -> Tensor:
    """softmax(q kᵀ / √width) v over keys that are not ahead.

    q, k and v are (…, rows, heads, length, width); `distance` (rows or 1, length of q, length of
    k) is from key to query.
    """
    stack = q.shape[:-3]
    q, k, v = (x.flatten(0, -4) for x in (q, k, v))
    if q.shape[-2] == k.shape[-2]:
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=(distance >= 0)[:, None])
    return mixed.unflatten(0, stack)


def pointwise_mix(weights: Weights, context: LayerContext) -> Mix:
    """SiLU(q kᵀ + b) v / L over keys that are not ahead; b depends on distance and maybe time.

    References
    ----------
    Zhai et al. 2024, equation 2.
    """

    def mix(q: Tensor, k: Tensor, v: Tensor, distance: Tensor, times: Times | None) -> Tensor:
        scores = q @ k.transpose(-1, -2)
        if "distance_bias" in weights:
            scores = scores + weights["distance_bias"][..., distance.clamp(min=0)].unsqueeze(-3)
        if times is not None:
            scores = scores + _time_bias(weights, times, distance, k.shape[-2], context)
        visible = ((distance >= 0) / context.model.max_seq_len).to(scores.dtype).unsqueeze(-3)
        return F.silu(scores) * visible @ v

    return mix


def biased_softmax_mix(weights: Weights) -> Mix:
    """softmax(q kᵀ / √width + b) v over keys that are not ahead; b depends on distance."""

    def mix(q: Tensor, k: Tensor, v: Tensor, distance: Tensor, times: Times | None) -> Tensor:
        bias = weights["distance_bias"][..., distance.clamp(min=0)].unsqueeze(-3)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
        ahead = (distance < 0).unsqueeze(-3)
        return scores.masked_fill(ahead, -torch.inf).softmax(-1) @ v

    return mix


def _time_bias(
    weights: Weights, times: Times, distance: Tensor, length: int, context: LayerContext
) -> Tensor:
    """(…, rows, 1, length of q, length of k): a weight by the time from key to next item."""
    before, after = (seconds.unflatten(-1, (-1, length)) for seconds in times)
    if context.last is not None:
        after = after.gather(-1, distance[..., 0])  # the distance from place 0 is the place
    gap = (after[..., :, None] - before[..., None, :]).abs().clamp(min=1)
    bucket = (gap.log() / TIME_BASE).long().clamp(max=TIME_BUCKETS - 1)
    bias = weights["time_bias"].gather(-1, bucket.flatten(-3)).unflatten(-1, bucket.shape[-3:])
    return bias.unsqueeze(-3)


# ---------------------------------------------------------------- recurrences


def convolve(u: Tensor, weight: Tensor, context: LayerContext) -> Tensor:
    """Convolve each channel over the last TAPS places of its row.

    u is (…, T, d); weight (…, TAPS, d), the last of them for the place itself.
    """
    mixed = u * weight[..., -1, None, :]
    for back in range(1, TAPS):
        inside = (context.layout.place >= back)[:, None]
        before = F.pad(u, (0, 0, back, 0))[..., :-back, :] * inside
        mixed = mixed + before * weight[..., -1 - back, None, :]
    return mixed


def gated_recurrence(x: Tensor, weights: Weights, context: LayerContext) -> Tensor:
    """Return the states of a gated recurrent unit along each row, (…, T, d).

    References
    ----------
    Cho et al. 2014, in torch's variant: the reset gate comes after the product.
    """
    recurrent, bias = weights["recurrent"], weights["recurrent_bias"][..., None, :]

    def advance(state: Tensor, inward: Tensor) -> tuple[Tensor, Tensor]:
        r, z, n = inward.chunk(3, -1)
        r_state, z_state, n_state = (state @ recurrent + bias).chunk(3, -1)
        z = torch.sigmoid(z + z_state)
        n = torch.tanh(n + torch.sigmoid(r + r_state) * n_state)
        state = n + z * (state - n)
        return state, state

    inward = x @ weights["inward"] + weights["inward_bias"][..., None, :]
    start = inward.new_zeros(*inward.shape[:-2], context.layout.rows, context.model.d_emb)
    return recur(advance, start, context, inward)


def selective_scan(
    u: Tensor, delta: Tensor, b: Tensor, c: Tensor, a: Tensor, context: LayerContext
) -> Tensor:
    """C h, where h ← exp(Δ A) ⊙ h + Δ u B along each row.

    u and Δ are (…, T, d); B and C (…, T, S); A (…, d, S), below 0.
    """
    a = a.unsqueeze(-3)

    def advance(
        state: Tensor, step: Tensor, gain: Tensor, into: Tensor, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        state = torch.exp(step[..., None] * a) * state + gain[..., None] * into[..., None, :]
        return state, (state @ out[..., None])[..., 0]

    start = u.new_zeros(*u.shape[:-2], context.layout.rows, *a.shape[-2:])
    return recur(advance, start, context, delta, delta * u, b, c)


def recur(
    advance: Callable[..., tuple[Tensor, Tensor]],
    state: Tensor,
    context: LayerContext,
    *parts: Tensor,
) -> Tensor:
    """Iterate (state, output) ← advance(state, parts of a place) over places, all rows at once.

    What a place needs fits in the cache. (A parallel scan of Mamba's recurrence by recursive
    doubling passes over all of it 2 log₂ L times: four times as slow on a CPU, gradient
    included.)

    Parameters
    ----------
    state : Tensor
        (…, rows, …), before the first place.
    parts : Tensor
        Each (…, T, k).

    Returns
    -------
    Tensor
        The outputs, (…, T, k).
    """
    order, axis = context.layout.order, parts[0].dim() - 2
    rows_by_place = context.layout.rows_by_place
    by_place = (part.index_select(axis, order).split(rows_by_place, axis) for part in parts)
    outputs = []
    for rows, *inputs in zip(rows_by_place, *by_place):
        if rows < state.shape[axis]:  # the rest of the rows have ended
            state = state.narrow(axis, 0, rows)
        state, output = advance(state, *inputs)
        outputs.append(output)
    joined = torch.cat(outputs, axis)
    return torch.empty_like(joined).index_copy(axis, order, joined)


# ---------------------------------------------------------------- tables


def gather_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of a table (…, V, d) at ids (…, T): (…, T, d)."""
    if table.dim() == 2:
        return F.embedding(ids, table)
    return F.embedding(_rows_in_stack(table, ids), table.flatten(0, 1))


def scatter_add_rows(table: Tensor, ids: Tensor, rows: Tensor) -> None:
    """Add rows (…, T, d) to a table (…, V, d) at ids (…, T), in place."""
    if table.dim() == 3:
        ids = _rows_in_stack(table, ids)
    table.view(-1, table.shape[-1]).index_add_(0, ids.flatten(), rows.flatten(0, -2))


def _rows_in_stack(tables: Tensor, ids: Tensor) -> Tensor:
    """Turn ids (S, T) into rows of S tables (S, V, d) laid one after another."""
    first_rows = torch.arange(len(tables), device=ids.device)[:, None] * tables.shape[1]
    return ids + first_rows
