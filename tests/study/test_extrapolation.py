"""Evidence from sweeps: noise and steps, recovered where they are known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.laws import families
from perflaw.models.sweeps import runner
from perflaw.study.analysis import (
    data_size,
    extrapolation,
    regularisation,
    seed_noise,
    selection,
    split_comparison,
    study_runs,
    transfer,
)


def drawn(sigma, n_seeds=40, seed=0):
    """Runs of a surface that is known, with noise of that relative size."""
    random, rows = np.random.default_rng(seed), []
    for n in (1, 2, 4):
        for d in (8, 16, 32, 64):
            for s in range(n_seeds):
                truth = 0.1 * (1 + 0.1 * np.log2(d / 8)) * (0.9 if n == 4 else 1.0)
                rows.append(
                    {
                        "log": "drawn",
                        "n_layers": n,
                        "d_emb": d,
                        "seed": s,
                        "NDCG@10": truth * np.exp(sigma * random.normal()),
                    }
                )
    return pd.DataFrame(rows)


def test_noise_is_recovered():
    assert seed_noise.seed_sd_by_log(runner.aggregate_seeds(drawn(0.05)))["drawn"] == pytest.approx(
        5, rel=0.06
    )


def test_steps_are_recovered_and_their_errors_are_right():
    truth = {
        ("n_layers", 2): 0,
        ("n_layers", 4): 100 * np.log(0.9),
        ("d_emb", 16): 100 * np.log(1.1),
        ("d_emb", 32): 100 * np.log(1.2 / 1.1),
        ("d_emb", 64): 100 * np.log(1.3 / 1.2),
    }
    off = []
    for seed in range(60):
        found = seed_noise.marginal_gains(runner.aggregate_seeds(drawn(0.03, 3, seed)), level=0.9)
        known = np.array(
            [truth[axis, larger] for axis, larger in zip(found["axis"], found["larger"])]
        )
        off += list((found["change"] - known) / found["se"])
        assert (found.loc[found["axis"] == "n_layers", "pairs"] == 4).all() and (
            found.loc[found["axis"] == "d_emb", "pairs"] == 3
        ).all()
    assert np.std(off) == pytest.approx(1, abs=0.15) and abs(np.mean(off)) < 0.2


def test_cells_without_both_ends_are_left_out():
    runs = drawn(0.02, 2)
    runs = runs[~((runs["n_layers"] == 4) & (runs["d_emb"] > 8))]
    found = seed_noise.marginal_gains(runner.aggregate_seeds(runs))
    assert found.query("axis == 'n_layers' and larger == 4")["pairs"].item() == 1


def test_without_seeds_there_is_no_noise():
    with pytest.raises(InputError, match="no cell of drawn was run with two seeds"):
        seed_noise.marginal_gains(runner.aggregate_seeds(drawn(0.02, 1)))


def test_a_level_must_be_one():
    with pytest.raises(InputError, match="level"):
        seed_noise.marginal_gains(runner.aggregate_seeds(drawn(0.02, 2)), level=90)


def test_what_holds_under_one_split_is_asked_of_the_other():
    by_user = swept(("sasrec",), seeds=3)
    by_time = by_user[by_user["d_emb"] < 64].assign(split="global time")
    by_time["NDCG@10"] *= np.where((by_time["n_layers"] == 1) & (by_time["d_emb"] == 8), 2.0, 0.8)
    table = study_runs.mean_surfaces(pd.concat([by_user, by_time], ignore_index=True))
    found = (
        split_comparison.compare_splits(table, "NDCG@10", pd.Series(3.0, table["dataset"].unique()))
        .set_index("log")
        .loc["a"]
    )
    value = by_time[by_time["log"] == "a"].groupby(["n_layers", "d_emb"])["NDCG@10"].mean()
    chosen = (
        by_user[(by_user["log"] == "a") & (by_user["d_emb"] < 64)]
        .groupby(["n_layers", "d_emb"])["NDCG@10"]
        .mean()
        .idxmax()
    )
    assert (
        found["cells"] == len(value)
        and found["best, global time"] == "N 1, d 8"
        and found["best, leave one out"] == "N {}, d {}".format(*chosen)
    )
    assert found["regret"] == pytest.approx(100 * np.log(value.max() / value[chosen])) and found[
        "noises"
    ] == pytest.approx(found["regret"] / (3 * np.sqrt(2 / 3)))
    assert found["correlation"] == pytest.approx(
        0.5
    )  # of eleven cells in one order the last comes first: 1 - 6 · 110 / (11 · 120)
    assert split_comparison.compare_splits(
        table[table["split"] == "global time"], "NDCG@10", pd.Series(3.0, table["dataset"].unique())
    ).empty


# ---------------------------------------------------------------- surfaces

CELLS = [(n, d) for n in (1, 2, 3, 6) for d in (8, 16, 32, 64) if not (n == 6 and d == 8)]


def swept(backbones=("sasrec", "llama"), sigma=0.0, seeds=2, seed=0, bend=0.03):
    """Runs of two backbones on two logs: log-quadratic surfaces that share their curvature, as a table of sweeps."""
    random, rows = np.random.default_rng(seed), []
    for log, level in (("a", 0.1), ("b", 0.2)):
        for backbone in backbones:
            lift = 1.3 if backbone == "llama" else 1.0
            for n, d in CELLS:
                for s in range(seeds):
                    y = (
                        level
                        * lift
                        * np.exp(
                            0.1 * np.log(d / 8)
                            - bend * np.log(d / 8) ** 2
                            + 0.04 * np.log(n)
                            + sigma * random.normal()
                        )
                    )
                    plain = {
                        "split": "leave one out",
                        "loss": "sampled_softmax",
                        "max_seq_len": 50,
                        "dropout": 0.2,
                        "shared_layers": False,
                        "parameters": 1000 * d + 6 * n * d * d,
                    }
                    rows.append(
                        {
                            "log": log,
                            "backbone": backbone,
                            "n_layers": n,
                            "d_emb": d,
                            "seed": s,
                            **plain,
                            "HR@10": 2 * y,
                            "NDCG@10": y,
                        }
                    )
    return pd.DataFrame(rows).assign(**dict.fromkeys(runner.PERTURBATIONS, np.nan))


def halves(table):
    small = (table["n_layers"] <= 3) & (table["d_emb"] <= 32)
    return table[small], table[~small]


def test_surfaces_have_names_and_leave_out_what_is_no_surface():
    runs = swept()
    runs.loc[0, "truncate"] = 10
    runs.loc[1, "shared_layers"] = True
    runs.loc[2, "NDCG@10"] = np.nan
    table = study_runs.mean_surfaces(runs)
    assert list(dict.fromkeys(table["dataset"])) == ["a", "a, llama", "b", "b, llama"]
    first = table[(table["dataset"] == "a") & (table["metric"] == "NDCG@10")].set_index(
        ["n_layers", "d_emb"]
    )
    assert (
        (1, 8) not in first.index
        and first.loc[(1, 16), "seeds"] == 1
        and first.loc[(1, 32), "seeds"] == 2
    )
    assert (
        study_runs.mean_surfaces(runs.assign(split="global time", loss="softmax"))["dataset"].iloc[0]
        == "a, global time, softmax"
    )
    runs.loc[5, "dropout"] = 0.5
    with pytest.raises(InputError, match="runs on a differ in dropout"):
        study_runs.mean_surfaces(runs)


def test_laws_foretell_a_surface_that_they_hold_and_their_intervals_cover():
    covered, errors = [], []
    for seed in range(6):
        small, large = halves(study_runs.mean_surfaces(swept(sigma=0.02, seed=seed)))
        told = extrapolation.extrapolate(small, large.drop_duplicates(["n_layers", "d_emb"]), level=0.9)
        found = extrapolation.score_predictions(told, large, pd.Series(2.0, large["dataset"].unique()))
        joint = found[found["law"] == "joint law"]
        covered.append(found.loc[found["law"] == "log-quadratic", "covered"].mean())
        errors.append(joint["ape"].mean())
        assert set(told["law"]) == {
            *extrapolation.EXTRAPOLATED_LAWS,
            "joint law",
        } and not told.isna().any(axis=None)
        assert np.allclose(found["noises"], found["ape"] / (2 / np.sqrt(2)))
    assert 0.8 <= np.mean(covered) <= 0.98 and np.mean(errors) < 6


def test_a_law_that_the_values_do_not_determine_says_nothing():
    small, large = halves(study_runs.mean_surfaces(swept(sigma=0.01)))
    told = extrapolation.extrapolate(small[small["n_layers"] <= 2], large.head(3))
    assert "log-linear" in set(told["law"]) and not {
        "sum of powers",
        "Performance Law, k = 2",
    } & set(told["law"])


def test_choices_know_the_best_and_keep_to_the_budget():
    table = study_runs.mean_surfaces(swept(sigma=0.0001))
    noise = seed_noise.seed_sd_by_surface(table)
    found = selection.selection_regret(table, "NDCG@10", noise, budgets=(1.0, 0.5))
    whole = found[(found["of"] == "parameters") & (found["budget"] == 1.0)].set_index(
        ["dataset", "rule"]
    )
    best = (
        table[(table["metric"] == "NDCG@10") & (table["dataset"] == "a")]
        .nlargest(1, "value")
        .iloc[0]
    )
    assert tuple(whole.loc[("a", "log-quadratic"), ["n_layers", "d_emb"]]) == (
        best["n_layers"],
        best["d_emb"],
    )
    assert whole.loc[("a", "log-quadratic"), "regret"] == 0 and tuple(
        whole.loc[("a", "largest model"), ["n_layers", "d_emb"]]
    ) == (6, 64)
    assert (found["regret"] >= 0).all() and (found["noises"] >= 0).all()
    assert (whole.xs("best seen", level="rule")["n_layers"] <= 3).all()
    kept = selection.selection_regret(
        table, "NDCG@10", noise, budgets=(1.0,), small=(1, 8), kept=True
    )
    assert not set(kept["rule"]) & set(extrapolation.EXTRAPOLATED_LAWS)  # one cell determines no law
    mixed = table.assign(
        value=np.where((table["n_layers"] == 1) & (table["d_emb"] == 8), 9.0, table["value"])
    )
    _bare, kept = (
        selection.selection_regret(mixed, "NDCG@10", noise, budgets=(1.0,), kept=kept).query(
            "rule == 'log-linear'"
        )
        for kept in (False, True)
    )
    assert (
        (kept["d_emb"] == 8).all() and (kept["n_layers"] == 1).all() and (kept["regret"] == 0).all()
    )  # measured, and never doubted
    wide = selection.selection_regret(
        table, "NDCG@10", noise, pd.Series(5.0, noise.index), budgets=(1.0, 0.5)
    )
    assert wide["regret"].equals(found["regret"]) and (wide["noises"] <= found["noises"]).all()
    assert wide["noises"].max() == pytest.approx(
        wide["regret"].max() / (5 * np.sqrt(2 * (1 - selection.SHARED_USER_CORRELATION))), rel=1e-3
    )  # next to no noise between seeds
    lucky = table.assign(validation=table["value"]).assign(
        value=lambda rows: rows["value"].where(rows["d_emb"] != 8, 9.0)
    )  # on test alone
    assert (
        selection.selection_regret(lucky, "NDCG@10", noise, budgets=(1.0,)).query(
            "rule == 'best seen'"
        )["d_emb"]
        > 8
    ).all()
    half = found[(found["of"] == "parameters") & (found["budget"] == 0.5)].merge(
        table[table["metric"] == "NDCG@10"][["dataset", "n_layers", "d_emb", "parameters"]]
    )
    assert (half["parameters"] <= 0.5 * table["parameters"].max()).all()


def test_an_oracle_is_right_where_there_is_no_noise_and_by_chance_where_there_is_nothing_else():
    """Of m equal cells, one deviation each, the named one is within √2 of the best with the chance that m - 1 others are below it by no more."""
    table = study_runs.mean_surfaces(swept(sigma=0.0001))
    noise = seed_noise.seed_sd_by_surface(table)
    sure = selection.oracle_success_rate(table, "NDCG@10", noise, budgets=(1.0, 0.5), draws=200)
    assert len(sure) == 4 * 3 and (sure[["smooth", "rough"]] > 99).all(axis=None)
    flat = table.assign(value=0.2 * (1 + 1e-9 * np.arange(len(table))))
    found = selection.oracle_success_rate(
        flat, "NDCG@10", pd.Series(1.0, noise.index), budgets=(1.0,), draws=4000
    )
    cells = flat[flat["metric"] == "NDCG@10"].groupby("dataset")["seeds"].agg(["size", "nunique"])
    assert (cells["nunique"] == 1).all()
    random = np.random.default_rng(1).normal(size=(20_000, cells["size"].iloc[0]))
    chance = 100 * np.mean(random.max(axis=1) - random[:, 0] <= np.sqrt(2))
    assert found["rough"].mean() == pytest.approx(chance, abs=1.5) and found["rough"].std() < 3


def test_rules_are_summed_up_with_and_without_a_budget():
    told = pd.DataFrame(
        {
            "rule": ["a", "b"] * 3,
            "of": "parameters",
            "budget": [1.0, 1.0, 0.5, 0.5, 0.5, 0.5],
            "noises": [0.0, 2.0, 1.0, 0.5, 3.0, 4.0],
            "regret": [0.0, 4.0, 2.0, 1.0, 7.0, 7.0],
        }
    )
    found = selection.summarise_by_rule(told).set_index("rule")
    assert found.loc["a"].tolist() == pytest.approx([200 / 3, 3, 7, 100, 0]) and found.loc[
        "b"
    ].tolist() == pytest.approx([100 / 3, 4, 7, 0, 4])


def test_predictions_are_judged_in_noise_units_and_by_law():
    told = {
        "dataset": "a",
        "n_layers": [1, 6, 1, 6],
        "law": ["x", "x", "y", "y"],
        "predicted": 1.0,
        "low": 0.8,
        "high": 1.2,
        "covered": [True, False, True, True],
    }
    found = pd.DataFrame(
        told | {"ape": [4.0, 8.0, 2.0, 6.1], "unit": 3.0, "noises": [4 / 3, 8 / 3, 2 / 3, 2.0]}
    )
    cells, means = extrapolation.summarise_by_law(found, pd.Series({"a": 2.6}))
    assert cells["allowed"].to_numpy() == pytest.approx(1.5 * np.hypot(3.0, 2.6)) and cells[
        "within"
    ].tolist() == [True, False, True, False]
    assert (
        means["law"].tolist() == ["x", "y"]
        and means["error"].tolist() == pytest.approx([6, 4.05])
        and means["larger N"].tolist() == [8, 6.1]
    )
    assert means[["within", "covered", "width"]].to_numpy() == pytest.approx(
        np.array([[50, 50, 20], [50, 100, 20]])
    )
    assert (
        extrapolation.summarise_by_law(found, pd.Series({"a": 0.0}))[0]["allowed"].tolist() == [4.5] * 4
    )


def test_a_surface_is_dated_by_its_first_large_model():
    runs = swept().assign(
        finished=[f"2026-01-01T{i // 60:02}:{i % 60:02}Z" for i in range(len(swept()))]
    )
    large = runs[(runs["n_layers"] > 3) | (runs["d_emb"] > 32)]
    found = extrapolation.first_large_run(runs)
    assert set(found.index) == {"a", "a, llama", "b", "b, llama"}
    assert (
        found["a, llama"]
        == large.loc[(large["log"] == "a") & (large["backbone"] == "llama"), "finished"].min()
    )


def test_a_law_that_says_twice_what_comes_is_believed_by_half():
    rows, random = [], np.random.default_rng(0)
    for dataset in "abcd":
        for n in (1, 2, 3, 6):
            change = 0.1 * random.normal()
            for law, said in (("constant", 0.0), ("joint law", 2 * change)):
                rows.append(
                    {
                        "dataset": dataset,
                        "law": law,
                        "n_layers": n,
                        "d_emb": 64,
                        "predicted": 0.2 * np.exp(said),
                        "value": 0.2 * np.exp(change if dataset != "d" else 2 * change),
                    }
                )
    found = extrapolation.shrink_predictions(pd.DataFrame(rows), learn=["a", "b", "c"]).set_index(
        "dataset"
    )
    assert found["share"].to_numpy() == pytest.approx(0.5) and found["tempered"].to_numpy()[
        :3
    ] == pytest.approx(0, abs=1e-9)
    assert (
        found.loc["d", "joint law"] == pytest.approx(0, abs=1e-9) and found.loc["d", "tempered"] > 1
    )
    assert (
        extrapolation.shrink_predictions(pd.DataFrame(rows)).set_index("dataset").loc["a", "share"]
        > 0.55
    )


def test_means_over_surfaces_have_intervals_that_cover():
    random, inside = np.random.default_rng(0), []
    for seed in range(100):
        values = pd.DataFrame(
            {
                "law": "x",
                "dataset": np.repeat(np.arange(20), 5),
                "ape": np.repeat(random.normal(5, 1, 20), 5),
            }
        )
        found = seed_noise.bootstrap_means(values, "law", "ape", seed=seed, draws=500).iloc[0]
        inside.append(found["low"] <= 5 <= found["high"])
        assert found["low"] < found["mean"] < found["high"] and found["mean"] == pytest.approx(
            values["ape"].mean()
        )
    assert 0.8 <= np.mean(inside) <= 0.97


def test_a_law_is_carried_to_a_backbone_that_differs_by_a_factor_with_one_run():
    table = study_runs.mean_surfaces(swept())
    found = transfer.transfer_errors(
        table, "a", "a, llama", law=families.log_quadratic(), runs=(1, 4), draws=50
    ).set_index(["runs", "rule"])["ape"]
    assert (
        found[1, "carried law"] < 0.5 < found[1, "mean of the runs"]
        and (4, "a line of its own") in found
        and (1, "a line of its own") not in found
    )
    with pytest.raises(InputError, match="no surface 'c'"):
        transfer.transfer_errors(table, "a", "c")


def test_a_whole_log_is_predicted_from_what_decides_it():
    random = np.random.default_rng(0)
    logs = pd.DataFrame(
        {"log": list("abcdef"), "x": random.normal(size=6), "other": random.normal(size=6)}
    )
    logs["NDCG@10"] = 0.1 * np.exp(0.7 * logs["x"])
    found = (
        transfer.leave_one_log_out(logs, {"mean of logs": [], "x": ["x"]})
        .groupby("candidate")["ape"]
        .mean()
    )
    assert found["x"] < 1e-6 < 10 < found["mean of logs"]
    with pytest.raises(InputError, match="3 logs are too few"):
        transfer.leave_one_log_out(logs.head(3), {"both": ["x", "other"]})


# ---------------------------------------------------------------- regularisation, depth, data


def test_regularisation_is_chosen_by_validation_and_never_by_test():
    rows = []
    for n, d in ((1, 16), (6, 128)):
        for dropout in (0.0, 0.5):
            for rate in (0.001, 0.003):
                good = (dropout == 0.5) == (d == 128) and rate == 0.001
                rows.append(
                    {
                        "n_layers": n,
                        "d_emb": d,
                        "dropout": dropout,
                        "learning_rate": rate,
                        "validation NDCG@10": 0.2 if good else 0.1,
                        "NDCG@10": 0.1 if good else 0.2 + dropout,
                    }
                )
    told = regularisation.tuned_by_size(pd.DataFrame(rows))
    assert (
        list(told["chosen"]) == [0.1, 0.1]
        and list(told["its dropout"]) == [0.0, 0.5]
        and list(told["its rate"]) == [0.001, 0.001]
    )
    assert (
        list(told["dropout 0.5"]) == [0.7, 0.7] and regularisation.decline_from_best(told, "chosen") == 0
    )
    assert regularisation.decline_from_best(told.assign(chosen=[0.2, 0.1]), "chosen") == pytest.approx(
        -100 * np.log(2)
    )


def test_depth_compares_cells_that_were_run_both_ways():
    runs = swept(backbones=("sasrec",)).query("log == 'a'")
    shared = runs[runs["n_layers"] > 1].assign(
        shared_layers=True, **{"NDCG@10": lambda t: 0.9 * t["NDCG@10"]}
    )
    told = regularisation.compare_shared_layers(pd.concat([runs, shared.iloc[::2]]), noise=5.0)
    assert (
        np.allclose(told["change"], 100 * np.log(0.9))
        and 1 not in set(told["n_layers"])
        and set(told["runs"]) == {1}
    )
    assert np.allclose(told["se"], 5 * np.sqrt(1 / 2 + 1))


def test_a_law_with_data_is_recovered_and_logs_of_few_scales_are_left_out():
    rows = []
    for log, shares in (("a", (0.125, 0.25, 0.5, None)), ("b", (0.5, None))):
        for share in shares:
            for n in (1, 2, 4):
                for d in (8, 16, 32):
                    tokens = 1e5 * (share or 1)
                    rows.append(
                        {
                            "log": log,
                            "sample_users": share,
                            "tokens": tokens,
                            "n_layers": n,
                            "d_emb": d,
                            "shared_layers": False,
                            "log-loss": 5 + n**-0.5 + 2 * d**-0.7 + 30 * tokens**-0.4,
                        }
                    )
    runs = pd.DataFrame(rows).assign(
        **{name: np.nan for name in runner.PERTURBATIONS if name != "sample_users"}
    )
    found = data_size.fit_with_data(
        runs, families.sum_of_powers(axes=("n_layers", "d_emb", "tokens")), ("log-loss",)
    )
    row = found.iloc[0]
    assert list(found["log"]) == ["a"] and row["scales"] == 4 and row["points"] == 36
    assert (
        row["r2"] > 0.9999
        and row["p_D"] == pytest.approx(0.4, abs=0.02)
        and row["leave-one-out"] < 0.01 < row["floor"]
    )


def test_the_kept_runs_are_each_once_and_those_of_the_study_have_one_setting():
    kept, study = study_runs.load_study_runs(), study_runs.load_survey_runs()
    assert kept["key"].is_unique and not kept["log"].str.startswith("synthetic").any()
    assert (
        study["key"].isin(kept["key"]).all()
        and set(study["loss"]) == {"sampled_softmax"}
        and study["learning_rate"].nunique() == 1
    )
    assert (
        study_runs.select_full_data_runs(study, log="ml-100k", d_emb=32)[list(runner.PERTURBATIONS)]
        .isna()
        .all(axis=None)
    )


def test_means_over_surfaces_compare_laws_on_the_same_ones():
    judged = pd.DataFrame(
        [
            ("sum of powers", "a", 5, 0.9, 1.0, 2.0, 3.0),
            ("free", "a", 7, 0.9, 1.0, np.nan, 3.0),
            ("sum of powers", "b", 5, 0.7, 3.0, np.nan, 5.0),
            ("free", "b", 7, 0.7, 3.0, np.nan, 5.0),
        ],
        columns=["law", "dataset", "parameters", "r2", "leave-one-out", "largest N", "largest d"],
    )
    mean, by_law = study_runs.mean_over_surfaces(judged)
    assert by_law.loc["sum of powers", "largest N"] == 2.0 and np.isnan(
        by_law.loc["free", "largest N"]
    )
    assert (
        by_law.loc["free", "leave-one-out"] == 2.0
        and by_law.loc["free", "r2"] == pytest.approx(0.8)
        and list(mean["law"]) == ["sum of powers", "free"]
    )
