"""Approximate entropy and its kin, for sequences and for interaction logs.

All entropies are in nats. A sequence is anything flat: a list, a string (its characters), an
array. A log is any object with `items` (item codes from 0, one history after another, each in
time order), `offsets` (where the histories begin, and the end) and `n_items`.

Counting is exact and near-linear: m-grams are named by hashing within a history and by sorting
packed codes across users. Only these kernels are compiled, on first use (a few seconds, then
kept on disk); no result depends on the number of threads.
"""

from __future__ import annotations

import lzma
import math
import numbers
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, gammaincc, psi

from perflaw.errors import InputError

THREADS = (
    numba.config.NUMBA_NUM_THREADS
)  # of the kernels; the environment variable of that name sets it
BLOCK, BLOCKS = (
    1 << 16,
    256,
)  # keys sorted at a time, at least; blocks at most: more are slower to deal out
RARE = 1 << 12  # counts below this are tallied in an array, the few above it one by one
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, section 6.4)


class ByUser(NamedTuple):
    """A measure of each history, in nats."""

    values: np.ndarray  # (n_users,), nan where the history is too short
    too_short: int  # users
    mean: float  # of the signed values, over users long enough
    mean_absolute: float  # of their absolute values: what the paper calls ApEn


class NistApen(NamedTuple):
    value: float  # nats
    chi2: float  # the test of randomness, for two symbols; otherwise nan
    p: float


def _compiled(function):
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no directory can be written to, so it is compiled anew each time
        return numba.njit(nogil=True)(function)


# ---------------------------------------------------------------- approximate entropy


def apen(sequence: Iterable, m: int = 2, r: float = 0.0) -> float:
    """Approximate entropy Phi^m - Phi^(m+1) (Pincus 1991), signed, in nats.

    Phi^k is the mean over the n - k + 1 templates of length k of ln(share of templates that
    match it), itself among them; templates match if no coordinate differs by more than r, in
    the units of the sequence (0.2 of its standard deviation, say). With r = 0 a match is
    equality and any symbols will do.

    Values that differ by r but for the rounding of binary numbers match: 0.1, 0.2, … 0.8 with
    r = 0.1 have the entropy of 1, 2, … 8 with r = 1, -0.135. Packages that compare the rounded
    differences as they are give another value there (antropy 0.2.3: 0.168). Whole numbers are
    compared exactly, here and there.

    The sum runs over one template fewer for m + 1 than for m, so a short or varied sequence
    comes out below 0, which no entropy can be: see `apen_of_distinct`. Some libraries return
    the absolute value.

    Raises InputError for fewer than m + 1 elements, m < 1, r < 0, missing or infinite values.

    >>> round(apen([1, 1, 1, 3, 1, 2, 2, 3, 1, 2], m=1), 6)
    0.705473
    >>> round(apen("abcdefgh"), 6)
    -0.154151
    """
    m, r = _order(m), _tolerance(r)
    if r == 0:
        codes = _symbols(sequence)
        _long_enough(len(codes), m + 1, f"m = {m}")
        return float(_apen_symbols(codes, np.zeros(1, np.int64), np.array([len(codes)]), m)[0])
    x = _numbers(sequence)
    _long_enough(len(x), m + 1, f"m = {m}")
    near, nearer = _matches(x, m, r, len(x) - m + 1)
    return float(
        np.log((near + 1) / len(near)).mean()
        - np.log((nearer[nearer >= 0] + 1) / (len(x) - m)).mean()
    )


def apen_of_distinct(n, m: int = 2):
    """Symbolic `apen` of n symbols of which none repeats: ln((n - m) / (n - m + 1)), in nats.

    Each template then matches itself alone, so Phi^k = -ln(n - k + 1): a negative number that
    depends on the length and on nothing else. n is a number or an array.
    """
    _refuse_masked(n)
    m, n = _order(m), np.asarray(n)
    if n.dtype.kind not in "iu":
        raise InputError(f"n = {n.tolist()!r} is not usable; give whole numbers")
    _long_enough(n.min(initial=m + 1), m + 1, f"m = {m}")
    return np.log((n - m) / (n - m + 1))[()]


def apen_by_user(log, m: int = 2, r: float = 0.0, last: int | None = None) -> ByUser:
    """`apen` of each history, or of its last `last` items.

    With r = 0 items match if they are the same. With r > 0 the item codes are read as numbers,
    so the value depends on how the items were numbered and changes when they are renumbered:
    it says nothing about the users unless neighbouring codes are similar items.

    Raises InputError if every history is shorter than m + 1.
    """
    m, r = _order(m), _tolerance(r)
    if r == 0:
        return _by_user(log, last, m + 1, f"m = {m}", lambda *part: _apen_symbols(*part, m))
    return _by_user(log, last, m + 1, f"m = {m}", lambda *part: _apen_numbers(*part, m, r))


