"""Say what following the advice of reports costs, and write data/regret.csv.

    python scripts/regret.py

The pilots are the small models of the sweeps in data/sweeps/; each log is left out of the prior.
"""

import forecast as forecasts
import pandas as pd

from perflaw.study import script_command
from perflaw.study.analysis import regret
from perflaw.study.files import study_file


def main() -> None:
    """Write the table, and print it and its summary."""
    sweeps = forecasts.surfaces()
    priors = {
        left_out: forecasts.learn([runs for (log, _), runs in sweeps.items() if log != left_out])
        for left_out in {log for log, _ in sweeps}
    }
    scored = regret.score_advice(sweeps, priors, regret.load_best_baselines())
    path = study_file("data", "regret.csv")
    scored.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(scored.round(4).to_string())
    print(regret.summarize_regret(scored).round(3).to_string())


if __name__ == "__main__":
    pd.set_option("display.width", 300)
    script_command.run_main(main, script_command.make_parser(__doc__))
