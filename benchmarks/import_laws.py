"""How long `perflaw.laws` takes to import, beside the libraries that it stands on.

    python benchmarks/import_laws.py [ROUNDS]

Fresh interpreters, taken in turns, so that whatever else the machine does falls on both. Prints
the least of each and their ratio.
"""

from __future__ import annotations

import subprocess
import sys
import time

CANDIDATES = {
    "perflaw.laws, a law": "import perflaw.laws; perflaw.laws.get_law('performance')",
    "perflaw.laws, a fit": "from perflaw.laws import fit, get_law, predict",
    "pandas, scipy.optimize, scipy.stats": "import pandas, scipy.optimize, scipy.stats",
}


def measure_import(code: str) -> float:
    """Return the seconds that a fresh interpreter takes to run the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main(rounds: int = 7) -> None:
    """Time all candidates in turns and print the least of each."""
    seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for _ in range(rounds):
        for name, code in CANDIDATES.items():
            seconds[name].append(measure_import(code))
    least = {name: min(times) for name, times in seconds.items()}
    reference = least["pandas, scipy.optimize, scipy.stats"]
    for name, value in least.items():
        print(f"{name:<38} {value:.2f} s   {value / reference:.2f} times")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
