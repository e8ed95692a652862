"""Drawn and damaged logs: `python benchmarks/log_dialects.py [--drawn 20000] [--mutated 100000]`.

Drawn logs, written in a dialect drawn at random, are read as they are or refused; one that is read
as something else is a silent difference. Mutated ones have been changed in a way of which the right
result is known (a row twice, a header again, another line end …), and are compared; or damaged
(bytes flipped, cut, put in; a value of JSON of another kind), and are watched for a traceback or
for more than 5 s of the CPU. Of both the seeds that failed are printed, and `--first` begins
anywhere. An hour for all of it on two cores; `--seconds` bounds each part.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from log_dialects import compare, draw_log, to_text, write, write_other

from perflaw.errors import InputError
from perflaw.logs.interaction_log import read_log
from perflaw.logs.readers import large_text, whole_numbers

AT_A_TIME = 100
TOO_LONG = 5  # seconds
COLUMNS = ("users", "items", "times", "seconds", "keys")
ODD_VALUES = (None, True, 0, -1, 1.5, 1e17, 2**70, "", "NA", "\ud800", [], [1], {}, {"a": 1}, [{}])


def choose_way(seed):
    """Every second file is read as if it were large."""
    large = seed % 2 == 1
    large_text.SMALL = -1 if large else 1 << 22
    whole_numbers.FITS = 0 if large else 1 << 28


def read_drawn(seed, folder):
    """Read a drawn log; return "read", "refused", or what differs."""
    rng = np.random.default_rng(seed)
    drawn = draw_log(rng, plain=seed % 5 == 0)
    content, dialect, options = (write_other if seed % 5 == 0 else write)(rng, drawn)
    path = Path(folder) / "log"
    path.write_bytes(content)
    choose_way(seed)
    try:
        difference = compare(read_log(path, **options), drawn)
    except InputError:
        return "refused"
    return f"{dialect} {options}: {difference}" if difference else "read"


def drop(log, row):
    """Take a row out of the log."""
    for name in COLUMNS:
        cells = getattr(log, name)
        if cells is not None:
            setattr(log, name, cells[:row] + cells[row + 1 :])


def repeat(log, row):
    """Put a row of the log in twice."""
    for name in COLUMNS:
        cells = getattr(log, name)
        if cells is not None:
            setattr(log, name, [*cells[:row], cells[row], *cells[row:]])
    if log.times is None:
        log.keys = list(range(len(log.keys)))


def mutate_known(rng, log):
    """Change a table so that the right result is known.

    Returns
    -------
    content : bytes
        The text of the table.
    kind : str
        How it was changed.
    refused : bool
        Whether it must be refused.
    """
    names = ["user", "item", "time"][: 2 + (log.times is not None)]
    delimiter = str(rng.choice([",", ";", "|"]))
    row = int(rng.integers(len(log.users)))
    kind = str(rng.choice(["twice", "gone", "blank", "header", "ragged", "ends", "mark", "column"]))
    if kind == "gone" and len(log.users) > 1:
        drop(log, row)
    if kind == "twice":
        repeat(log, row)
    columns = [log.users, log.items] + ([log.times] if log.times is not None else [])
    table = [names, *map(list, zip(*columns, strict=True))]
    at = int(rng.integers(1, len(table)))
    if kind == "header":
        table.insert(at, names)
    if kind == "ragged":
        table.insert(at, [*table[at], "x"] if rng.random() < 0.5 else table[at][:1])
    if kind == "column":
        table = [[*cells[:at], "x" if k else "more", *cells[at:]] for k, cells in enumerate(table)]
    content = to_text(table, delimiter, str(rng.choice(["minimal", "all"])))
    if kind == "blank":
        lines = content.split("\n")
        if not any("\n" in cell for cells in table for cell in cells):
            lines.insert(at, "")
        content = "\n".join(lines) + "\n\n"
    if kind == "ends":
        content = content.replace("\n", "\r\n")
    if kind == "mark":
        content = "\ufeff" + content
    return content.encode(), kind, kind in ("header", "ragged")


def damage(rng, content):
    """Change, remove, repeat or insert some of the bytes."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 2, 5, 20]))):
        at = int(rng.integers(len(data) + 1))
        size = int(rng.choice([1, 1, 3, 20]))
        kind = rng.choice(["flip", "cut", "twice", "odd", "end"])
        if kind == "flip" and at < len(data):
            data[at] = int(rng.integers(256))
        elif kind == "cut":
            del data[at : at + size]
        elif kind == "twice":
            data[at:at] = data[at : at + size]
        elif kind == "odd":
            odd = [
                b'"',
                b"\0",
                b"\r",
                b"\n",
                b"\xff",
                b",",
                b"\t",
                b"'",
                b"[",
                b"{",
                b"\xef\xbb\xbf",
            ]
            odd += [
                b"NaN",
                b"1e999",
                b"-",
                b"999999999999999999999",
                b"\\",
                b"#",
                "\u2028".encode(),
            ]
            data[at:at] = odd[rng.integers(len(odd))] * int(rng.choice([1, 1, 2, 50]))
        elif kind == "end" and rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def change_value(rng, content):
    """Put a value of another kind into a record of JSON lines."""
    lines = content.decode().splitlines()
    at = int(rng.integers(len(lines)))
    node = record = json.loads(lines[at])
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = keys[rng.integers(len(keys))]
        if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.3:
            break
        node = node[key]
    node[key] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
    lines[at] = json.dumps(record)
    return ("\n".join(lines) + "\n").encode()


