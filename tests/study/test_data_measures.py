"""The comparison of data measures, on tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs.perturbations import PERTURBATIONS
from perflaw.study.analysis import data_measures, study_runs

CONDITIONS = {
    "sample_users": (0.25, 0.5),
    "truncate": (10, 20),
    "shuffle_order": (0.5, 1),
    "replace_random": (0.1, 0.3),
    "insert_repeats": (0.25, 0.5),
}


def runs(tokens=0.3, conditional=0.0, noise=0.01, logs=("a", "b", "c"), seed=0):
    """Runs whose ln NDCG changes by tokens × Δ ln D + conditional × Δ ln H."""
    random, rows = np.random.default_rng(seed), []
    plain = {
        "backbone": "sasrec",
        "n_layers": 2,
        "d_emb": 32,
        "max_seq_len": 50,
        "split": "leave one out",
        "loss": "softmax",
        "shared_layers": False,
    }
    for log in logs:
        for intervention, strength in [(None, None)] * 3 + [
            (name, s) for name, strengths in CONDITIONS.items() for s in strengths
        ]:
            moved = random.normal(size=4) * [0.8, 0.4, 0.4, 0.4] * (intervention is not None)
            for _again in range(1 if intervention is None else 2):
                y = (
                    np.log(0.1)
                    + tokens * moved[0]
                    + conditional * moved[1]
                    + noise * random.normal()
                )
                values = dict(
                    zip(
                        (
                            "tokens",
                            "entropy conditional",
                            "entropy apen absolute",
                            "entropy shannon",
                        ),
                        np.exp(moved) * [1e5, 5, 0.02, 7],
                    )
                )
                steps = {
                    name: strength if name == intervention else np.nan for name in PERTURBATIONS
                }
                rows.append(
                    {
                        "key": f"{len(rows)}",
                        "log": log,
                        **plain,
                        **steps,
                        **values,
                        "NDCG@10": np.exp(y),
                    }
                )
    return pd.DataFrame(rows)


def test_the_measure_that_matters_wins_and_its_slopes_are_found():
    found = data_measures.paired_conditions(runs(0.3, -0.3))
    table = data_measures.comparison_table(found, draws=500).set_index("candidate")
    for split in ("in sample", "intervention", "log"):
        assert table[split].idxmax() in (data_measures.OURS, "tokens and conditional entropy")
        assert table.loc[data_measures.OURS, split] > 0.98
        assert table.loc[data_measures.OURS, f"low {split}"] > 0
    assert table.loc[data_measures.OURS, "slope"] == pytest.approx(0.3, abs=0.02)
    assert table.loc[data_measures.PAPER, "high log"] < table.loc[data_measures.OURS, "low log"]
    assert data_measures.noise_ceiling(found) == pytest.approx(
        table.loc[data_measures.OURS, "in sample"], abs=0.01
    )


@pytest.mark.integration
def test_where_only_tokens_matter_no_measure_has_an_edge():
    wrong = 0
    for seed in range(5):
        table = data_measures.comparison_table(
            data_measures.paired_conditions(runs(0.3, 0.0, 0.05, seed=seed)), draws=500
        )
        others = table[table["candidate"] != data_measures.TOKENS]
        assert table.set_index("candidate")["log"].idxmax().startswith("tokens")
        wrong += int((others["low log"] > 0).sum())
        assert table.set_index("candidate").loc[data_measures.OURS, "high log"] < 0
    assert wrong <= 1


def test_noise_and_changes_are_what_was_put_in():
    found = data_measures.paired_conditions(runs(0.3, 0.0, 0.05, logs=tuple("abcdefgh")))
    off = (found["change"] - 0.3 * found["Δ tokens"]) / found["noise"]
    assert off.std() == pytest.approx(1, abs=0.2)
    assert set(found["runs"]) == {2}
    assert len(found) == 8 * 10
    told = data_measures.paired_conditions(
        runs(0.3, 0.0, 0.05, logs=("a", "b")), noise=pd.Series({"a": 9.0})
    )
    assert np.allclose(told.loc[told["log"] == "a", "noise"], 0.09 * np.sqrt(1 / 2 + 1 / 3))
    assert (told.loc[told["log"] == "b", "noise"] < 0.08).all()


def test_slopes_have_not_seen_what_they_predict():
    found = data_measures.paired_conditions(runs(0.3, noise=0.0))
    x = data_measures.candidate_measures(found)[data_measures.TOKENS]
    spoilt = found.copy()
    here = (spoilt["log"] == "a") & (spoilt["intervention"] == "truncate")
    spoilt.loc[here, "change"] = 50.0
    for hide in ("log", "intervention"):
        assert np.allclose(
            data_measures.predict_changes(spoilt, x, hide)[here],
            data_measures.predict_changes(found, x, hide)[here],
        )
    assert not np.allclose(
        data_measures.predict_changes(spoilt, x, "")[here],
        data_measures.predict_changes(found, x, "")[here],
    )


def test_what_changed_nothing_is_dropped_and_an_undefined_measure_counts_as_nothing():
    table = runs()
    idle = table[table["shuffle_order"] == 1].index
    for column in ("tokens", "entropy conditional", "entropy apen absolute", "entropy shannon"):
        table.loc[idle, column] = (
            table.loc[0, column]
            if len(set(table.loc[idle, "log"])) == 1
            else table.loc[idle, "log"].map(table.groupby("log")[column].first())
        )
    assert len(data_measures.paired_conditions(table)) == 3 * 9
    table = runs()
    table.loc[table["log"] == "a", "entropy apen absolute"] = np.nan
    found = data_measures.paired_conditions(table)
    assert np.isnan(
        data_measures.predict_changes(
            found, data_measures.candidate_measures(found)[data_measures.PAPER], "log"
        )[found["log"] == "a"]
    ).all()
    assert data_measures.comparison_table(found, draws=50)["log"].notna().all()


def test_what_cannot_be_compared_is_said():
    table = runs()
    with pytest.raises(InputError, match="a was not trained without an intervention"):
        data_measures.paired_conditions(
            table[~((table["log"] == "a") & table[list(PERTURBATIONS)].isna().all(axis=1))]
        )
    with pytest.raises(InputError, match="differ in d_emb"):
        data_measures.paired_conditions(
            runs().assign(d_emb=lambda t: np.where(t.index % 2, 16, 32))
        )
    with pytest.raises(InputError, match="had two interventions"):
        data_measures.paired_conditions(runs().assign(k_core=5.0))


def test_controls_are_read_by_their_names_and_measured_from_their_middle():
    rows = []
    for kind, values in (("size", (250, 500, 1000)), ("rate", (2.5, 3.5, 4.5))):
        for x in values:
            for _seed in range(2):
                y = 0.1 * (x / 500) ** 0.2 if kind == "size" else 0.1 * np.exp(-0.5 * (x - 3.5))
                rows.append(
                    {
                        "log": f"synthetic, {kind} {x}",
                        "tokens": 100 * x if kind == "size" else 5e4,
                        "entropy conditional": 3.5 if kind == "size" else x,
                        "NDCG@10": y,
                    }
                )
    table = pd.concat([pd.DataFrame(rows), runs(logs=("a",))], ignore_index=True)
    points, known = data_measures.synthetic_controls(table)
    assert len(points) == 12
    assert set(points["kind"]) == {"size", "rate"}
    assert len(known) == 4
    sizes = known[known["log"] == "size"]
    assert np.allclose(sizes["change"], 0.2 * sizes["Δ tokens"])
    assert np.allclose(sizes["Δ conditional entropy"], 0)
    assert np.allclose(known.loc[known["log"] == "rate", "change"], [0.5, -0.5])


def test_probes_are_laid_beside_the_runs_they_belong_to():
    table = runs(logs=("a",)).assign(data_seed=0)
    probes = table.drop_duplicates(["log", *PERTURBATIONS])[
        ["log", *PERTURBATIONS, "data_seed"]
    ].reset_index(drop=True)
    probes["probe: x"] = np.arange(1.0, len(probes) + 1)
    found = data_measures.add_probes(table, probes.iloc[::-1])
    assert found["probe: x"].iloc[0] == 1
    assert found["probe: x"].notna().all()
    assert found.groupby(list(PERTURBATIONS), dropna=False)["probe: x"].nunique().eq(1).all()
    assert data_measures.add_probes(table.assign(log="b"), probes)["probe: x"].isna().all()
    assert "Δ probe: x" in data_measures.paired_conditions(found)
    assert "probe: x" in data_measures.candidate_measures(data_measures.paired_conditions(found))


def test_trials_are_of_one_model_on_logs_with_enough_kinds():
    found = data_measures.perturbation_runs(study_runs.load_survey_runs())
    assert found["log"].nunique() >= 3
    assert all((found[name] == value).all() for name, value in data_measures.MODEL.items())
    assert (
        found.groupby("log")[list(PERTURBATIONS)]
        .agg(lambda column: column.notna().any())
        .sum(axis=1)
        > 3
    ).all()
    few = found[
        found[
            [
                "sample_time",
                "truncate",
                "shuffle_order",
                "replace_random",
                "insert_repeats",
                "duplicate_users",
                "remove_repeats",
            ]
        ]
        .isna()
        .all(axis=1)
    ]
    assert data_measures.perturbation_runs(few).empty
