"""What a run will cost: seconds from its configuration and its data, learnt from the runs done.

A run's time is a sum of parts, each a known amount of work at an unknown pace: multiplications
of each kind of matrix product, numbers read and written, steps. `CostModel` starts from the paces of one
core (PACES), scales them to the machine from its first run, and moves to paces of its own as more are done.
How many epochs a run takes before it stops early is a regression on its size.

Rows of work are those of `sweeps.load`: one a run, with the columns of its configuration and its data.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from perflaw import model_size

# nanoseconds by unit of work, rough, of one core of a server CPU (fp32): a start, which runs done correct
PACES = {
    "products": 0.035,  # multiplications with weights
    "attention": 0.05,  # of queries, keys and values
    "shares": 0.5,  # numbers in the tables of attention
    "states": 12.0,  # numbers of state that a selective layer carries on
    "outputs": 0.04,  # multiplications in the output layer
    "scores": 0.6,  # numbers that come out of it
    "elements": 1.5,  # numbers passed between layers
    "weights": 0.4,  # of them, that the optimiser reads and writes, by step
    "calls": 60_000.0,  # of a layer, by step
    "places": 120_000.0,  # of a history that a recurrent layer takes in turn, by step
    "ranking": 2.0,  # scores that are ranked
}
PRIOR_WEIGHT = 0.05  # how much PACES weigh against the runs done
PRIOR_EPOCH_SHARE = (
    0.5  # of the epochs allowed, a run that may stop early is taken to need before any is done
)


def work_units(runs: pd.DataFrame, epochs=None) -> pd.DataFrame:
    """The units of work of each run by kind (the columns of PACES), for so many epochs or those it had."""
    r = runs
    epochs = r["done_epochs"] if epochs is None else epochs
    n, d, tokens = r["n_layers"], r["d_emb"], r["positions"]
    scored = np.select(
        [r["loss"] == "softmax", r["loss"] == "bce"],
        [r["items"], 2 * (r["negatives"] + 1)],
        r["negatives"] + 1,
    )
    steps = np.ceil(r["users"] / r["batch_size"])
    weights = {
        name: model_size.parameters_by_group(1, d, backbone=name)
        for name in model_size.LAYER_WEIGHTS
    }
    layer = np.select(
        [r["backbone"] == name for name in weights],
        [of["attention"] + of["feed_forward"] for of in weights.values()],
    )
    recurrent = r["backbone"].isin(list(model_size.STATE_SIZES))
    attended, taken = r["attention_length"] * ~recurrent, r["attention_length"] * recurrent
    validations = np.ceil(epochs / r["validate_every"])
    rankings = validations * r["validation_targets"] + r["test_targets"] * (
        3 + 12 * (r["loss"] == "bce")
    )
    seen = tokens / r["users"]  # positions of a history that is ranked
    forward = (
        epochs * tokens + rankings * seen / 3
    )  # three times the work of a forward pass goes into training
    return pd.DataFrame(
        {
            "products": forward * 3 * n * layer,
            "attention": forward * 6 * n * attended * d,
            "shares": forward * n * attended * r["n_heads"],
            "states": forward * n * r["backbone"].map(model_size.STATE_SIZES).fillna(0) * d,
            "outputs": epochs * tokens * 3 * scored * d,
            "scores": epochs * tokens * scored,
            "elements": forward * (n + 1) * d,
            "weights": epochs * steps * (r["items"] * d + n * layer),
            "calls": epochs * steps * (n + 2),
            "places": epochs * steps * n * taken,
            "ranking": rankings * r["items"],
        }
    ).astype(float)


class CostModel:
    """Seconds of runs, learnt from those done (a frame as `sweeps.load` gives it; failed ones are left out)."""

    def __init__(self, done: pd.DataFrame | None = None):
        paces = np.array(list(PACES.values())) * 1e-9
        self.paces, self.halting = paces, None
        if done is not None and not done.empty:
            done = done[(done["seconds"] > 0) & work_units(done).notna().all(axis=1)]
        if done is None or done.empty:
            return
        units, seconds = work_units(done).to_numpy(), done["seconds"].to_numpy(float)
        scale = np.median(seconds / (units @ paces))
        rows = np.vstack(
            [units / seconds[:, None], np.sqrt(PRIOR_WEIGHT) * np.diag(1 / (scale * paces))]
        )
        self.paces = nnls(
            rows, np.concatenate([np.ones(len(done)), np.full(len(paces), np.sqrt(PRIOR_WEIGHT))])
        )[0]
        early = done[done["patience"].notna()]
        if len(early):
            share = np.log(early["done_epochs"] / early["epochs"])
            self.halting = _ridge(_size(early), share.to_numpy(float))

    def epochs(self, runs: pd.DataFrame) -> np.ndarray:
        """How many epochs each run will take."""
        share = (
            np.full(len(runs), PRIOR_EPOCH_SHARE)
            if self.halting is None
            else np.exp(np.minimum(0, self.halting(_size(runs))))
        )
        return np.where(runs["patience"].isna(), 1.0, share) * runs["epochs"].to_numpy(float)

    def seconds(self, runs: pd.DataFrame, epochs=None) -> np.ndarray:
        """What each run will take, of as many epochs as it is predicted or said to need."""
        epochs = self.epochs(runs) if epochs is None else epochs
        return work_units(runs, pd.Series(epochs, runs.index)).to_numpy() @ self.paces


def heldout_costs(done: pd.DataFrame, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """Seconds of runs predicted from the others, in so many folds at random.

    Columns: seconds, predicted (before the run starts), `predicted, epochs known` and `epochs predicted` (done_epochs beside it).
    """
    done = done[done["done_epochs"].notna()].reset_index(drop=True)
    fold = np.random.default_rng(seed).permutation(len(done)) % folds
    found = pd.DataFrame({"seconds": done["seconds"], "done_epochs": done["done_epochs"]})
    for k in range(folds):
        model, hidden = CostModel(done[fold != k]), done[fold == k]
        found.loc[fold == k, "predicted"] = model.seconds(hidden)
        found.loc[fold == k, "predicted, epochs known"] = model.seconds(
            hidden, hidden["done_epochs"]
        )
        found.loc[fold == k, "epochs predicted"] = model.epochs(hidden)
    return found


def _size(runs):
    """What decides when a run stops, as far as is known before it starts."""
    logs = [
        np.log(runs[name].astype(float))
        for name in ("n_layers", "d_emb", "tokens", "learning_rate")
    ]
    kinds = [(runs["loss"] == kind).astype(float) for kind in ("bce", "softmax")]
    kinds += [
        (runs["backbone"] == kind).astype(float) for kind in ("llama", "hstu", "gru", "mamba")
    ]
    return np.column_stack([*logs, runs["dropout"].astype(float), *kinds])


def _ridge(x, y, strength=1.0):
    """Ridge regression around the means: a function of x."""
    middle, level = x.mean(0), y.mean()
    slope = np.linalg.solve(
        (x - middle).T @ (x - middle) + strength * np.eye(x.shape[1]), (x - middle).T @ (y - level)
    )
    return lambda new: level + (new - middle) @ slope
