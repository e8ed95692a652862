"""Make data/sweeps/controls.csv: one model on synthetic logs, of one entropy rate and many sizes, and of one size and many rates.

    python benchmarks/controls.py [RUNS]

On the first the entropy must not matter, as it is the same; on the second nothing else may. Goes on where it was stopped.
"""

import sys
from dataclasses import replace
from pathlib import Path

from perflaw.logs import synthetic
from perflaw.models.sweeps import runner
from perflaw.study.analysis import data_measures

RATES, SIZES = (3.7, 4.2, data_measures.RATE, 5.2, 5.7), (125, 250, 500, 1_000, 2_000, 4_000)
GRID = {"settings": runner.read_grid("quality")["settings"], "grid": {"seed": [0, 1]}}


def main(folder="runs/controls"):
    process = synthetic.Process()
    logs = {
        f"size {size}": made.log
        for size, made in zip(
            SIZES, synthetic.same_rate(process.with_rate(data_measures.RATE), SIZES)
        )
    }
    logs |= {
        f"rate {rate}": made.log for rate, made in zip(RATES, synthetic.same_size(process, RATES))
    }
    for name, log in logs.items():
        runner.run(GRID, replace(log, name=f"synthetic, {name}"), folder, runner.process_pool(2))
    path = runner.SWEEPS_FOLDER / "controls.csv"
    path.unlink(missing_ok=True)
    print(runner.consolidate(Path(folder), "controls"))


if __name__ == "__main__":
    main(*sys.argv[1:])
