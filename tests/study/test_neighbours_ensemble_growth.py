"""Ensembles are compared seed by seed, and their asymptotes are those of an exact law."""

import itertools
import math

import pandas as pd
import pytest

from perflaw.study.figures import ensembles as draw
from perflaw.study.intervals import to_percent
from perflaw.study.neighbours import ensemble_growth as growth
from perflaw.study.neighbours.cetnet_runs import (
    ALONE,
    CONFIDENCE,
    EQUAL,
    MEAN_MEMBER,
    STUDENT,
    TOGETHER,
    VALIDATION,
    WIDER,
)

LIMITS = {TOGETHER: 0.30, ALONE: 0.26, WIDER: 0.24}
SINGLE = 0.20


def make_rows(noise=(0.0, 0.0)):
    """Runs of one log and two seeds: value(m) = A − (A − 0.20) / m, and noise of a seed."""
    rows = []
    for (training, limit), m, seed in itertools.product(LIMITS.items(), (1, 2, 4), (0, 1)):
        if m == 1 and training != ALONE:
            continue
        value = limit - (limit - SINGLE) / m + noise[seed]
        fusions = [CONFIDENCE] if training == WIDER or m == 1 else [CONFIDENCE, EQUAL, MEAN_MEMBER]
        rows += [
            ("log", training, m, seed, fusion, 0.2, 0.0, 1.0, 0.5, value) for fusion in fusions
        ]
    rows += [("log", STUDENT, 4, seed, CONFIDENCE, 0.2, 0.0, 1.0, 0.5, 0.22) for seed in (0, 1)]
    columns = ["log", "training", "members", "seed", "fusion", *growth.VARIANT, VALIDATION, "value"]
    return pd.DataFrame(rows, columns=columns)


def find(table, way, against, members):
    at = (table["way"] == way) & (table["against"] == against) & (table["members"] == members)
    return table[at & (table["fusion"] != MEAN_MEMBER)].iloc[0]


def test_the_variant_of_the_best_validation_is_kept():
    rows = make_rows()
    tried = rows.assign(strength=3.0, value=0.9, **{VALIDATION: 0.6})
    tried = tried[(tried["training"] == TOGETHER) & (tried["members"] == 2) & (tried["seed"] == 0)]
    worse = tried.assign(**{VALIDATION: 0.4})
    assert len(growth.keep_chosen(pd.concat([rows, worse]))) == len(rows)
    kept = growth.keep_chosen(pd.concat([rows, tried]))
    of_pair = kept[(kept["training"] == TOGETHER) & (kept["members"] == 2)]
    assert set(of_pair["strength"]) == {3.0}


def test_ways_are_compared_seed_by_seed():
    table = growth.compare_ways(make_rows((0.0, 0.01)), level=0.5)
    row = find(table, TOGETHER, ALONE, 2)
    gains = [100 * math.log((0.25 + e) / (0.23 + e)) for e in (0.0, 0.01)]
    assert row["gain"] == pytest.approx(to_percent(sum(gains) / 2))
    # Student's quantile of one degree of freedom at 75 % is 1
    assert row["high"] == pytest.approx(to_percent(max(gains)))
    assert row["seeds"] == 2


def test_other_pairs_can_be_compared():
    pair = (ALONE, CONFIDENCE, ALONE, EQUAL)
    table = growth.compare_ways(make_rows(), pairs=[pair])
    assert table["members"].tolist() == [2, 4]
    assert table["gain"].tolist() == pytest.approx([0, 0])


def test_every_way_is_beside_the_single_model_of_its_seed():
    table = growth.compare_ways(make_rows((0.0, 0.01)))
    row = find(table, WIDER, growth.SINGLE, 4)
    gains = [100 * math.log((0.23 + e) / (0.20 + e)) for e in (0.0, 0.01)]
    assert row["gain"] == pytest.approx(to_percent(sum(gains) / 2))
    assert find(table, STUDENT, growth.SINGLE, 4)["seeds"] == 2


def test_one_seed_is_not_compared():
    rows = make_rows()
    assert growth.compare_ways(rows[rows["seed"] == 0]).empty


def test_asymptotes_are_those_of_an_exact_law():
    fitted = growth.fit_asymptotes(growth.growth_by_way(make_rows()))
    assert len(fitted) == 6
    for way, limit in LIMITS.items():
        of_way = fitted[fitted["way"] == way]
        assert of_way["asymptote"].to_numpy() == pytest.approx(limit)
        assert of_way["rise"].to_numpy() == pytest.approx(limit - SINGLE)


def test_a_log_without_a_whole_seed_has_no_asymptote():
    begun = make_rows().assign(log="begun")
    begun = begun[(begun["training"] == WIDER) | (begun["seed"] == 1) & (begun["members"] == 1)]
    begun = begun[(begun["seed"] == 0) | (begun["members"] < 4)]
    rows = pd.concat([make_rows(), begun])
    fitted = growth.fit_asymptotes(growth.growth_by_way(rows))
    table = growth.compare_asymptotes(fitted)
    assert set(table["log"]) == {"log"}
    assert list(table["way"]) == list(growth.GROWING)


def test_noise_of_a_seed_leaves_the_difference_of_asymptotes():
    fitted = growth.fit_asymptotes(growth.growth_by_way(make_rows((0.0, 0.05))))
    table = growth.compare_asymptotes(fitted).set_index("way")
    assert table.loc[TOGETHER, "more"] == pytest.approx(0.06)
    assert table.loc[TOGETHER, "more_low"] == pytest.approx(0.06)
    assert table.loc[TOGETHER, "low"] < LIMITS[TOGETHER] < table.loc[TOGETHER, "high"]
    assert math.isnan(table.loc[WIDER, "more"])


def test_a_seed_that_lacks_a_size_has_no_asymptote():
    rows = make_rows()
    lacking = (rows["seed"] == 1) & (rows["members"] == 4) & (rows["training"] == TOGETHER)
    fitted = growth.fit_asymptotes(growth.growth_by_way(rows[~lacking]))
    assert set(fitted.loc[fitted["way"] == TOGETHER, "seed"]) == {0}


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_names_every_way(narrow):
    rows = make_rows((0.0, 0.01))
    curves = growth.growth_by_way(rows)
    limits = growth.compare_asymptotes(growth.fit_asymptotes(curves))
    figure = draw.plot_growth(curves, limits, rows[rows["training"] == STUDENT], narrow)
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts == {name for _, _, name, _ in draw.WAYS.values()} | {STUDENT}


def test_the_table_has_equal_parameters_and_no_row_twice():
    rows = growth.load_rows()
    labels = ["log", "training", "members", "seed", "fusion", *growth.VARIANT]
    assert not rows.duplicated(labels).any()
    single = rows[rows["members"] == 1].groupby("log")["parameters"].first()
    share = rows["parameters"] / (rows["members"] * rows["log"].map(single))
    of_members = rows["training"].isin([TOGETHER, ALONE])
    assert share[of_members].to_numpy() == pytest.approx(1)
    assert share[rows["training"] == WIDER].to_numpy() == pytest.approx(1, abs=0.02)
    assert rows["value"].between(0.01, 0.15).all()
