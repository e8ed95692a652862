"""Choices by laws: regret, budgets, and what an oracle could do."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perflaw.study.analysis import (
    extrapolation,
    seed_noise,
    selection,
    study_runs,
)


@pytest.fixture
def table(swept):
    """Surfaces with next to no noise."""
    return study_runs.mean_surfaces(swept(sigma=0.0001))


def choose(table, budgets=(1.0,), noise_of=None, **options):
    """Choices by NDCG@10 and their regret."""
    noise = seed_noise.seed_sd_by_surface(table if noise_of is None else noise_of)
    return selection.selection_regret(table, "NDCG@10", noise, budgets=budgets, **options)


def test_choices_know_the_best(table):
    choices = choose(table)
    whole = choices[choices["cost"] == "parameters"].set_index(["dataset", "rule"])
    of_log = table[(table["metric"] == "NDCG@10") & (table["dataset"] == "a")]
    best = of_log.nlargest(1, "value").iloc[0]
    size = ["n_layers", "d_emb"]
    assert tuple(whole.loc[("a", "log-quadratic"), size]) == (best["n_layers"], best["d_emb"])
    assert whole.loc[("a", "log-quadratic"), selection.REGRET] == 0
    assert tuple(whole.loc[("a", "largest model"), size]) == (6, 64)
    assert (whole.xs("best seen", level="rule")["n_layers"] <= 3).all()


def test_choices_keep_to_the_budget(table):
    choices = choose(table, (1.0, 0.5))
    assert (choices[selection.REGRET] >= 0).all()
    assert (choices["noises"] >= 0).all()
    half = choices[(choices["cost"] == "parameters") & (choices["budget"] == 0.5)].merge(
        table[table["metric"] == "NDCG@10"][["dataset", "n_layers", "d_emb", "parameters"]]
    )
    assert (half["parameters"] <= 0.5 * table["parameters"].max()).all()


def test_one_cell_determines_no_law(table):
    is_least = (table["n_layers"] == 1) & (table["d_emb"] == 8)
    tiny = table[is_least | ~extrapolation.is_small(table)]
    choices = choose(tiny, noise_of=table, keep_measured=True)
    assert not set(choices["rule"]) & set(extrapolation.EXTRAPOLATED_LAWS)


def test_a_measured_value_beats_a_prediction_where_it_is_kept(table):
    is_least = (table["n_layers"] == 1) & (table["d_emb"] == 8)
    one_high = table.assign(value=np.where(is_least, 9.0, table["value"]))
    choices = choose(one_high, noise_of=table, keep_measured=True)
    kept = choices[choices["rule"] == "log-linear"]
    assert (kept["d_emb"] == 8).all()
    assert (kept["n_layers"] == 1).all()
    assert (kept[selection.REGRET] == 0).all()


def test_noise_of_users_makes_regret_smaller_in_units_of_noise(table):
    budgets = (1.0, 0.5)
    by_seeds = choose(table, budgets)
    user_sd = pd.Series(5.0, seed_noise.seed_sd_by_surface(table).index)
    by_both = choose(table, budgets, users=user_sd)
    assert by_both[selection.REGRET].equals(by_seeds[selection.REGRET])
    assert (by_both["noises"] <= by_seeds["noises"]).all()
    # next to no noise between seeds
    noise = 5 * np.sqrt(2 * (1 - seed_noise.SHARED_USER_CORRELATION))
    largest = by_both[selection.REGRET].max() / noise
    assert by_both["noises"].max() == pytest.approx(largest, rel=1e-3)


def test_the_best_seen_is_best_on_validation(table):
    on_test_alone = table["value"].where(table["d_emb"] != 8, 9.0)
    lucky = table.assign(validation=table["value"], value=on_test_alone)
    choices = choose(lucky, noise_of=table)
    assert (choices.loc[choices["rule"] == "best seen", "d_emb"] > 8).all()


def test_an_oracle_is_right_where_there_is_no_noise_and_by_chance_where_there_is_nothing_else(
    swept,
):
    """Of m equal cells, one standard deviation of noise each, one is named.

    It is within √2 of the best if the m - 1 others are below it by no more.
    """
    table = study_runs.mean_surfaces(swept(sigma=0.0001))
    noise = seed_noise.seed_sd_by_surface(table)
    sure = selection.oracle_success_rate(table, "NDCG@10", noise, budgets=(1.0, 0.5), draws=200)
    assert len(sure) == 4 * 3
    assert (sure[["smooth", "rough"]] > 99).all(axis=None)
    flat = table.assign(value=0.2 * (1 + 1e-9 * np.arange(len(table))))
    found = selection.oracle_success_rate(
        flat, "NDCG@10", pd.Series(1.0, noise.index), budgets=(1.0,), draws=4000
    )
    cells = flat[flat["metric"] == "NDCG@10"].groupby("dataset")["seeds"].agg(["size", "nunique"])
    assert (cells["nunique"] == 1).all()
    random = np.random.default_rng(1).normal(size=(20_000, cells["size"].iloc[0]))
    chance = 100 * np.mean(random.max(axis=1) - random[:, 0] <= np.sqrt(2))
    assert found["rough"].mean() == pytest.approx(chance, abs=1.5)
    assert found["rough"].std() < 3


@pytest.mark.integration
def test_luck_of_a_seed_that_chose_does_not_judge(swept):
    runs = swept(sigma=0.0001)
    runs = runs[runs["seed"] < 2]
    is_lucky = (runs["n_layers"] == 1) & (runs["d_emb"] == 8) & (runs["seed"] == 0)
    luck = np.where(is_lucky, 100.0, 1.0)
    runs = runs.assign(**dict.fromkeys(("NDCG@10", "validation NDCG@10"), luck * runs["NDCG@10"]))
    noise = pd.Series(1.0, study_runs.mean_surfaces(runs)["dataset"].unique())
    found = selection.regret_by_seed(runs, "NDCG@10", noise)
    kept = found[(found["rule"] == "best seen") & (found["budget"] == 1.0)]
    by_seeds = kept.groupby("seeds")[selection.REGRET]
    assert by_seeds.max()["0, 0"] == 0  # its own luck judges it
    assert by_seeds.max()["1, 0"] > 100  # of what seed 0 alone has, nothing was seen
    assert by_seeds.min()["0, 1"] > by_seeds.max()["1, 1"]  # a choice by luck, none left
    assert set(found.loc[found["judge"] == selection.OTHER_SEED, "seeds"]) == {"0, 1", "1, 0"}
    one_seed = runs[(runs["seed"] == 0) | (runs["d_emb"] > 8)]
    assert selection.regret_by_seed(
        pd.concat([runs[runs["log"] == "a"], one_seed[one_seed["log"] != "a"]]), "NDCG@10", noise
    )["log"].unique().tolist() == ["a"]


def made_choices():
    """Two rules on three surfaces of two logs: the second rule is two points worse on log b."""
    surfaces = (("a", "a"), ("a, gru", "a"), ("b", "b"))
    rows = [
        (dataset, log, "parameters", budget, rule, regret)
        for dataset, log in surfaces
        for budget in (1.0, 0.5)
        for rule, regret in (("best seen", 1.0), ("law", 3.0 if log == "b" else 1.0))
    ]
    table = pd.DataFrame(
        rows, columns=["dataset", "log", "cost", "budget", "rule", selection.REGRET]
    )
    return table.assign(noises=table[selection.REGRET] / 2)


def test_rules_are_summed_up_with_and_without_a_budget():
    found = selection.summarise_by_rule(made_choices()).set_index("rule")
    law = found.loc["law"]
    assert law["as good"] == pytest.approx(50)  # each log counts once
    assert law[selection.REGRET] == pytest.approx(2)
    assert law["worst"] == 3
    assert law["as good, no budget"] == pytest.approx(50)
    assert found.loc["best seen", "as good"] == 100


def test_intervals_of_choices_are_over_logs():
    found = selection.summarise_by_rule(made_choices()).set_index("rule")
    half = stats.t.ppf(0.95, 1)  # the two logs have a regret of 1 and of 3
    assert found.loc["law", "100 ln regret, high"] == pytest.approx(2 + half)
    assert found.loc["law", "100 ln regret, low"] == 0  # no regret is less
    assert found.loc["best seen", "100 ln regret, high"] == 1
    assert found["as good, high"].max() == 100


def test_rules_are_compared_choice_by_choice():
    found = selection.compare_rules(made_choices()).set_index("rule").loc["law"]
    assert found["mean"] == pytest.approx(1)
    assert found["high"] - 1 == pytest.approx(stats.t.ppf(0.95, 1))
    assert found["low"] == pytest.approx(2 - found["high"])
    assert found["logs"] == 2
