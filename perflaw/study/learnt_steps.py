"""Steps from the nearest trained cell, shrunk by a share that other logs taught.

Whatever a rule says about a hidden cell is turned into a step from the nearest visible cell,

    ln predicted = ln nearest + share · step,

and the share, between 0 (the nearest cell) and 1 (the rule as it is), is the one with the least
error on other logs. Rule and share for a log are chosen without that log, so its error is one of
prediction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from perflaw.laws import families, fitting
from perflaw.laws.families import Law
from perflaw.laws.law import with_bounds, with_penalty
from perflaw.study import public_grids
from perflaw.study.files import study_file
from perflaw.study.paper import published
from perflaw.study.public_grids import SURFACE
from perflaw.study.trained_cells import nearest_values

SHARES = np.linspace(0, 1, 21)
STRENGTHS = (0.01, 0.1, 1.0)  # of the penalty: shares of the total sum of squares
STEPS, TOWARDS = "step of a law", "towards a law's prediction"
OTHER_LOGS_STEP = 0.1  # a step of 0.1 in the logarithm, of which other logs teach the share


def shrunk_laws(bound: float = families.EQUAL_BOUND) -> dict[str, Law]:
    """Return two laws with their exponents shrunk towards the published ones, by strength.

    The laws are those with an exponent for each axis, and the published exponents the medians over
    the paper's surfaces.
    """
    points = published.load_surfaces()
    names = {"performance": "Performance Law, k = 2", "sum_of_powers": "sum of power laws"}
    laws = {}
    for family, name in names.items():
        law = with_bounds(families.get_law(family), -bound, bound)
        fits = fitting.fit_surfaces(law, points, published.SURFACE).values()
        exponents = pd.DataFrame([fit.parameters[list(law.exponents)] for fit in fits])
        centres = {exponent: float(exponents[exponent].median()) for exponent in law.exponents}
        for strength in STRENGTHS:
            laws[f"{name}, shrunk {strength:g}"] = with_penalty(law, centres, strength)
    return laws


def make_steps(
    surfaces: pd.DataFrame, runs: pd.DataFrame, laws: Mapping[str, Law], joint: pd.DataFrame
) -> pd.DataFrame:
    """Turn every rule's prediction of the largest d into a step from the nearest visible cell.

    Parameters
    ----------
    surfaces, runs : pandas.DataFrame
        What `public_grids.make_surfaces` and `load_runs` return.
    laws : mapping of str to Law
        By name. Each gives two rules: its own step between the two cells ("step of ..."), and the
        step to its prediction ("towards ...").
    joint : pandas.DataFrame
        The joint law's predictions of the largest d, a log hidden at a time: rows of
        `load_joint_errors`. Without rows (they are of NDCG@10 only) it gives no rule.

    Returns
    -------
    pandas.DataFrame
        One row a hidden cell and rule: surface, n_layers, d_emb, value, nearest, rule, step.
    """
    parts = []
    for key, cells in surfaces.groupby(SURFACE):
        is_hidden = public_grids.hide(cells, "largest d")
        visible, hidden = cells[~is_hidden], cells[is_hidden]
        before = hidden.assign(d_emb=visible["d_emb"].max())
        nearest = np.log(nearest_values(visible, hidden))
        steps = {
            "mean step of other logs": np.full(len(hidden), OTHER_LOGS_STEP),
            "loss by the highest dropout": np.full(len(hidden), _dropout_loss(runs, key)),
        }
        for name, law in laws.items():
            fitted = fitting.fit(law, visible, np.log(visible["value"]))
            predicted = fitted.predict(hidden)
            steps[f"step of {name}"] = predicted - fitted.predict(before)
            steps[f"towards {name}"] = predicted - nearest
        if len(joint):
            by_joint = hidden.merge(joint, on=[*SURFACE, "n_layers", "d_emb"])["predicted"]
            steps["towards joint law"] = np.log(by_joint.to_numpy()) - nearest
        rows = hidden[[*SURFACE, "n_layers", "d_emb", "value"]].assign(nearest=np.exp(nearest))
        parts += [rows.assign(rule=rule, step=step) for rule, step in steps.items()]
    return pd.concat(parts, ignore_index=True)


def _dropout_loss(runs: pd.DataFrame, key: tuple) -> float:
    """Compare the lowest dropout with the highest on validation at the largest visible d.

    The median of the logarithm over layers and heads. A model that loses by regularisation is
    short of capacity, not of data.
    """
    surface = runs[(runs[SURFACE] == list(key)).all(axis=1)]
    visible = surface[surface["d_emb"] < surface["d_emb"].max()]
    largest = visible[visible["d_emb"] == visible["d_emb"].max()]
    values = largest.pivot(index=["n_layers", "n_heads"], columns="dropout", values="validation")
    return float(np.log(values.iloc[:, 0] / values.iloc[:, -1]).median())


def errors_by_share(steps: pd.DataFrame) -> pd.DataFrame:
    """Return each surface's mean absolute percentage error, one column a share, by rule."""
    shrunk = np.exp(steps["step"].to_numpy()[:, None] * SHARES)
    ratio = (steps["nearest"] / steps["value"]).to_numpy()[:, None] * shrunk
    errors = pd.DataFrame(100 * np.abs(ratio - 1), columns=SHARES)
    keys = [steps[name].to_numpy() for name in ("rule", *SURFACE)]
    return errors.groupby(keys).mean().rename_axis(["rule", *SURFACE])


