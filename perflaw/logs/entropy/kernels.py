"""Compiled loops over histories: approximate and Lempel-Ziv entropy, matches within a tolerance.

Counting is exact and near-linear. Functions are compiled on first use, which takes seconds, and
then kept on disk. Nothing here checks its arguments: `perflaw.logs.entropy.arrays` does.
Functions that call each other stay in one file, as numba recompiles by file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, section 6.4)
SYMBOL_MASK = np.uint64(0xFFFFFFFF)
LENGTH, LINK, HEAD = 0, 1, 2  # rows of `states`
TARGET, FOLLOWING = 0, 1  # rows of `edges`

Function = TypeVar("Function", bound=Callable)


def compiled(function: Function) -> Function:
    """Compile a function with numba, on its first call."""
    try:
        return numba.njit(cache=True, nogil=True)(function)  # type: ignore[return-value]
    except RuntimeError:  # no directory can be written to, so it is compiled anew each time
        return numba.njit(nogil=True)(function)  # type: ignore[return-value]


# ---------------------------------------------------------------- hashing


@compiled
def _table_bits(slots: int) -> int:
    """Count the bits of a table with at least so many slots, a power of two."""
    bits = 1
    while 1 << bits < slots:
        bits += 1
    return bits


@compiled
def _pair_key(first: int, symbol: int) -> np.uint64:
    return np.uint64(first) << np.uint64(32) | np.uint64(symbol)


@compiled
def _find_slot(table: np.ndarray, keys: np.ndarray, bits: int, key: np.uint64) -> np.int64:
    """Find where in the hash table the key is, or would be."""
    slot = np.int64(key * SPREAD >> np.uint64(64 - bits))
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = (slot + 1) & ((1 << bits) - 1)
    return slot


# ---------------------------------------------------------------- approximate entropy, r = 0


@compiled
def apen_symbols(items: np.ndarray, starts: np.ndarray, stops: np.ndarray, m: int) -> np.ndarray:
    """Symbolic ApEn of items[start:stop] for each start and stop; nan where it is too short."""
    longest = (stops - starts).max()
    table = np.empty(1 << _table_bits(2 * longest), np.int32)
    keys = np.empty(longest, np.uint64)
    counts = np.empty(longest, np.int64)
    names = np.empty(longest, np.uint64)
    values = np.full(len(starts), np.nan)
    for user in range(len(starts)):
        history = items[starts[user] : stops[user]]
        if len(history) > m:
            values[user] = _apen_of_history(history, m, table, keys, counts, names)
    return values


@compiled
def _apen_of_history(
    history: np.ndarray,
    m: int,
    table: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    names: np.ndarray,
) -> float:
    """Symbolic ApEn of more than m items; the other arrays are scratch space."""
    n = len(history)
    bits = _table_bits(2 * n)
    names[:n] = 0
    for k in range(1, m + 1):
        distinct = _name_templates(history, k, bits, table, keys, counts, names)
        if distinct == n - k + 1:  # and so it is for every longer template
            return math.log((n - m) / (n - m + 1))
    phi = _mean_log_share(counts, distinct, n - m + 1)
    distinct = _name_templates(history, m + 1, bits, table, keys, counts, names)
    return phi - _mean_log_share(counts, distinct, n - m)


@compiled
def _name_templates(
    history: np.ndarray,
    k: int,
    bits: int,
    table: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    names: np.ndarray,
) -> int:
    """Name the templates of length k 0, 1, … in order of appearance, and count each.

    A template is known by the name of its first k − 1 symbols, in `names`, and the last one.
    Returns how many are distinct.
    """
    size = 1 << bits
    shift = np.uint64(64 - bits)
    table[:size] = -1
    distinct = 0
    for i in range(len(history) - k + 1):
        key = _pair_key(names[i], history[i + k - 1])
        slot = np.int64(key * SPREAD >> shift)  # as in `_find_slot`, and faster
        name = table[slot]
        while name >= 0 and keys[name] != key:
            slot = (slot + 1) & (size - 1)
            name = table[slot]
        if name < 0:
            name = distinct
            table[slot] = name
            keys[name] = key
            counts[name] = 0
            distinct += 1
        counts[name] += 1
        names[i] = name
    return distinct


@compiled
def _mean_log_share(counts: np.ndarray, distinct: int, templates: int) -> float:
    """Mean over templates of ln(share of templates that equal it)."""
    total = 0.0
    single = 0
    for name in range(distinct):
        if counts[name] == 1:
            single += 1
        else:
            total += counts[name] * math.log(counts[name] / templates)
    return (total - single * math.log(templates)) / templates


# ---------------------------------------------------------------- approximate entropy, r > 0


@compiled
def apen_numbers(
    items: np.ndarray, starts: np.ndarray, stops: np.ndarray, m: int, r: float
) -> np.ndarray:
    """ApEn with r > 0 of items[start:stop] for each start and stop; nan where too short."""
    values = np.full(len(starts), np.nan)
    for user in range(len(starts)):
        x = items[starts[user] : stops[user]].astype(np.float64)
        templates = len(x) - m + 1
        if templates < 2:
            continue
        order = np.argsort(x[:templates])
        padded = np.append(x, np.nan)  # nan matches nothing
        columns = np.empty((m + 1, templates))
        for k in range(m + 1):
            columns[k] = padded[order + k]
        matches, longer_matches = matches_in_window(columns, r, 0, 1)
        phi = 0.0
        phi_next = 0.0
        for a in range(templates):
            phi += math.log((matches[a] + 1) / templates)
            if order[a] + m < len(x):
                phi_next += math.log((longer_matches[a] + 1) / (templates - 1))
        values[user] = phi / templates - phi_next / (templates - 1)
    return values


@compiled
def matches_in_window(
    columns: np.ndarray, r: float, first: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Match the templates first, first + step, … with all that follow; both count each match.

    columns[k] is the k-th coordinate of the templates, which are sorted by coordinate 0. So the
    candidates for a match follow until that coordinate is too far away. Returns the counts at
    lengths m and m + 1.
    """
    m = columns.shape[0] - 1
    templates = columns.shape[1]
    matches = np.zeros(templates, np.int64)
    longer_matches = np.zeros(templates, np.int64)
    scratch = np.empty(templates, np.int64)
    end = first
    for a in range(first, templates, step):
        end = max(end, a + 1)
        while end < templates and columns[0, end] - columns[0, a] <= r:
            end += 1
        alike = scratch[: end - a - 1]
        alike[:] = 1
        for k in range(1, m):  # without branches, so that the compiler takes several at a time
            column = columns[k, a + 1 : end]
            value = columns[k, a]
            for b in range(len(alike)):
                alike[b] &= np.int64(abs(column[b] - value) <= r)
        count = matches[a + 1 : end]
        for b in range(len(alike)):
            count[b] += alike[b]
        matches[a] += alike.sum()
        column = columns[m, a + 1 : end]
        value = columns[m, a]
        count = longer_matches[a + 1 : end]
        for b in range(len(alike)):
            alike[b] &= np.int64(abs(column[b] - value) <= r)
            count[b] += alike[b]
        longer_matches[a] += alike.sum()
    return matches, longer_matches


