"""Make data/negative_control.csv: what is claimed of simulated surfaces without what is claimed.

For each kind of control and each draw, whether any log is claimed to decline (or its d to have an
effect): by both tests together, by the joint law alone and by the analysis of variance alone. The
page on planning reads it and draws the first few again.

    python scripts/negative_control.py        # about five minutes of a core
"""

import pandas as pd

from perflaw.study import script_command
from perflaw.study.analysis import false_claims
from perflaw.study.files import study_file
from perflaw.study.paper import published

DRAWS = 1000


def main() -> None:
    """Simulate both kinds, and write the draws."""
    points = published.load_surfaces()
    kinds = false_claims.CONTROLS
    draws = pd.concat([false_claims.simulate_false_claims(kind, points, DRAWS) for kind in kinds])
    path = study_file("data", "negative_control.csv")
    draws.to_csv(path, index=False, lineterminator="\n")
    print(f"{len(draws)} draws written to {path}")


if __name__ == "__main__":
    script_command.run_main(main, script_command.make_parser(__doc__))
