"""Make data/published/held_out_errors.csv and shrunk_predictions.csv: laws on hidden cells.

    python scripts/held_out_errors.py        # about five minutes of a core

held_out_errors.csv has the columns law, split, log, mape (mean absolute percentage error over the
cells of a surface, then over the surfaces of the log; the log 'all' is the mean over logs) and
bound (every exponent of every law lies within plus or minus this). Laws called joint see every
surface at once, the others one at a time. shrunk_predictions.csv has one row a hidden cell of the
laws whose exponents are shrunk towards those of the other logs.
"""

import pandas as pd

from perflaw.laws import families, mixed_validation, validation
from perflaw.study import script_command
from perflaw.study.files import study_file
from perflaw.study.paper import held_out, published

COLUMNS = ["law", "strength", *published.SURFACE, "split", "row", "value", "predicted"]


def main() -> None:
    """Write both tables, and print the means over logs."""
    points = published.load_surfaces()
    shrunk = pd.concat([held_out.shrunk_heldout(points, family) for family in held_out.SHRUNK])
    path = study_file("data", "published", "shrunk_predictions.csv")
    shrunk[COLUMNS].to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
    bound = families.EQUAL_BOUND
    alone = validation.heldout_by_surface(families.rival_laws(bound), points, published.SURFACE)
    joint = mixed_validation.mixed_heldout(points)
    cells = pd.concat([alone, shrunk, joint], ignore_index=True)
    by_log = validation.mean_errors(cells, published.SURFACE, keep=["dataset"])
    overall = validation.mean_errors(cells, published.SURFACE).assign(log="all")
    parts = [by_log.rename(columns={"dataset": "log"}), overall]
    table = pd.concat(parts, ignore_index=True)[["law", "split", "log", "mape"]]
    path = study_file("data", "published", "held_out_errors.csv")
    table.round(4).assign(bound=bound).to_csv(path, index=False)
    shown = overall.pivot_table(index="law", columns="split", values="mape")
    print(shown.round(2).to_string())


if __name__ == "__main__":
    script_command.run_main(main, script_command.make_parser(__doc__))
