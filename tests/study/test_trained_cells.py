"""The nearest trained cell: on logarithmic axes, the larger on ties, in any order of rows."""

import itertools

import pandas as pd
import pytest

from perflaw.study import trained_cells

COLUMNS = ["n_layers", "d_emb", "value"]
ORDERS = [1, -1]


def nearest(trained, asked, order=1):
    table = pd.DataFrame(trained, columns=COLUMNS).iloc[::order]
    return trained_cells.nearest_values(table, pd.DataFrame(asked, columns=COLUMNS[:2])).tolist()


def test_axes_are_logarithmic():
    trained = [(1, 8, 0.1), (1, 64, 0.2)]
    assert nearest(trained, [(1, 16), (1, 32)]) == [0.1, 0.2]


@pytest.mark.parametrize("order", ORDERS)
def test_the_larger_dimension_wins_a_tie(order):
    """One doubling of d is as far as one of N."""
    trained = [(2, 8, 0.1), (1, 16, 0.2)]
    assert nearest(trained, [(2, 16)], order) == [0.2]


@pytest.mark.parametrize("order", ORDERS)
def test_more_layers_win_a_tie_of_one_dimension(order):
    trained = [(1, 16, 0.1), (4, 16, 0.2)]
    assert nearest(trained, [(2, 16)], order) == [0.2]


def test_rounding_does_not_break_a_tie():
    """Of half of N and half of d the latter may come out nearer in the last digit."""
    sizes = itertools.product((2, 4, 6, 10, 12), (16, 32, 64, 98, 128))
    chosen = [nearest([(n, d // 2, 0.1), (n // 2, d, 0.2)], [(n, d)]) for n, d in sizes]
    assert chosen == [[0.2]] * 25


def test_the_best_trained_cell_is_that_by_validation():
    trained = pd.DataFrame([(1, 8, 0.3, 0.1), (2, 8, 0.2, 0.4)], columns=[*COLUMNS, "validation"])
    asked = pd.DataFrame([(2, 16)], columns=COLUMNS[:2])
    predicted = trained_cells.predict_by_trained(trained, asked)
    assert predicted[trained_cells.BEST].tolist() == [0.2]
    of_value = trained_cells.predict_by_trained(trained.drop(columns="validation"), asked)
    assert of_value[trained_cells.BEST].tolist() == [0.3]
