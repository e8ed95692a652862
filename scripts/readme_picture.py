"""Draw book/_static/findings.svg, the picture of the README: the front page's figure.

    python scripts/readme_picture.py

The means that are drawn stand in the picture's description, so that a test can tell when it is old.
"""

import json

import matplotlib.pyplot as plt

from perflaw.plotting import style_context
from perflaw.study import figures, script_command
from perflaw.study.analysis import findings
from perflaw.study.files import study_file

METRIC, LEVEL, DRAWS = "NDCG@10", 0.9, 4000


def main() -> None:
    """Draw the figure of the page with its default parameters, on white."""
    panels = findings.make_panels(
        findings.errors_of_larger_models(METRIC, LEVEL),
        findings.worth_of_data(METRIC, LEVEL, DRAWS),
        findings.quality_of_choices(findings.rate_choices(METRIC), LEVEL),
    )
    with style_context({"savefig.facecolor": "white"}):
        figure = figures.plot_answer(panels, findings.OF_PAPER, findings.SIMPLE)
        described = {"Date": None, "Description": json.dumps(findings.describe_panels(panels))}
        figure.savefig(study_file("book", "_static", "findings.svg"), metadata=described)
        plt.close(figure)


if __name__ == "__main__":
    script_command.run_main(main, script_command.make_parser(__doc__))
