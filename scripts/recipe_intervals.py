"""Make data/recipe_intervals.csv: how often the intervals of the page on recipes hold zero.

Sizes that are equally good are simulated, so 90 % of the intervals ought to hold zero.

    python scripts/recipe_intervals.py        # about two minutes of a core
"""

from perflaw.study import script_command
from perflaw.study.analysis import tuned_sizes
from perflaw.study.files import study_file

SIMULATIONS = 1000


def main() -> None:
    """Simulate, and write the counts."""
    path = study_file("data", "recipe_intervals.csv")
    tuned_sizes.simulate_coverage(SIMULATIONS).to_csv(path, lineterminator="\n")
    print(f"{SIMULATIONS} simulations written to {path}")


if __name__ == "__main__":
    script_command.run_main(main, script_command.make_parser(__doc__))