def judge_rules(errors: pd.DataFrame) -> pd.DataFrame:
    """Score every rule on each log with the share that the other logs taught.

    Returns
    -------
    pandas.DataFrame
        One row a rule and log: share, and ape, the mean over the log's surfaces.
    """
    logs = errors.index.get_level_values("log")
    rows = []
    for log in logs.unique():
        shares = errors[logs != log].groupby("rule").mean().idxmin(axis=1)
        scored = errors[logs == log].groupby("rule").mean()
        rows += [(rule, log, share, scored.loc[rule, share]) for rule, share in shares.items()]
    return pd.DataFrame(rows, columns=["rule", "log", "share", "ape"])


def choose_rule_by_other_logs(errors: pd.DataFrame) -> pd.DataFrame:
    """Choose rule and share for each log by the other logs, and score both there.

    A rule is judged on the other logs as `judge_rules` does it among them, so that neither its
    share nor its choice sees the scored log.

    Returns
    -------
    pandas.DataFrame
        One row a log: rule, share, ape, nearest (the error of the nearest cell) and tried.
    """
    logs = errors.index.get_level_values("log")
    rows = []
    for log in logs.unique():
        others = judge_rules(errors[logs != log]).groupby("rule")["ape"].mean()
        rule = others.idxmin()
        of_rule = errors.loc[[rule]]
        is_scored = of_rule.index.get_level_values("log") == log
        share = of_rule[~is_scored].mean().idxmin()
        scored = of_rule[is_scored].mean()
        rows.append((log, rule, share, scored[share], scored[0.0], len(others)))
    return pd.DataFrame(rows, columns=["log", "rule", "share", "ape", "nearest", "tried"])


def compare_rule_groups(errors: pd.DataFrame) -> pd.DataFrame:
    """Compare groups of rules, each with rule and share chosen by the other logs.

    Parameters
    ----------
    errors : pandas.DataFrame
        What `errors_by_share` returns.

    Returns
    -------
    pandas.DataFrame
        One row a group and one for all rules together: rules (how many), options (rules times
        shares), SASRec and all (mean errors over logs with the scored log left out), and
        hindsight_SASRec and hindsight_all (the least that one option reaches with every log
        seen: post hoc).
    """
    group = errors.index.get_level_values("rule").map(_rule_group)
    rows = []
    for name in [*dict.fromkeys(group), "all of these"]:
        of_group = errors if name == "all of these" else errors[group == name]
        n_rules = of_group.index.get_level_values("rule").nunique()
        row = {"group": name, "rules": n_rules, "options": n_rules * len(SHARES)}
        is_sasrec = of_group.index.get_level_values("backbone") == "SASRec"
        for column, rows_scored in (("SASRec", of_group[is_sasrec]), ("all", of_group)):
            row[column] = choose_rule_by_other_logs(rows_scored)["ape"].mean()
            by_log = rows_scored.groupby(level=["rule", "log"]).mean()
            row[f"hindsight_{column}"] = by_log.groupby("rule").mean().min(axis=None)
        rows.append(row)
    return pd.DataFrame(rows)


def _rule_group(rule: str) -> str:
    if rule.startswith("step of "):
        return STEPS
    if rule.startswith("towards ") and rule != "towards joint law":
        return TOWARDS
    return rule


def known_step_errors(steps: pd.DataFrame) -> pd.Series:
    """Return each surface's error if its median step were known: what no step rule goes below.

    No rule that gives all depths of a surface one step can do much better.
    """
    cells = steps[steps["rule"] == steps["rule"].iloc[0]]
    surface = [cells[name] for name in SURFACE]
    log_step = np.log(cells["value"] / cells["nearest"])
    median = log_step.groupby(surface).transform("median")
    ape = 100 * (np.exp(median - log_step) - 1).abs()
    return ape.groupby(surface).mean()


def load_joint_errors() -> pd.DataFrame:
    """Load the joint law's predictions on the public grids: data/external/joint_errors.csv."""
    return pd.read_csv(study_file("data", "external", "joint_errors.csv"))


def joint_predictions(joint: pd.DataFrame) -> pd.DataFrame:
    """Arrange `load_joint_errors` as `public_grids.predict_hidden` does its rows.

    The laws are called "joint law, own log hidden" and "joint law, all logs hidden"; covered says
    whether the 90 % interval holds the value.
    """
    whose = np.where(joint["on"] == "all", "all logs", "own log")
    names = [f"joint law, {part} hidden" for part in whose]
    ape = 100 * (joint["predicted"] / joint["value"] - 1).abs()
    is_inside = joint["value"].between(joint["low"], joint["high"])
    covered = is_inside.where(joint["predicted"].notna())
    return joint.assign(law=names, ape=ape, covered=covered).drop(columns=["on", "low", "high"])
