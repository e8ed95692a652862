"""Ways of sharing are compared seed by seed, at equal depth and at equal parameters."""

import itertools
import math

import pandas as pd
import pytest

from perflaw.study.figures import neighbours as draw
from perflaw.study.intervals import to_percent
from perflaw.study.neighbours.grid_runs import LOGS
from perflaw.study.neighbours.layer_sharing import (
    APART,
    DEPTH,
    PARAMETERS,
    PARTLY,
    WHOLLY,
    average_seeds,
    compare_depths,
    compare_ways,
    load_runs,
)


def make_runs(values):
    """Runs of {(way, N, parameters): values by seed}."""
    rows = [
        (way, depth, seed, value, parameters, parameters + 50)
        for (way, depth, parameters), by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    columns = ["way", "n_layers", "seed", "value", "parameters", "all parameters"]
    return pd.DataFrame(rows, columns=columns)


RUNS = make_runs(
    {
        (APART, 1, 100): [0.10, 0.20],
        (APART, 2, 400): [0.40, 0.20],
        (PARTLY, 2, 200): [0.30, 0.20],
        (WHOLLY, 2, 100): [0.10, 0.10],
    }
)


def find_row(equal, way, against):
    table = compare_ways(RUNS, level=0.5)
    return table[
        (table["equal"] == equal) & (table["way"] == way) & (table["against"] == against)
    ].iloc[0]


def test_at_equal_depth_pairs_are_of_one_seed():
    row = find_row(DEPTH, PARTLY, APART)
    gains = [100 * math.log(0.3 / 0.4), 0]
    assert row["gain"] == pytest.approx(to_percent(sum(gains) / 2))
    # Student's quantile of one degree of freedom at 75 % is 1
    assert row["high"] == pytest.approx(to_percent(max(gains)))
    assert row["seeds"] == 2


def test_at_equal_parameters_layers_apart_are_interpolated():
    row = find_row(PARAMETERS, PARTLY, APART)
    half_way = [math.sqrt(0.10 * 0.40), 0.20]  # 200 is half way from 100 to 400 in logarithms
    expected = [100 * math.log(0.30 / half_way[0]), 100 * math.log(0.20 / half_way[1])]
    assert row["gain"] == pytest.approx(to_percent(sum(expected) / 2))


def test_wholly_shared_layers_have_the_parameters_of_one():
    row = find_row(PARAMETERS, WHOLLY, APART)
    assert row["gain"] == pytest.approx(to_percent(50 * math.log(0.10 / 0.20)))


def test_every_pair_that_is_there_is_compared():
    table = compare_ways(RUNS)
    assert table.groupby("equal").size().to_dict() == {DEPTH: 3, PARAMETERS: 2}


def test_the_deepest_layers_apart_are_compared_with_one():
    row = compare_depths(RUNS, level=0.5).iloc[0]
    assert row["gain"] == pytest.approx(to_percent(50 * math.log(0.4 / 0.1)))
    assert row["low"] == pytest.approx(0)  # of the seed without a gain
    assert row["seeds"] == 2


def test_the_mean_of_seeds_has_both_counts():
    row = average_seeds(RUNS).set_index("way").loc[PARTLY]
    assert row["value"] == pytest.approx(0.25)
    assert row["all parameters"] - row["parameters"] == 50


def test_the_table_has_every_run_of_the_grid():
    runs = load_runs()
    seeds = runs.groupby(["log", "way", "n_layers"])["seed"].nunique()
    sizes = [*itertools.product((APART, PARTLY), (1, 2, 4, 8))]
    sizes += [(WHOLLY, depth) for depth in (2, 4, 8)]
    assert set(seeds.index) == {(log, *size) for log in LOGS for size in sizes}
    assert (seeds == 3).all()


def test_parameters_are_those_counted_by_hand():
    by_size = load_runs().groupby(["way", "n_layers"])["parameters"].agg(["min", "max"])
    assert (by_size["min"] == by_size["max"]).all()
    d, square = 32, 32 * 32
    small = 2 * d + 4 * d  # biases of the feed-forward network, and two norms
    last = 2 * d
    assert by_size.loc[(APART, 4), "min"] == 4 * (6 * square + small) + last
    assert by_size.loc[(WHOLLY, 4), "min"] == 6 * square + small + last
    assert by_size.loc[(PARTLY, 4), "min"] == 6 * square + 4 * (6 * 2 * 16 + small) + last


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_names_every_way(narrow):
    figure = draw.plot_layer_sharing(average_seeds(RUNS).assign(log="ml-100k"), narrow)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {APART, PARTLY, WHOLLY} <= texts