def nist_apen(sequence: Iterable, m: int) -> NistApen:
    """Approximate entropy of NIST SP 800-22 (section 2.12): equality, and the sequence is a circle.

    It has as many templates of length m + 1 as of length m, so it is never negative; it is
    another statistic than `apen`. chi2 and p test two equally likely symbols.
    """
    m, codes = _order(m), _symbols(sequence)
    n = len(codes)
    _long_enough(n, m + 1, f"m = {m}")
    circle = np.concatenate([codes, codes[:m]])
    value = max(0.0, _plug_in(_spectra(circle, np.array([0, n + m]), int(codes.max()) + 1, m)))
    if codes.max() > 1:
        return NistApen(value, math.nan, math.nan)
    chi2 = 2 * n * (math.log(2) - value)
    return NistApen(value, chi2, float(gammaincc(2.0 ** (m - 1), chi2 / 2)))


def sample_entropy(log_or_sequence, m: int = 2, r: float = 0.0) -> float:
    """Sample entropy -ln(A / B) (Richman and Moorman 2000), in nats.

    B pairs of the first n - m templates of length m match, and A of them still do at length
    m + 1; no template is matched with itself. Matches as in `apen`; in a log templates are
    matched across users, with r = 0. Raises InputError where the ratio is undefined because
    A or B is 0.
    """
    m, r = _order(m), _tolerance(r)
    if r > 0:
        x = _numbers(log_or_sequence)
        _long_enough(len(x), m + 2, f"m = {m}")
        b, a = (int(counts.sum()) // 2 for counts in _matches(x, m, r, len(x) - m))
    else:
        items, offsets, n_items = _items(log_or_sequence)
        _long_enough(len(items), m + 2, f"m = {m}")
        counted = _spectra(items, offsets, n_items, m)
        b, a = (int(np.sum(times * counts * (counts - 1))) // 2 for counts, times in counted[1::-1])
    if a == 0:
        raise InputError(
            f"sample entropy is undefined: no two templates of length {m if b == 0 else m + 1} match;"
            " use a smaller m, a larger r or more data"
        )
    return math.log(b / a)


@_compiled
def _apen_symbols(items, starts, stops, m):
    """Symbolic `apen` of items[start:stop] for each start and stop; nan where it is too short.

    Templates are named 0, 1, … in order of appearance: those of length k + 1 by the name of
    their first k symbols and the last one, looked up in a hash table.
    """
    longest = (stops - starts).max()
    size, bits = 2, 1
    while size < 2 * longest:
        size, bits = 2 * size, bits + 1
    table = np.empty(size, np.int32)
    keys, counts, names = (
        np.empty(longest, np.uint64),
        np.empty(longest, np.int64),
        np.empty(longest, np.uint64),
    )
    values = np.empty(len(starts))
    for u in range(len(starts)):
        start, n = starts[u], stops[u] - starts[u]
        values[u] = np.nan
        if n < m + 1:
            continue
        while bits > 1 and size >= 4 * n:
            size, bits = size // 2, bits - 1
        while size < 2 * n:
            size, bits = 2 * size, bits + 1
        names[:n] = 0
        phi = 0.0
        for k in range(1, m + 2):
            templates = n - k + 1
            table[:size] = -1
            distinct = 0
            for i in range(templates):
                key = names[i] << np.uint64(32) | np.uint64(items[start + i + k - 1])
                slot = np.int64(key * SPREAD >> np.uint64(64 - bits))
                name = table[slot]
                while name >= 0 and keys[name] != key:
                    slot = (slot + 1) & (size - 1)
                    name = table[slot]
                if name < 0:
                    name = distinct
                    table[slot], keys[name], counts[name] = name, key, 0
                    distinct += 1
                counts[name] += 1
                names[i] = name
            if distinct == templates and k <= m:  # and so it is for every longer template
                values[u] = math.log((n - m) / (n - m + 1))
                break
            if k >= m:
                total, single = 0.0, 0
                for name in range(distinct):
                    if counts[name] == 1:
                        single += 1
                    else:
                        total += counts[name] * math.log(counts[name] / templates)
                total = (total - single * math.log(templates)) / templates
                if k == m:
                    phi = total
                else:
                    values[u] = phi - total
    return values


@_compiled
def _apen_numbers(items, starts, stops, m, r):
    """`apen` with r > 0 of items[start:stop] for each start and stop; nan where it is too short."""
    values = np.empty(len(starts))
    for u in range(len(starts)):
        x = items[starts[u] : stops[u]].astype(np.float64)
        templates = len(x) - m + 1
        values[u] = np.nan
        if templates < 2:
            continue
        columns = np.full((m + 1, templates), np.nan)
        order = np.argsort(x[:templates])
        for k in range(m + 1):
            for a in range(templates):
                if order[a] + k < len(x):
                    columns[k, a] = x[order[a] + k]
        near, nearer = _matches_in_window(columns, r, 0, 1)
        phi, phi_next = 0.0, 0.0
        for a in range(templates):
            phi += math.log((near[a] + 1) / templates)
            if order[a] + m < len(x):
                phi_next += math.log((nearer[a] + 1) / (templates - 1))
        values[u] = phi / templates - phi_next / (templates - 1)
    return values


def _rounding(x, r) -> float:
    """How far apart binary rounding can put two values of x that differ by r: 0 for whole numbers.

    Each of two decimals, and r, is off by half a unit in the last place of the largest; the limit
    keeps values apart that are themselves no finer than r.
    """
    if (x == np.floor(x)).all():
        return 0.0
    return float(min(4 * np.spacing(max(np.abs(x).max(), r)), r * 2.0**-20))


def _matches(x, m, r, templates):
    """How many other templates each of the first `templates` matches at lengths m and m + 1.

    Two integer arrays, in order of the first coordinate; -1 where a template has no length m + 1.
    """
    r += _rounding(x, r)
    order = np.argsort(x[:templates], kind="stable")
    padded = np.append(x, np.nan)  # nan is near nothing
    columns = np.ascontiguousarray(padded[order + np.arange(m + 1)[:, None]])
    workers = (
        THREADS if templates > 20_000 else 1
    )  # below, starting threads costs more than it saves
    parts = _in_threads(
        lambda first: _matches_in_window(columns, r, first, workers), range(workers)
    )
    near, nearer = sum(part[0] for part in parts), sum(part[1] for part in parts)
    nearer[np.isnan(columns[m])] = -1
    return near, nearer


@_compiled
def _matches_in_window(columns, r, first, step):
    """Matches of the templates first, first + step, … with all after them, counted for both.

    columns[k] is the k-th coordinate of the templates, which are in order of coordinate 0, so
    the partners of one are those that follow until that coordinate is too far away.
    """
    m, templates = columns.shape[0] - 1, columns.shape[1]
    near, nearer = np.zeros(templates, np.int64), np.zeros(templates, np.int64)
    scratch = np.empty(templates, np.int64)
    end = first
    for a in range(first, templates, step):
        end = max(end, a + 1)
        while end < templates and columns[0, end] - columns[0, a] <= r:
            end += 1
        alike = scratch[: end - a - 1]
        alike[:] = 1
        for k in range(1, m):  # without branches, so that the compiler takes several at a time
            column, here = columns[k, a + 1 : end], columns[k, a]
            for b in range(len(alike)):
                alike[b] &= np.int64(abs(column[b] - here) <= r)
        count = near[a + 1 : end]
        for b in range(len(alike)):
            count[b] += alike[b]
        near[a] += alike.sum()
        column, here, count = columns[m, a + 1 : end], columns[m, a], nearer[a + 1 : end]
        for b in range(len(alike)):
            alike[b] &= np.int64(abs(column[b] - here) <= r)
            count[b] += alike[b]
        nearer[a] += alike.sum()
    return near, nearer


# ---------------------------------------------------------------- entropies of the pooled log


def shannon_entropy(log_or_sequence) -> float:
    """Plug-in entropy of the item frequencies, in nats: it ignores all order."""
    items, _, _ = _items(log_or_sequence)
    counts = np.bincount(items)
    counts = counts[counts > 0]
    return float(np.sum(counts * np.log(len(items) / counts)) / len(items))


def apen_pooled(log, m: int = 2) -> float:
    """Symbolic approximate entropy with templates matched across users, in nats.

    Templates of length m are counted only where an item follows in the same history, so it is
    exactly the plug-in conditional entropy H(X_(m+1) | X_1 … X_m) of the pooled frequencies,
    between 0 and ln n_items. It falls short of the entropy of the source, the more so the smaller
    the log: to compare logs use `conditional_entropy`.

    Raises InputError if no history has m + 1 items.
    """
    return _plug_in(_spectra(*_log(log), _order(m)))


def conditional_entropy(
    log, m: int = 1, correction: str = "chao-wang-jost", tokens: int | None = None, seed: int = 0
) -> float:
    """H(X_(m+1) | X_1 … X_m) pooled over users and corrected for its bias, in nats, within 0 … ln n_items.

    `tokens` transitions (m items and the next one) are drawn without replacement, all by
    default: logs of different size compare fairly only at equal `tokens`.

    The default treats each context after Chao, Wang and Jost (2013). On 15 Markov chains of known
    entropy rate, 30 to 2,000 states and 1,000 to 100,000 tokens, the root mean square errors were
    (benchmarks/entropy.py), by the share of transitions seen once:

        nats             under 20 %   20 to 50 %   over 50 %
        none                  0.117        0.793       3.648
        miller-madow          0.060        0.548       3.350
        grassberger           0.027        0.311       2.527
        chao-shen             0.053        0.434       0.840
        chao-wang-jost        0.018        0.208       2.509

    So where `share_seen_once` is above a half no correction can be trusted: take a smaller m.

    Raises InputError if no history has m + 1 items, or fewer than `tokens` transitions exist.
    """
    m = _order(m)
    if correction not in CORRECTIONS:
        raise InputError(
            f"there is no correction {correction!r}; use one of {', '.join(CORRECTIONS)}"
        )
    items, offsets, n_items = _log(log)
    counted = _spectra(
        items, offsets, n_items, m, tokens, seed, unseen=correction == "chao-wang-jost"
    )
    return float(np.clip(CORRECTIONS[correction](counted), 0, math.log(n_items)))


def share_seen_once(log, m: int = 1, tokens: int | None = None, seed: int = 0) -> float:
    """Share of the transitions (m items and the next one) that occur once in the log: how far counts can be trusted."""
    counted = _spectra(*_log(log), _order(m), tokens, seed)
    counts, times = counted.grams
    return float(times[counts == 1].sum() / counted.total)


def _plug_in(counted):
    return _conditional(counted, np.log)


def _miller_madow(counted):
    """Each context adds (its distinct successors - 1) / (2 its count)."""
    surplus = counted.grams[1].sum() - counted.contexts[1].sum()
    return _conditional(counted, np.log) + surplus / (2 * counted.total)


def _grassberger(counted):
    """Each context's entropy after Grassberger (2003)."""

    def logarithm(n):
        return psi(n) + np.where(n % 2, -0.5, 0.5) * (psi((n + 1) / 2) - psi(n / 2))

    return _conditional(counted, logarithm)


def _chao_shen(counted):
    """The difference of the entropies of (m+1)-grams and of contexts, each after Chao and Shen (2003)."""

    def entropy(counts, times):
        once, total = times[counts == 1].sum(), counted.total
        p = (1 - once / total if once < total else 1 / total) * counts / total
        with np.errstate(divide="ignore"):
            seen = -np.expm1(total * np.log1p(-p))
        return np.sum(times * entr(p) / seen)

    return entropy(*counted.grams) - entropy(*counted.contexts)


def _chao_wang_jost(counted):
    """Each context's entropy after Chao, Wang and Jost (2013)."""
    return _conditional(counted, psi, psi) + counted.unseen / counted.total


CORRECTIONS = {
    "none": _plug_in,
    "miller-madow": _miller_madow,
    "grassberger": _grassberger,
    "chao-shen": _chao_shen,
    "chao-wang-jost": _chao_wang_jost,
}


# ---------------------------------------------------------------- m-grams, counted


class _Counted(NamedTuple):
    """How often (m+1)-grams occur, and their first m items: pairs (counts, how many have that count)."""

    grams: tuple[np.ndarray, np.ndarray]
    contexts: tuple[np.ndarray, np.ndarray]
    total: int  # tokens counted
    unseen: float  # what Chao, Wang and Jost add for successors not seen, times total


def _conditional(counted, of_gram, of_context=np.log):
    """Mean over tokens of of_context(count of the context) - of_gram(count of the gram)."""
    inner, outer = (
        np.sum(times * counts * logarithm(counts))
        for logarithm, (counts, times) in ((of_context, counted.contexts), (of_gram, counted.grams))
    )
    return float((inner - outer) / counted.total)


def _spectra(items, offsets, n_items, m, tokens=None, seed=0, unseen=False) -> _Counted:
    """Counts all (m+1)-grams within histories, or `tokens` of them.

    They are dealt out by their first item into blocks, which are packed into 64-bit numbers,
    sorted and tallied one by one: a gram takes 8 bytes.
    """
    followed = np.maximum(np.diff(offsets) - m, 0)
    total = int(followed.sum())
    if total == 0:
        raise InputError(
            f"no history has the {m + 1} items that m = {m} needs; use a smaller m or longer histories"
        )
    packed = tokens is None and n_items ** (m + 1) <= 2**64
    if tokens is None:
        per_item = _first_items(items, offsets, n_items, m)
        block = (np.cumsum(per_item) - per_item) // max(BLOCK, total // BLOCKS)
        ends = np.cumsum(np.bincount(block, weights=per_item).astype(np.int64))
        starts = np.append(0, ends[:-1])
        dealt = np.empty(
            total, np.uint64
        )  # here, as numpy asks for large pages and the compiled code would not
        _deal(items, offsets, n_items, m, block, starts.copy(), packed, dealt)
        blocks = [dealt[start:end] for start, end in zip(starts, ends) if end > start]
    else:
        blocks = [_draw(offsets, followed, total, m, tokens, seed)]

    def tally(piece):
        keys = piece if packed else _pack(items, piece, n_items, m)
        keys.sort()
        return _run_lengths(keys, n_items, unseen)

    rare, rare_contexts, frequent, frequent_contexts, added = zip(*_in_threads(tally, blocks))
    grams, contexts = _spectrum(rare, frequent), _spectrum(rare_contexts, frequent_contexts)
    return _Counted(grams, contexts, tokens or total, math.fsum(added))


def _spectrum(rare, frequent):
    tally = sum(rare)
    small = np.flatnonzero(tally)
    large, times = np.unique(np.concatenate(frequent), return_counts=True)
    return np.append(small, large), np.append(tally[small], times)


def _draw(offsets, followed, total, m, tokens, seed):
    """Positions of `tokens` items that have m more after them in their history."""
    tokens = _whole(tokens, "tokens")
    if tokens > total:
        raise InputError(
            f"tokens = {tokens}, but the log has {total} transitions for m = {m}; draw at most those"
        )
    where = np.random.default_rng(seed).choice(total, tokens, replace=False, shuffle=False)
    where.sort()
    before = np.cumsum(followed) - followed
    user = np.searchsorted(before, where, side="right") - 1
    return where + (offsets[:-1] - before)[user]


def _pack(items, where, n_items, m):
    """The (m+1)-grams at these positions as distinct numbers, the last item by its remainder to the base n_items.

    Where the next item would not fit into 64 bits, what is packed so far is numbered anew.
    """
    keys, names = items[where].astype(np.uint64), n_items
    for k in range(1, m + 1):
        if names * n_items > 2**64:
            distinct, keys = np.unique(keys, return_inverse=True)
            keys, names = keys.astype(np.uint64), len(distinct)
        names *= n_items
        keys *= np.uint64(n_items)
        keys += items[where + k].astype(np.uint64)
    return keys


@_compiled
def _first_items(items, offsets, n_items, m):
    """How many (m+1)-grams begin with each item."""
    counts = np.zeros(n_items, np.int64)
    for u in range(len(offsets) - 1):
        for i in range(offsets[u], offsets[u + 1] - m):
            counts[items[i]] += 1
    return counts


@_compiled
def _deal(items, offsets, n_items, m, block, ends, packed, dealt):
    """Fills in the (m+1)-grams, a block of first items together, as numbers to the base n_items or as positions."""
    base = np.uint64(n_items)
    for u in range(len(offsets) - 1):
        for i in range(offsets[u], offsets[u + 1] - m):
            key = np.uint64(i)
            if packed:
                key = np.uint64(items[i])
                for k in range(1, m + 1):
                    key = key * base + np.uint64(items[i + k])
            b = block[items[i]]
            dealt[ends[b]] = key
            ends[b] += 1


@_compiled
def _run_lengths(keys, n_items, unseen):
    """How often each count occurs, of sorted keys and of keys // n_items; and what `_unseen` adds in all.

    Counts below RARE are tallied, the others listed.
    """
    rare, rare_contexts = np.zeros(RARE, np.int64), np.zeros(RARE, np.int64)
    frequent, frequent_contexts = np.empty((2, len(keys) // RARE), np.int64)
    f, g, start, context_start, once, twice, added = 0, 0, 0, 0, 0, 0, 0.0
    base = np.uint64(n_items)
    context = keys[0] // base
    for i in range(1, len(keys) + 1):
        if i < len(keys) and keys[i] == keys[i - 1]:
            continue
        count = i - start
        start = i
        once += count == 1
        twice += count == 2
        if count < RARE:
            rare[count] += 1
        else:
            frequent[f] = count
            f += 1
        if i < len(keys) and keys[i] // base == context:
            continue
        count = i - context_start
        context_start = i
        if count < RARE:
            rare_contexts[count] += 1
        else:
            frequent_contexts[g] = count
            g += 1
        if unseen:
            added += _unseen(count, once, twice)
        once, twice = 0, 0
        if i < len(keys):
            context = keys[i] // base
    return rare, rare_contexts, frequent[:f], frequent_contexts[:g], added


@_compiled
def _unseen(n, once, twice):
    """The second term of Chao, Wang and Jost's estimator, times n; so many of the symbols occur once and twice.

    It is once (1 - A)^(1-n) (-ln A - sum over r < n of (1 - A)^r / r), the bracket as the rest of the
    series of -ln A where it would cancel.
    """
    if once == 0 or n < 2:
        return 0.0
    a = 2 * twice / ((n - 1) * once + 2 * twice) if twice else 2 / ((n - 1) * (once - 1) + 2)
    if a >= 1:
        return 0.0
    rest, power = 0.0, 1.0
    if n * a < 10:
        for r in range(1, n):
            power *= 1 - a
            rest += power / r
        return once * (-math.log(a) - rest) / power
    r = n
    while power > 1e-17:
        power *= 1 - a
        rest += power / r
        r += 1
    return once * rest


# ---------------------------------------------------------------- Lempel and Ziv


def lempel_ziv_entropy(sequence: Iterable) -> float:
    """The "actual entropy" n ln n / (L_1 + … + L_n) (Kontoyiannis and others 1998; Song and others 2010), in nats.

    L_i is the length of the shortest string that starts at i and does not occur in the elements
    before i. Where all that is left does occur there, the end of the sequence counts as one more
    element. Without repeats every L_i is 1 and the value ln n, a function of the length alone.

    Raises InputError for fewer than 2 elements.
    """
    codes = _symbols(sequence)
    _long_enough(len(codes), 2, "the Lempel-Ziv entropy")
    return float(_lempel_ziv(codes, np.zeros(1, np.int64), np.array([len(codes)]))[0])


def lempel_ziv_by_user(log, last: int | None = None) -> ByUser:
    """`lempel_ziv_entropy` of each history, or of its last `last` items; one item is too short."""
    return _by_user(log, last, 2, "the Lempel-Ziv entropy", _lempel_ziv)


@_compiled
def _lempel_ziv(items, starts, stops):
    """Lempel-Ziv entropy of items[start:stop] for each start and stop; nan where it is too short.

    A suffix automaton (Blumer and others 1985) of the elements so far holds all their strings, so
    it is walked along the elements to come for as long as it can be: O(n) steps in all, as the
    next walk starts from this one without its first element. Its edges are in a hash table and,
    to copy those of a state, in a list per state.
    """
    longest = (stops - starts).max()
    size = 4
    while size < 4 * longest + 4:
        size *= 2
    table = np.empty(size, np.int32)
    length, link, head = np.empty((3, 2 * longest + 2), np.int32)
    keys = np.empty(3 * longest + 4, np.uint64)
    target, following = np.empty((2, 3 * longest + 4), np.int32)
    values = np.empty(len(starts))
    for u in range(len(starts)):
        start, n = starts[u], stops[u] - starts[u]
        values[u] = np.nan
        if n < 2:
            continue
        bits = 2
        while 1 << bits < 4 * n + 4:
            bits += 1
        table[: 1 << bits] = -1
        states, edges, last = 1, 0, 0
        length[0], link[0], head[0] = 0, -1, -1
        total, matched, state = 0, 0, 0
        for i in range(n):
            while i + matched < n:
                slot = _slot(table, keys, bits, state, items[start + i + matched])
                if table[slot] < 0:
                    break
                state = target[table[slot]]
                matched += 1
            total += matched + 1

            symbol = items[start + i]
            new, states = states, states + 1
            length[new], link[new], head[new] = length[last] + 1, 0, -1
            p = last
            while p >= 0:
                slot = _slot(table, keys, bits, p, symbol)
                if table[slot] >= 0:
                    break
                table[slot], keys[edges] = edges, _edge(p, symbol)
                target[edges], following[edges], head[p] = new, head[p], edges
                edges += 1
                p = link[p]
            if p >= 0:
                q = target[table[slot]]
                if length[q] != length[p] + 1:
                    clone, states = states, states + 1
                    length[clone], link[clone], head[clone] = length[p] + 1, link[q], -1
                    edge = head[q]
                    while edge >= 0:
                        copied = np.int64(keys[edge] & np.uint64(0xFFFFFFFF))
                        slot = _slot(table, keys, bits, clone, copied)
                        table[slot], keys[edges] = edges, _edge(clone, copied)
                        target[edges], following[edges], head[clone] = (
                            target[edge],
                            head[clone],
                            edges,
                        )
                        edges += 1
                        edge = following[edge]
                    while p >= 0:
                        edge = table[_slot(table, keys, bits, p, symbol)]
                        if edge < 0 or target[edge] != q:
                            break
                        target[edge] = clone
                        p = link[p]
                    link[q] = clone
                    q = clone
                link[new] = q
            last = new

            matched = max(matched - 1, 0)
            while state > 0 and matched <= length[link[state]]:
                state = link[state]
        values[u] = n * math.log(n) / total
    return values


@_compiled
def _edge(state, symbol):
    return np.uint64(state) << np.uint64(32) | np.uint64(symbol)


@_compiled
def _slot(table, keys, bits, state, symbol):
    """Where in the hash table the edge is, or would be."""
    key = _edge(state, symbol)
    slot = np.int64(key * SPREAD >> np.uint64(64 - bits))
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = (slot + 1) & ((1 << bits) - 1)
    return slot


# ---------------------------------------------------------------- compression and predictability


def compression_ratio(log_or_sequence) -> float:
    """Bytes after lossless compression (LZMA) over bytes before, histories joined in the order of users.

    Items are whole little-endian numbers of 1, 2 or 4 bytes, the fewest that n_items needs (for a
    sequence, its sorted symbols numbered from 0). LZMA because its window, 8 MB, spans millions of
    items, where that of zlib spans 16,000. Compare logs with care: the ratio also depends on that
    width, on how items are numbered (bytes are what is compressed), on the order of users and on
    the size of the log, the coder learning as it goes; below a few thousand items it is mostly overhead.
    """
    items, _, n_items = _items(log_or_sequence)
    raw = items.astype(np.min_scalar_type(n_items - 1).newbyteorder("<")).tobytes()
    return len(lzma.compress(raw, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])) / len(raw)


def accuracy_limit(entropy, n_items: int):
    """The highest share of next items that can be predicted at this entropy, in nats (Song and others 2010).

    It solves Fano's bound H = -p ln p - (1 - p) ln(1 - p) + (1 - p) ln(n_items - 1) for p
    between 1 / n_items and 1. `entropy` is a number or an array of them.

    Raises InputError for an entropy below 0 or above ln n_items, which no source can have.
    """
    n_items, h = _whole(n_items, "n_items"), np.asarray(entropy, float)
    most = math.log(n_items)
    wrong = ~((h >= 0) & (h <= most * (1 + 1e-12)))
    if wrong.any():
        raise InputError(
            f"an entropy of {h[wrong][0]:g} nats is outside 0 … ln {n_items} = {most:g};"
            " give entropies in nats and the number of distinct items"
        )

    def excess(p, value):
        rest = 1 - p
        return entr(p) + entr(rest) + rest * math.log(max(n_items - 1, 1)) - value

    def solve(value):
        if value == 0 or value >= most:
            return 1.0 if value == 0 else 1 / n_items
        return brentq(excess, 1 / n_items, 1.0, args=(value,), xtol=1e-14)

    limits = np.array([solve(value) for value in h.ravel()]).reshape(h.shape)
    return float(limits) if limits.ndim == 0 else limits


# ---------------------------------------------------------------- inputs and threads


def _in_threads(task: Callable, pieces) -> list:
    pieces = list(pieces)
    if THREADS == 1 or len(pieces) == 1:
        return [task(piece) for piece in pieces]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(task, pieces))


def _by_user(log, last, needed, what, measure):
    """`measure`(items, starts, stops) of each history or its last items, by parts of about equal size."""
    items, offsets, _ = _log(log)
    starts, stops = offsets[:-1], offsets[1:]
    if last is not None:
        starts = np.maximum(starts, stops - _whole(last, "last"))
    pieces = min(16 * THREADS, 1 + len(items) // 4096)
    cuts = np.unique(
        np.searchsorted(offsets, np.linspace(0, len(items), pieces + 1)).clip(0, len(starts))
    )
    cuts[0], cuts[-1] = 0, len(starts)
    parts = _in_threads(
        lambda cut: measure(items, starts[cut], stops[cut]), map(slice, cuts[:-1], cuts[1:])
    )
    values = np.concatenate(parts)
    known = values[~np.isnan(values)]
    if not len(known):
        longest = int((stops - starts).max())
        raise InputError(
            f"every history is too short: the longest has {longest} of the {needed} items that {what} needs;"
            " use longer histories" + (" or a larger last" if last is not None else "")
        )
    return ByUser(
        values, len(values) - len(known), float(known.mean()), float(np.abs(known).mean())
    )


def _log(log):
    """items, offsets and n_items of a log, checked so that the kernels stay within bounds."""
    _refuse_masked(log.items)
    _refuse_masked(log.offsets)
    items = np.ascontiguousarray(log.items, np.int32)
    offsets = np.ascontiguousarray(log.offsets, np.int64)
    n_items = int(log.n_items)
    if not len(items):
        raise InputError("the log is empty; give at least one history")
    if (
        len(offsets) < 2
        or offsets[0] != 0
        or offsets[-1] != len(items)
        or np.any(np.diff(offsets) < 0)
    ):
        raise InputError(
            f"the log's offsets must rise from 0 to its {len(items)} items; build the log anew"
        )
    if items.min() < 0 or items.max() >= n_items:
        raise InputError(
            f"the log's item codes must lie in 0 … {n_items - 1}; number the items from 0"
        )
    return items, offsets, n_items


def _items(log_or_sequence):
    if hasattr(log_or_sequence, "offsets"):
        return _log(log_or_sequence)
    codes = _symbols(log_or_sequence)
    return codes, np.array([0, len(codes)]), int(codes.max()) + 1


def _symbols(sequence) -> np.ndarray:
    """int32 codes 0, 1, … of the symbols of a sequence, in their order if they have one."""
    values = _flat(sequence)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufU":
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(_missing(values))
        return np.unique(values, return_inverse=True)[1].astype(np.int32)
    codes: dict = {}
    try:
        coded = np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)
    except TypeError:
        raise InputError(
            "the elements of a sequence must be hashable symbols; give one flat sequence"
        ) from None
    kinds = {_kind(each): each.__name__ for each in set(map(type, values))}
    if type(None) in kinds or any(_unusable(symbol) for symbol in codes):
        raise InputError("the sequence has a missing or infinite value; drop or fill it")
    if len(kinds) > 1:
        raise InputError(
            f"the sequence mixes {' and '.join(sorted(kinds.values()))}; convert its elements to one type"
        )
    try:
        rank = {symbol: place for place, symbol in enumerate(sorted(codes))}
    except TypeError:  # symbols without an order keep that of appearance
        return coded
    return np.array([rank[symbol] for symbol in codes], np.int32)[coded]


def _kind(kind: type):
    if issubclass(kind, (bool, np.bool_)):
        return bool
    return next(
        (family for family in (numbers.Number, str, bytes) if issubclass(kind, family)), kind
    )


def _unusable(symbol) -> bool:
    try:
        return bool(symbol != symbol) or (isinstance(symbol, numbers.Real) and math.isinf(symbol))
    except (
        TypeError,
        OverflowError,
    ):  # a missing value that will not be compared; an integer of any size
        return not isinstance(symbol, numbers.Real)


def _missing(values):
    place = int(np.flatnonzero(~np.isfinite(values))[0])
    return f"the sequence has {values[place]} at position {place}; drop or fill missing and infinite values"


def _numbers(sequence) -> np.ndarray:
    """A sequence as float64, finite."""
    values = _flat(sequence)
    try:
        values = np.asarray(values)
        numeric = values.dtype.kind in "biuf" or all(
            issubclass(kind, numbers.Real) for kind in set(map(type, values))
        )
        if values.ndim != 1 or not numeric:
            raise TypeError
        values = values.astype(float)
    except (TypeError, ValueError, OverflowError):
        raise InputError("with r > 0 the elements must be numbers; use r = 0 for symbols") from None
    if not np.isfinite(values).all():
        raise InputError(_missing(values))
    return values


def _flat(sequence):
    """The sequence as an array if it is one, otherwise as a list."""
    if hasattr(sequence, "offsets"):
        raise InputError(
            "this measures one sequence, not a log; use the function by user, or r = 0"
        )
    if isinstance(sequence, (set, frozenset, dict)) or not isinstance(sequence, Iterable):
        raise InputError(
            f"a {type(sequence).__name__} has no order; give a flat list, string or array"
        )
    _refuse_masked(sequence)
    values = np.asarray(sequence) if hasattr(sequence, "__array__") else list(sequence)
    if isinstance(values, list) and any(
        issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, values))
    ):
        _refuse_masked(np.ma.masked)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InputError(
            f"the sequence has {values.ndim} dimensions; give one flat sequence, row by row"
        )
    if not len(values):
        raise InputError("the sequence is empty; give at least one element")
    return values


def _refuse_masked(values) -> None:
    """Raise InputError for a masked array: its values under the mask would be counted."""
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            "a masked array has values that are not there; give those that are, as with compressed()"
        )


def checked(m: int, r: float, last: int | None) -> tuple[int, float, int | None]:
    """The arguments of `apen_by_user`, if they are usable; raises InputError if not."""
    return _order(m), _tolerance(r), last if last is None else _whole(last, "last")


def _whole(value, name) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral) or value < 1:
        raise InputError(f"{name} = {value!r} is not usable; give a whole number of at least 1")
    return int(value)


def _order(m) -> int:
    return _whole(m, "m")


def _tolerance(r) -> float:
    if isinstance(r, (bool, np.bool_)) or not isinstance(r, numbers.Real) or not 0 <= r < math.inf:
        raise InputError(f"r = {r!r} is not usable; give a finite number of at least 0")
    return float(r)


def _long_enough(n, needed, what):
    if n < needed:
        raise InputError(
            f"{int(n)} elements are too few: {what} needs at least {needed}; give a longer sequence"
        )
