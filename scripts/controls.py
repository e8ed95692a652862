"""Make data/sweeps/controls.csv: one model on synthetic logs.

    python scripts/controls.py [RUNS]

Some logs have one entropy rate and many sizes, the others one size and many rates: on the first
the entropy must not matter, as it is the same; on the second nothing else may. A run that was
stopped goes on where it was.
"""

from dataclasses import replace
from pathlib import Path

from perflaw.logs import synthetic
from perflaw.models.sweeps import executors, grids, results, runner
from perflaw.study import script_command
from perflaw.study.analysis import data_measures

RATES = (3.7, 4.2, data_measures.RATE, 5.2, 5.7)  # nats
SIZES = (125, 250, 500, 1_000, 2_000, 4_000)  # users
SEEDS = [0, 1]
WORKERS = 2


def main(folder: Path) -> None:
    """Train the model on each log, and write the table."""
    process = synthetic.Process()
    grid = {"settings": grids.read_grid("quality")["settings"], "grid": {"seed": SEEDS}}
    same_rate = synthetic.same_rate(process.with_rate(data_measures.RATE), SIZES)
    same_size = synthetic.same_size(process, RATES)
    logs = {f"size {size}": sample.log for size, sample in zip(SIZES, same_rate)}
    logs |= {f"rate {rate}": sample.log for rate, sample in zip(RATES, same_size)}
    for name, log in logs.items():
        named = replace(log, name=f"synthetic, {name}")
        runner.run(grid, named, folder, executors.process_pool(WORKERS))
    path = results.sweeps_folder() / "controls.csv"
    path.unlink(missing_ok=True)
    print(results.consolidate(folder, "controls"))


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs/controls"), metavar="RUNS"
    )
    script_command.run_main(main, parser)
