"""How often the joint law claims what is not there: recorded draws, and a few made again."""

from __future__ import annotations

import pandas as pd

from perflaw.laws.families import AXES
from perflaw.study.files import study_file
from perflaw.study.paper import simulation

# Kind of control → the claim that is false there, and the axes on which it is.
CONTROLS = {"no decline": ("decline", list(AXES)), "no effect of d": ("effect", ["d_emb"])}
WHO = {"both": "", "law": "law_", "free": "free_"}


def simulate_false_claims(
    kind: str, points: pd.DataFrame, n_draws: int, seed: int = 0
) -> pd.DataFrame:
    """Simulate sets of surfaces on which a claim is false, and see who claims it of any log.

    Parameters
    ----------
    kind : str
        One of `CONTROLS`.
    points : pandas.DataFrame
        Surfaces whose cells are simulated.
    n_draws, seed : int
        Number of sets, and the seed of their draw.

    Returns
    -------
    pandas.DataFrame
        One row a draw: kind, draw, and booleans both (the two tests together), law (the joint law
        alone) and free (the analysis of variance alone).
    """
    claim, axes = CONTROLS[kind]
    drawn = simulation.negative_control(kind, points, n_draws, seed=seed)
    by_draw = drawn[drawn["axis"].isin(axes)].groupby("draw")
    claims = {who: by_draw[f"{prefix}{claim}"].any() for who, prefix in WHO.items()}
    return pd.DataFrame(claims).reset_index().assign(kind=kind)[["kind", "draw", *WHO]]


def load_false_claims() -> pd.DataFrame:
    """Load the recorded draws on the published surfaces (data/negative_control.csv)."""
    return pd.read_csv(study_file("data", "negative_control.csv"))
