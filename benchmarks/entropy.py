"""How fast and how exact the entropies are: `python benchmarks/entropy.py [--full]`, a few minutes.

Needs nothing but the package; libraries that are not installed are left out of the comparison.
With the environment variable PERFLAW_DATA naming a folder that holds ml-1m-sasrec.parquet
(columns user and item, by user and time), that log is used; otherwise one of its shape is
drawn. --full adds the log of 100 million tokens. Kernels are compiled before anything is timed.
Memory is read from /proc, so on Linux only.
"""

import argparse
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from perflaw.logs.entropy import approximate, conditional, lempel_ziv, parallel

GROWTH = {"by user": approximate.apen_by_user, "pooled": conditional.apen_pooled}


class Log(NamedTuple):
    """Histories one after another, as the entropies take them.

    Attributes
    ----------
    items : ndarray of shape (tokens,)
        Item numbers, user by user.
    offsets : ndarray of shape (users + 1,)
        Where each user's items begin in `items`; the last is their number.
    n_items : int
        How many different items there may be.
    """

    items: np.ndarray
    offsets: np.ndarray
    n_items: int


def drawn_log(tokens=1_000_000, n_items=3416, repeats=False, seed=0):
    """Draw histories as long as MovieLens-1M's: at least 20, half under 96, 165 on average.

    Parameters
    ----------
    tokens : int, optional
        About how many interactions.
    n_items : int, optional
        How many items.
    repeats : bool, optional
        Whether a user may have an item more than once.
    seed : int, optional
        Of the random numbers.

    Returns
    -------
    Log
        The drawn log.
    """
    rng = np.random.default_rng(seed)
    lengths = 20 + np.minimum(rng.lognormal(math.log(76), 1.137, tokens // 150), 2294).astype(int)
    if tokens == 1_000_000:
        lengths = lengths[:6040]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if not repeats:
        return Log(
            np.concatenate([rng.permutation(n_items)[:n] for n in lengths]).astype(np.int32),
            offsets,
            n_items,
        )
    offsets = offsets[offsets <= tokens]
    items = np.empty(offsets[-1], np.int32)
    for start in range(0, len(items), 1_000_000):
        part = items[start : start + 1_000_000]
        part[:] = n_items * rng.random(len(part)) ** 3
    return Log(items, offsets, n_items)


def movielens():
    """Return the log to time, and its name."""
    folder = os.environ.get("PERFLAW_DATA")
    path = Path(folder, "ml-1m-sasrec.parquet") if folder else None
    if path is None or not path.exists():
        return drawn_log(), "a drawn log"
    import duckdb

    table = duckdb.read_parquet(str(path)).fetchnumpy()
    items, offsets = (
        table["item"].astype(np.int32),
        np.concatenate([[0], np.cumsum(np.bincount(table["user"]))]),
    )
    return Log(items, offsets, int(items.max()) + 1), "MovieLens-1M"


def seconds(task, repeats=3):
    """Return the seconds of the fastest of some runs of `task`, and what it returned."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = task()
        taken.append(time.perf_counter() - start)
    return min(taken), result


def with_threads(threads, task, repeats=3):
    """Time a task as `seconds` does, with this number of threads."""
    before, parallel.THREADS = parallel.THREADS, threads
    try:
        return seconds(task, repeats)
    finally:
        parallel.THREADS = before


def installed(name):
    """Import a library; return None if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def row(*cells):
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


# ---------------------------------------------------------------- what others do


def plain_apen(series, m, r):
    """Compute approximate entropy as scripts do: lists of lists, all pairs of templates."""

    def phi(k):
        templates = [[series[j] for j in range(i, i + k)] for i in range(len(series) - k + 1)]
        shares = [
            sum(1 for other in templates if max(abs(a - b) for a, b in zip(one, other)) <= r)
            / len(templates)
            for one in templates
        ]
        return sum(math.log(share) for share in shares) / len(templates)

    return phi(m) - phi(m + 1)


def plain_lempel_ziv(series):
    """Compute the Lempel-Ziv entropy as scripts do: search all that came before."""
    n, total = len(series), 0
    for i in range(n):
        past, length = series[:i], 1
        while i + length <= n:
            sought = series[i : i + length]
            if not any(past[j : j + length] == sought for j in range(i - length + 1)):
                break
            length += 1
        total += length
    return n * math.log(n) / total


# ---------------------------------------------------------------- the tables


def time_by_user():
    """Time the symbolic ApEn of every history against a loop over users."""
    log, name = movielens()
    lengths = np.diff(log.offsets)
    approximate.apen_by_user(log)
    approximate.apen_by_user(log, last=50)
    threads = parallel.THREADS
    many, ours = seconds(lambda: approximate.apen_by_user(log))
    one, _ = with_threads(1, lambda: approximate.apen_by_user(log))

    by_length = np.argsort(lengths, kind="stable")
    sample = by_length[(np.linspace(0.02, 0.98, 17) * len(lengths)).astype(int)]
    histories = {u: log.items[log.offsets[u] : log.offsets[u + 1]] for u in range(len(lengths))}
    plain_time, values = seconds(
        lambda: [plain_apen(histories[u].tolist(), 2, 0) for u in sample], 1
    )
    assert np.allclose(values, ours.values[sample], atol=1e-12)
    plain_time *= (lengths.astype(float) ** 2).sum() / (lengths[sample].astype(float) ** 2).sum()

    print(
        f"\n### Symbolic ApEn of every history, m = 2: {name}, {len(lengths):,} users, "
        f"{len(log.items):,} tokens\n"
    )
    row("code", "seconds", f"ours, {threads} threads, is faster by", "ours, 1 thread, by")
    row("---", "---:", "---:", "---:")
    row(f"perflaw, {threads} threads", f"{many:.5f}", "", "")
    row("perflaw, 1 thread", f"{one:.5f}", f"{one / many:.1f}", "")
    antropy = installed("antropy")
    if antropy:
        antropy.app_entropy(histories[0].astype(float), 2, tolerance=0.5)
        rest, values = seconds(
            lambda: [
                antropy.app_entropy(h.astype(float), 2, tolerance=0.5) for h in histories.values()
            ],
            1,
        )
        assert np.allclose(values, ours.values, atol=1e-9)
        name = f"antropy {version('antropy')}, a loop over users"
        row(name, f"{rest:.2f}", f"{rest / many:,.0f}", f"{rest / one:,.0f}")
    else:
        row("antropy", "not installed", "", "")
    note = f"lists of lists; {len(sample)} users of all lengths, scaled by the sum of n²"
    row(note, f"{plain_time:.0f}", f"{plain_time / many:,.0f}", f"{plain_time / one:,.0f}")
    again = drawn_log(repeats=True)
    repeated, _ = seconds(lambda: approximate.apen_by_user(again))
    name = f"perflaw, {threads} threads, a drawn log of {len(again.items):,} tokens with repeats"
    row(name, f"{repeated:.5f}", "", "")


def time_numeric():
    """Time the numeric ApEn of one series against other libraries."""
    x = np.random.default_rng(0).standard_normal(10_000)
    r = 0.2 * x.std()
    approximate.apen(x, 2, r)
    ours, value = with_threads(1, lambda: approximate.apen(x, 2, r))
    print(
        "\n### Numeric ApEn of one series of 10,000 normal numbers, m = 2, r = 0.2 std, 1 thread\n"
    )
    row("code", "seconds", "value", "ours is faster by")
    row("---", "---:", "---:", "---:")
    row("perflaw", f"{ours:.4f}", f"{value:.12f}", "")
    rivals = {
        "antropy": lambda library: library.app_entropy(x, 2, tolerance=r),
        "EntropyHub": lambda library: library.ApEn(x, m=2, r=r)[0][-1],
        "neurokit2": lambda library: library.entropy_approximate(x, dimension=2, tolerance=r)[0],
    }
    for name, call in rivals.items():
        library = installed(name)
        if not library:
            row(name, "not installed", "", "")
            continue
        call(library)
        taken, theirs = seconds(partial(call, library), 2)
        row(
            f"{name} {version(name)}",
            f"{taken:.3f}",
            f"{float(theirs):.12f}",
            f"{taken / ours:.0f}",
        )


def grow_once(what, tokens):
    """Print nanoseconds and bytes a token of the first call, in a fresh process."""
    log = drawn_log(tokens, 30_000, repeats=True)
    GROWTH[what](drawn_log(20_000, 30_000, repeats=True))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on

    def kilobytes(field):
        return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    before = kilobytes("VmRSS")
    taken, _value = seconds(lambda: GROWTH[what](log), 1)
    n = len(log.items)
    print(
        json.dumps(
            {"ns": 1e9 * taken / n, "bytes": 1024 * (kilobytes("VmHWM") - before) / n, "tokens": n}
        )
    )


def time_growth(full):
    """Print how the time and memory of a token grow; to 100 million tokens if `full`."""
    print(f"\n### Growth, m = 2, 30,000 items with repeats, {parallel.THREADS} threads\n")
    print("Each figure is the median of the first calls of three fresh processes.\n")
    row(
        "measure",
        "tokens",
        "ns a token",
        "times the first",
        "added peak memory, in logs of 12 bytes a token",
    )
    row("---", "---:", "---:", "---:", "---:")
    for what in GROWTH:
        first = None
        for tokens in (10**6, 10**7, 10**8)[: 3 if full else 2]:
            command = [sys.executable, __file__, "--grow", what, str(tokens)]
            runs = [
                json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
                for _ in range(3)
            ]
            ns, size = (float(np.median([run[key] for run in runs])) for key in ("ns", "bytes"))
            first = first or ns
            row(
                what, f"{runs[0]['tokens']:,}", f"{ns:.1f}", f"{ns / first:.2f}", f"{size / 12:.2f}"
            )


def time_lempel_ziv():
    """Time the Lempel-Ziv entropy against a search of every substring."""
    rng = np.random.default_rng(0)

    def series(n):
        return (100 * rng.random(n) ** 3).astype(np.int32)

    lempel_ziv.lempel_ziv_entropy(series(100))
    print("\n### Lempel-Ziv entropy of one series of 100 unequally likely symbols, 1 thread\n")
    row("code", "n", "seconds", "ns an element", "ours is faster by")
    row("---", "---:", "---:", "---:", "---:")
    ours = {}
    for n in (10**4, 10**5, 10**6):
        x = series(n)
        ours[n], _ = seconds(partial(lempel_ziv.lempel_ziv_entropy, x))
        row("perflaw", f"{n:,}", f"{ours[n]:.4f}", f"{1e9 * ours[n] / n:.0f}", "")
    for n in (1000, 10**4):
        x = series(n).tolist()
        plain, value = seconds(partial(plain_lempel_ziv, x), 1)
        assert math.isclose(value, lempel_ziv.lempel_ziv_entropy(x), rel_tol=1e-12)
        ratio = f"{plain / ours[n]:,.0f}" if n in ours else ""
        row(
            "every substring looked for", f"{n:,}", f"{plain:.2f}", f"{1e9 * plain / n:,.0f}", ratio
        )
    log, name = movielens()
    lempel_ziv.lempel_ziv_by_user(log)
    taken, _ = seconds(lambda: lempel_ziv.lempel_ziv_by_user(log))
    name, n = f"perflaw, every user of {name}, {parallel.THREADS} threads", len(log.items)
    row(name, f"{n:,}", f"{taken:.4f}", f"{1e9 * taken / n:.0f}", "")


# ---------------------------------------------------------------- how far the corrections are off


def chain(kind, k, rng):
    """Draw the transition matrix of a Markov chain.

    Parameters
    ----------
    kind : {"equal", "dense", "sparse", "power law", "neighbours"}
        How probable the next states are.
    k : int
        How many states.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of shape (k, k)
        Rows sum to 1.
    """
    popularity = 1 / np.arange(1, k + 1)
    if kind == "equal":
        p = np.ones((k, k))
    elif kind == "dense":
        p = rng.dirichlet(np.ones(k), k)
    elif kind == "sparse":
        p = rng.dirichlet(np.full(k, 5 / k), k) + 1e-12
    elif kind == "power law":
        p = np.array([rng.permutation(popularity**1.2) for _ in range(k)])
    else:  # half popularity, half ten neighbours of one's own
        p = np.tile(popularity / popularity.sum(), (k, 1))
        for one in p:
            one[rng.choice(k, 10, replace=False)] += rng.dirichlet(np.full(10, 0.5))
    return p / p.sum(axis=1, keepdims=True)


def walk(p, n, rng):
    """Draw n states of the Markov chain with transition matrix p."""
    steps, ends = rng.random(n), np.cumsum(p, axis=1)
    x = np.empty(n, np.int32)
    state = rng.integers(len(p))
    for i in range(n):
        x[i] = state
        state = min(int(np.searchsorted(ends[state], steps[i])), len(p) - 1)
    return x


def compare_corrections():
    """Print the errors of the corrected conditional entropies of known Markov chains."""
    rng = np.random.default_rng(0)
    errors = defaultdict(list)
    for kind in ("equal", "dense", "sparse", "power law", "neighbours"):
        for k in (30, 300, 2000):
            p = chain(kind, k, rng)
            stationary = np.full(k, 1 / k)
            for _ in range(500):
                stationary = stationary @ p
            rate = -np.sum(stationary[:, None] * p * np.log(np.maximum(p, 1e-300)))
            for n in (1000, 10_000, 100_000):
                logs = [
                    Log(walk(p, n, rng), np.array([0, n]), k)
                    for _ in range(100_000 // n if n > 5000 else 10)
                ]
                once = conditional.share_seen_once(logs[0])
                group = 0 if once < 0.2 else 1 if once < 0.5 else 2
                for name in conditional.CORRECTIONS:
                    off = [conditional.conditional_entropy(log, 1, name) - rate for log in logs]
                    errors[name, group].append(math.sqrt(np.mean(np.square(off))))
    print(
        "\n### Corrected conditional entropies of 15 Markov chains, 30 to 2,000 states, "
        "1,000 to 100,000 tokens\n"
    )
    print(
        "Root mean square error in nats, averaged over chains and lengths, "
        "by the share of transitions seen once:\n"
    )
    labels = enumerate(("< 20 %", "20 to 50 %", "> 50 %"))
    row("correction", *(f"{label} ({len(errors['none', group])} cells)" for group, label in labels))
    row("---", "---:", "---:", "---:")
    for name in conditional.CORRECTIONS:
        row(name, *(f"{np.mean(errors[name, group]):.3f}" for group in range(3)))


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="grow to 100 million tokens (a few GB)")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        grow_once(options.grow[0], int(options.grow[1]))
        return
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, "
        f"numba {version('numba')}, {platform.machine()}"
    )
    time_by_user()
    time_numeric()
    time_growth(options.full)
    time_lempel_ziv()
    compare_corrections()


if __name__ == "__main__":
    main()
