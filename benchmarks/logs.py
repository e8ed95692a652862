"""What a log costs to read: `python benchmarks/logs.py [--full]`, a minute.

With --full it reads up to 100 million rows, in ten minutes. Generated Parquet logs (100
interactions a user, 100,000 items, rows in order of time), each size in a process of its own: read
and sort, summary, hash, split. Memory is the process's peak with its libraries, in GB and as a
multiple of the log's own arrays. Then the same rows from a table in memory, the engines that could
do the reading, as far as they are installed, and a text file against pandas. All in one run; on
Linux, for the memory.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = ("read and sort", "summary", "hash", "split")
ENGINES = ("duckdb", "polars", "pandas", "numpy")
TABLES = {"polars": "a Polars table", "pyarrow": "an Arrow table"}
TABLE_ROWS = 10**7


def generate(path, rows):
    """Write a log of users, items with a skew, and times, in order of time."""
    import duckdb
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user": rng.integers(rows // 100, size=rows, dtype=np.int32),
            "item": (100_000 * rng.random(rows) ** 2).astype(np.int32),
            "timestamp": np.sort(rng.integers(1_500_000_000, 1_600_000_000, rows)),
        }
    )
    assert len(frame) == rows  # duckdb finds the frame by its name
    duckdb.sql("select * from frame").write_parquet(str(path), compression="zstd")


def measure_ours(path):
    """Measure the seconds of each step, the bytes of the arrays, and the peak of memory."""
    from perflaw.logs.interaction_log import read_log
    from perflaw.logs.splits import leave_one_out

    marks = [time.perf_counter()]
    log = read_log(path)
    marks.append(time.perf_counter())
    log.summary()
    marks.append(time.perf_counter())
    assert len(log.hash) == 64
    marks.append(time.perf_counter())
    split = leave_one_out(log)
    marks.append(time.perf_counter())
    arrays = sum(
        a.nbytes for a in (log.items, log.offsets, log.timestamps, log.user_ids, log.item_ids)
    )
    return {
        "seconds": np.diff(marks).tolist(),
        "arrays": arrays,
        "peak": peak(),
        "rows": log.tokens,
        "train": split.train.tokens,
    }


def measure_engine(engine, path):
    """Measure reading the file, sorted stably by user and time, into arrays: seconds and peak."""
    if engine == "duckdb":
        import duckdb

        start = time.perf_counter()
        query = (
            "select * exclude(file_row_number) "
            f"from read_parquet('{path}', file_row_number=true) "
            "order by user, timestamp, file_row_number"
        )
        duckdb.connect().execute(query).fetchnumpy()
    elif engine == "polars":
        import polars

        start = time.perf_counter()
        frame = polars.read_parquet(path).sort("user", "timestamp", maintain_order=True)
        [frame[column].to_numpy() for column in frame.columns]
    elif engine == "pandas":
        import pandas as pd

        start = time.perf_counter()
        pd.read_parquet(path).sort_values(["user", "timestamp"], kind="stable")
    else:
        import pyarrow.parquet

        start = time.perf_counter()
        table = pyarrow.parquet.read_table(path)
        user, item, when = (table[name].to_numpy() for name in ("user", "item", "timestamp"))
        order = np.argsort((user.astype(np.int64) << 32) | (when - when.min()), kind="stable")
        user, item, when = user[order], item[order], when[order]
    return {"seconds": time.perf_counter() - start, "peak": peak()}


def measure_table(library, path):
    """Measure reading a table in memory, in turns with the file it was read from: seconds."""
    from perflaw.logs.interaction_log import read_log

    if library == "polars":
        import polars

        table = polars.read_parquet(path)
    else:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
    seconds = {"table": [], "file": []}
    hashes = set()
    for _ in range(3):
        for name, source in (("table", table), ("file", path)):
            start = time.perf_counter()
            log = read_log(source)
            seconds[name].append(time.perf_counter() - start)
            hashes.add(log.hash)
    assert len(hashes) == 1
    return {name: min(values) for name, values in seconds.items()}


def print_tables(path):
    """Print what a table in memory costs beside the Parquet file."""
    print(f"\n| {TABLE_ROWS:,} rows from | read and sort, s | times the Parquet file |")
    print("|---|---:|---:|")
    for library, name in TABLES.items():
        if not importlib.util.find_spec(library):
            print(f"| {name} | left out: {library} is not installed | |")
            continue
        seconds = alone("table", library, path)
        ratio = seconds["table"] / seconds["file"]
        print(f"| {name} | {seconds['table']:.2f} | {ratio:.2f} |")


def peak():
    """Return the most bytes that this process has had resident, from /proc.

    What getrusage reports includes the process it came from.
    """
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def alone(*arguments):
    """Take one measurement in a process of its own."""
    return json.loads(
        subprocess.run(
            [sys.executable, __file__, "--one", *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )


def text_against_pandas(folder):
    """Time reading and sorting a million rows of `user item`, the best of seven of each."""
    import pandas as pd

    from perflaw.logs.interaction_log import read_log

    path = Path(os.environ.get("PERFLAW_DATA", folder)) / "raw/sasrec/ml-1m.txt"
    if not path.exists():
        path = Path(folder) / "rows.txt"
        rng = np.random.default_rng(0)
        rows = np.column_stack(
            [np.repeat(np.arange(1, 6_001), 166), rng.integers(1, 3_417, 6_000 * 166)]
        )
        np.savetxt(path, rows, fmt="%d")
    seconds = {"ours": [], "pandas": []}
    for _ in range(7):
        start = time.perf_counter()
        read_log(path)
        seconds["ours"].append(time.perf_counter() - start)
        start = time.perf_counter()
        pd.read_csv(path, sep=" ", header=None, names=["user", "item"]).sort_values(
            "user", kind="stable"
        )
        seconds["pandas"].append(time.perf_counter() - start)
    return path.name, min(seconds["ours"]), min(seconds["pandas"])


def measure(*arguments):
    """Take the measurement that a process of its own was started for."""
    if len(arguments) == 1:
        return measure_ours(*arguments)
    kind, *rest = arguments
    return measure_table(*rest) if kind == "table" else measure_engine(*arguments)


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="up to 100 million rows")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    sizes = [10**6, 10**7] + [10**8] * given.full
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory() as folder:
        paths = {rows: f"{folder}/{rows}.parquet" for rows in sizes}
        for rows, path in paths.items():
            generate(path, rows)
        steps = " | ".join(f"{step}, ns a row" for step in STEPS)
        print(f"| rows | {steps} | together | peak, GB (times the arrays) |")
        print("|---:" * (len(STEPS) + 3) + "|")
        fastest = {}
        for rows, path in paths.items():
            runs = [alone(path) for _ in range(3 if rows < 10**8 else 2)]
            run = fastest[rows] = min(runs, key=lambda run: sum(run["seconds"]))
            each = [1e9 * s / rows for s in run["seconds"]]
            shares = " | ".join(f"{ns:.0f} ({ns / sum(each):.0%})" for ns in each)
            print(
                f"| {rows:,} | {shares} | {sum(each):.0f} "
                f"| {run['peak'] / 1e9:.1f} ({run['peak'] / run['arrays']:.1f}) |"
            )
        first, last = (sum(fastest[rows]["seconds"]) / rows for rows in (sizes[0], sizes[-1]))
        ratio = f"{last / first:.2f} times the time a row"
        print(f"\n{sizes[-1]:,} rows against {sizes[0]:,}: {ratio}\n")
        columns = " | ".join(f"{rows:,} rows, ns a row" for rows in sizes)
        print(f"| read and sort | {columns} | peak, times the arrays |")
        print("|---" + "|---:" * (len(sizes) + 1) + "|")
        for engine in ENGINES:
            needs = {"numpy": ["pyarrow"], "pandas": ["pyarrow"]}.get(engine, [engine])
            if not all(importlib.util.find_spec(name) for name in needs):
                print(f"| {engine} | {needs[0]} is not installed |" + " |" * len(sizes))
                continue
            runs = {rows: alone(engine, path) for rows, path in paths.items()}
            times = " | ".join(f"{1e9 * run['seconds'] / rows:.0f}" for rows, run in runs.items())
            multiple = runs[sizes[-1]]["peak"] / fastest[sizes[-1]]["arrays"]
            print(f"| {engine} | {times} | {multiple:.1f} |")
        print_tables(paths[TABLE_ROWS])
        name, ours, pandas = text_against_pandas(folder)
        print(
            f"\n{name}: {ours:.3f} s; pandas.read_csv and sort {pandas:.3f} s: "
            f"{ours / pandas:.2f} times its time"
        )


if __name__ == "__main__":
    main()