def read_mutated(seed, folder):
    """Read a mutated log; return "read", "refused", or what went wrong."""
    rng = np.random.default_rng(seed)
    drawn = draw_log(rng)
    path = Path(folder) / "log"
    choose_way(seed)
    if seed % 3 == 0:
        content, kind, refuse = mutate_known(rng, drawn)
        options = drawn.options
    else:
        drawn = draw_log(rng, plain=seed % 5 == 0)
        if seed % 5 == 0:
            content, layout, options = write_other(rng, drawn)
        else:
            content, layout, options = write(rng, drawn, packed=seed % 10 == 1)
        change = change_value if layout in ("json", "events") and rng.random() < 0.5 else damage
        content, kind, refuse = change(rng, content), "damaged", None
    path.write_bytes(content)
    try:
        log = read_log(path, **options)
    except InputError as error:
        return "refused" if "\n" not in str(error) else f"two lines: {error}"
    if kind == "damaged":
        return "read"
    if refuse:
        return f"{kind}: read, and to be refused"
    difference = compare(log, drawn)
    return f"{kind}: {difference}" if difference else "read as known"


def run_batch(task):
    """Return the outcomes of some seeds, and those to look at."""
    name, first, count = task
    function = {"drawn": read_drawn, "mutated": read_mutated}[name]
    outcomes, odd = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            start = time.process_time()
            signal.alarm(60 * TOO_LONG)  # a batch that hangs for good ends with its process
            try:
                outcome = function(seed, folder)
            except Exception:
                outcome = "traceback: " + traceback.format_exc().strip()
            signal.alarm(0)
            if (seconds := time.process_time() - start) > TOO_LONG:
                outcome = f"hang: {seconds:.1f} s"
            fine = outcome in ("read", "refused", "read as known")
            outcomes[
                outcome if fine else outcome.split(":")[0] if "traceback" in outcome else "odd"
            ] += 1
            if not fine:
                odd.append((seed, outcome))
    return outcomes, odd


def run(name, first, count, seconds, workers):
    """All batches of one kind, as far as time allows."""
    start = time.perf_counter()
    total, odd = Counter(), []
    tasks = ((name, seed, AT_A_TIME) for seed in range(first, first + count, AT_A_TIME))
    with ProcessPoolExecutor(workers) as pool:
        pending = set()
        for task in tasks:
            if time.perf_counter() - start > seconds:
                break
            pending.add(pool.submit(run_batch, task))
            while len(pending) > 2 * workers:
                ready = {future for future in pending if future.done()}
                if not ready:
                    time.sleep(0.05)
                for future in ready:
                    pending.discard(future)
                    _collect(future, total, odd)
        for future in pending:
            _collect(future, total, odd)
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in total.most_common())
    print(f"{name}: {sum(total.values()):,} files in {time.perf_counter() - start:,.0f} s: {said}")
    return odd


def _collect(future, total, odd):
    outcomes, found = future.result()
    total.update(outcomes)
    odd += found
    if total.total() % 1000 == 0:
        print(f"{total.total():,} files, {len(odd)} odd", file=sys.stderr, flush=True)
    for seed, outcome in found[:3]:
        print(f"seed {seed}: {outcome[:1500]}", flush=True)


def main():
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drawn", type=int, default=20_000)
    parser.add_argument("--mutated", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=10**6, help="seed")
    parser.add_argument("--seconds", type=float, default=3600, help="of each part, at most")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    odd = []
    for name in ("drawn", "mutated"):
        if count := getattr(given, name):
            odd += run(name, given.first, count, given.seconds, given.workers)
    sys.exit(bool(odd))


if __name__ == "__main__":
    main()
