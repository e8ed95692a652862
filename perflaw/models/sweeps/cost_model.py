"""The cost of a run: seconds from its configuration and its data, learnt from the runs done.

A run's time is a sum of parts, each a known amount of work at an unknown pace: multiplications of
each kind of matrix product, numbers read and written, steps. `CostModel` starts from the paces of
one core (`PACES`), scales them to the machine from its first run, and moves to paces of its own as
more are done. How many epochs a run takes before it stops early is a regression on its size.

Tables of runs are those of `results.load_runs`: one row a run, with the columns of its
configuration and its data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from perflaw import model_size

# nanoseconds by unit of work, rough, of one core of a server CPU (fp32), which runs done correct
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
OTHER_BACKBONES = ("llama", "hstu", "gru", "mamba")  # all but sasrec, as which a new one counts
PRIOR_WEIGHT = 0.05  # weight of PACES against the runs done
# share of its epochs that a run needs which may stop early; a guess, until runs are done
PRIOR_EPOCH_SHARE = 0.5
# Rankings after training: test by two rules, and validation once more. If the weights of the least
# loss are of another epoch, there are as many again, which are not counted.
TEST_RANKINGS = 3
TEMPERATURE_RANKINGS = 12  # in addition, for the temperature of a run by binary cross-entropy
FOLDS = 5


def work_units(runs: pd.DataFrame, epochs: pd.Series | None = None) -> pd.DataFrame:
    """Return the units of work of each run by kind.

    Parameters
    ----------
    runs : DataFrame
        One row a run.
    epochs : Series, optional
        Of each run; by default those it had.

    Returns
    -------
    DataFrame
        The columns of `PACES`.
    """
    epochs = runs["done_epochs"] if epochs is None else epochs
    n, d, positions = runs["n_layers"], runs["d_emb"], runs["positions"]
    by_loss = [runs["items"], 2 * (runs["negatives"] + 1)]
    losses = [runs["loss"] == "softmax", runs["loss"] == "bce"]
    scored = np.select(losses, by_loss, runs["negatives"] + 1)
    steps = np.ceil(runs["users"] / runs["batch_size"])
    layer = _layer_weights(runs)
    recurrent = runs["backbone"].isin(list(model_size.STATE_SIZES))
    attended = runs["attention_length"] * ~recurrent
    in_turn = runs["attention_length"] * recurrent
    validations = np.ceil(epochs / runs["validate_every"])
    test_rankings = TEST_RANKINGS + TEMPERATURE_RANKINGS * (runs["loss"] == "bce")
    rankings = validations * runs["validation_targets"] + runs["test_targets"] * test_rankings
    ranked_length = positions / runs["users"]  # positions of a history that is ranked
    # three times the work of a forward pass goes into training
    forward = epochs * positions + rankings * ranked_length / 3
    states = runs["backbone"].map(model_size.STATE_SIZES).fillna(0)
    return pd.DataFrame(
        {
            "products": forward * 3 * n * layer,
            "attention": forward * 6 * n * attended * d,
            "shares": forward * n * attended * runs["n_heads"],
            "states": forward * n * states * d,
            "outputs": epochs * positions * 3 * scored * d,
            "scores": epochs * positions * scored,
            "elements": forward * (n + 1) * d,
            "weights": epochs * steps * (runs["items"] * d + n * layer),
            "calls": epochs * steps * (n + 2),
            "places": epochs * steps * n * in_turn,
            "ranking": rankings * runs["items"],
        }
    ).astype(float)


def _layer_weights(runs: pd.DataFrame) -> np.ndarray:
    """(n,) the weights of one layer of each run."""
    names = list(model_size.LAYER_WEIGHTS)
    groups = [model_size.parameters_by_group(1, runs["d_emb"], backbone=name) for name in names]
    weights = [group["attention"] + group["feed_forward"] for group in groups]
    return np.select([runs["backbone"] == name for name in names], weights)


class CostModel:
    """Seconds of runs, learnt from those done.

    Parameters
    ----------
    done : DataFrame, optional
        Runs; failed ones are left out.
    """

    def __init__(self, done: pd.DataFrame | None = None) -> None:
        self.paces = np.array(list(PACES.values())) * 1e-9
        self.epoch_share: Callable[[np.ndarray], np.ndarray] | None = None
        if done is not None and not done.empty:
            done = done[(done["seconds"] > 0) & work_units(done).notna().all(axis=1)]
        if done is None or done.empty:
            return
        units, seconds = work_units(done).to_numpy(), done["seconds"].to_numpy(float)
        scale = np.median(seconds / (units @ self.paces))
        prior = np.sqrt(PRIOR_WEIGHT) * np.diag(1 / (scale * self.paces))
        prior_ones = np.full(len(self.paces), np.sqrt(PRIOR_WEIGHT))
        rows = np.vstack([units / seconds[:, None], prior])
        self.paces = nnls(rows, np.concatenate([np.ones(len(done)), prior_ones]))[0]
        early = done[done["patience"].notna()]
        if len(early):
            share = (early["done_epochs"] / early["epochs"]).to_numpy(float)
            self.epoch_share = _ridge(_size(early), np.log(share))

    def epochs(self, runs: pd.DataFrame) -> np.ndarray:
        """(n,) how many epochs each run will take."""
        share = np.full(len(runs), PRIOR_EPOCH_SHARE)
        if self.epoch_share is not None:
            share = np.exp(np.minimum(0, self.epoch_share(_size(runs))))
        return np.where(runs["patience"].isna(), 1.0, share) * runs["epochs"].to_numpy(float)

    def seconds(
        self, runs: pd.DataFrame, epochs: np.ndarray | pd.Series | None = None
    ) -> np.ndarray:
        """(n,) what each run will take, of as many epochs as it is predicted or said to need."""
        epochs = self.epochs(runs) if epochs is None else epochs
        return work_units(runs, pd.Series(epochs, runs.index)).to_numpy() @ self.paces


def heldout_costs(done: pd.DataFrame) -> pd.DataFrame:
    """Predict the seconds of runs from the others, in five folds at random.

    Returns
    -------
    DataFrame
        seconds, done_epochs, predicted (before the run starts), `predicted, epochs known` and
        `epochs predicted`.
    """
    done = done[done["done_epochs"].notna()].reset_index(drop=True)
    fold = np.random.default_rng(0).permutation(len(done)) % FOLDS
    table = done[["seconds", "done_epochs"]].copy()
    for k in range(FOLDS):
        model, hidden = CostModel(done[fold != k]), done[fold == k]
        with_epochs = model.seconds(hidden, hidden["done_epochs"])
        table.loc[fold == k, "predicted"] = model.seconds(hidden)
        table.loc[fold == k, "predicted, epochs known"] = with_epochs
        table.loc[fold == k, "epochs predicted"] = model.epochs(hidden)
    return table


def _size(runs: pd.DataFrame) -> np.ndarray:
    """(n, k) what decides when a run stops, as far as is known before it starts."""
    names = ("n_layers", "d_emb", "tokens", "learning_rate")
    columns = [np.log(runs[name].to_numpy(float)) for name in names]
    columns.append(runs["dropout"].to_numpy(float))
    columns += [(runs["loss"] == loss).to_numpy(float) for loss in ("bce", "softmax")]
    columns += [(runs["backbone"] == name).to_numpy(float) for name in OTHER_BACKBONES]
    return np.column_stack(columns)


def _ridge(x: np.ndarray, y: np.ndarray) -> Callable:
    """Ridge regression of strength 1 around the means: a function of x."""
    x_mean, y_mean = x.mean(0), y.mean()
    centred = x - x_mean
    covariance = centred.T @ centred + np.eye(x.shape[1])
    slope = np.linalg.solve(covariance, centred.T @ (y - y_mean))
    return lambda new: y_mean + (new - x_mean) @ slope