# ---------------------------------------------------------------- Lempel and Ziv


# A suffix automaton (Blumer and others 1985) holds all strings of the elements so far, in
#   states, (3, states): length of the longest string, suffix link, first edge;
#   edges, (2, edges): target, and the next edge of the same state (−1 after the last);
#   keys, (edges,): state and symbol of each edge;
#   table, (1 << bits,): edges by the hash of their key, −1 where there is none.
# Arrays are passed one by one: in a tuple each access would count references.


@compiled
def lempel_ziv(items: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Lempel-Ziv entropy of items[start:stop] for each start and stop; nan where too short."""
    longest = (stops - starts).max()
    table = np.empty(1 << _table_bits(4 * longest + 4), np.int32)
    keys = np.empty(3 * longest + 4, np.uint64)
    edges = np.empty((2, 3 * longest + 4), np.int32)
    states = np.empty((3, 2 * longest + 2), np.int32)
    values = np.full(len(starts), np.nan)
    for user in range(len(starts)):
        n = stops[user] - starts[user]
        if n >= 2:
            history = items[starts[user] : stops[user]]
            values[user] = n * math.log(n) / _sum_of_matches(history, table, keys, edges, states)
    return values


@compiled
def _sum_of_matches(
    history: np.ndarray,
    table: np.ndarray,
    keys: np.ndarray,
    edges: np.ndarray,
    states: np.ndarray,
) -> int:
    """Sum over i of the length of the shortest string at i that does not occur before i.

    The automaton of the elements before i is walked along the elements from i on for as long
    as it can be: O(n) steps in all, as the next walk starts from this one without its first
    element.
    """
    n = len(history)
    bits = _table_bits(4 * n + 4)
    table[: 1 << bits] = -1
    _set_state(0, 0, -1, states)
    n_states = 1
    n_edges = 0
    total = 0
    matched = 0
    state = 0
    last = 0
    for i in range(n):
        while i + matched < n:
            edge = table[_find_slot(table, keys, bits, _pair_key(state, history[i + matched]))]
            if edge < 0:
                break
            state = edges[TARGET, edge]
            matched += 1
        total += matched + 1

        new = n_states
        n_states += 1
        _set_state(new, states[LENGTH, last] + 1, 0, states)
        source = last
        last = new
        while source >= 0:
            key = _pair_key(source, history[i])
            slot = _find_slot(table, keys, bits, key)
            edge = table[slot]
            if edge >= 0:
                break
            _set_edge(n_edges, slot, key, source, new, table, keys, edges, states)
            n_edges += 1
            source = states[LINK, source]
        if source >= 0:
            reached = edges[TARGET, edge]
            if states[LENGTH, reached] != states[LENGTH, source] + 1:
                clone = n_states
                n_states += 1
                n_edges = _split_state(
                    reached, clone, source, history[i], n_edges, bits, table, keys, edges, states
                )
                reached = clone
            states[LINK, new] = reached

        matched = max(matched - 1, 0)
        while state > 0 and matched <= states[LENGTH, states[LINK, state]]:
            state = states[LINK, state]
    return total


@compiled
def _split_state(
    reached: int,
    clone: int,
    source: int,
    symbol: int,
    n_edges: int,
    bits: int,
    table: np.ndarray,
    keys: np.ndarray,
    edges: np.ndarray,
    states: np.ndarray,
) -> int:
    """Copy a reached state; the symbol leads from the source and its suffixes to the copy.

    Returns the new number of edges.
    """
    _set_state(clone, states[LENGTH, source] + 1, states[LINK, reached], states)
    edge = states[HEAD, reached]
    while edge >= 0:
        key = _pair_key(clone, keys[edge] & SYMBOL_MASK)
        slot = _find_slot(table, keys, bits, key)
        _set_edge(n_edges, slot, key, clone, edges[TARGET, edge], table, keys, edges, states)
        n_edges += 1
        edge = edges[FOLLOWING, edge]
    while source >= 0:
        edge = table[_find_slot(table, keys, bits, _pair_key(source, symbol))]
        if edge < 0 or edges[TARGET, edge] != reached:
            break
        edges[TARGET, edge] = clone
        source = states[LINK, source]
    states[LINK, reached] = clone
    return n_edges


@compiled
def _set_state(state: int, length: int, link: int, states: np.ndarray) -> None:
    states[LENGTH, state] = length
    states[LINK, state] = link
    states[HEAD, state] = -1


@compiled
def _set_edge(
    edge: int,
    slot: np.int64,
    key: np.uint64,
    source: int,
    target: int,
    table: np.ndarray,
    keys: np.ndarray,
    edges: np.ndarray,
    states: np.ndarray,
) -> None:
    table[slot] = edge
    keys[edge] = key
    edges[TARGET, edge] = target
    edges[FOLLOWING, edge] = states[HEAD, source]
    states[HEAD, source] = edge
