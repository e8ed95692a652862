"""Exponents that fit the visible cells equally well."""

import pandas as pd
import pytest

from perflaw.laws import families
from perflaw.study import tied_fits

LAW = families.with_bounds(families.performance(), -1, 1)
DIMENSIONS = (32, 64, 128, 256)


def make_surface(second_step):
    """One surface with a first step of 0.01 along d, a second, and noise of mean zero."""
    rows = [
        {"log": "x", "n_layers": n, "d_emb": d, "value": mean + level + 1e-4 * (n - 2) * sign}
        for n, level in ((1, 0.0), (2, 0.004), (3, 0.005))
        for d, mean, sign in zip(DIMENSIONS, (0.1, 0.11, 0.11 + second_step, 0.14), (1, -2, 1, 0))
    ]
    return pd.DataFrame(rows)


def test_both_exponents_that_pass_through_three_means_are_found():
    tied = tied_fits.errors_of_tied_fits(make_surface(0.0167), ["log"], LAW)
    found = tied[["exponent", "other_exponent"]].to_numpy().ravel()
    assert sorted(found) == pytest.approx([-0.633, -0.284], abs=0.005)


def test_exponents_that_fit_equally_well_need_not_predict_the_same():
    row = tied_fits.errors_of_tied_fits(make_surface(0.0167), ["log"], LAW).iloc[0]
    assert abs(row["error"] - row["other_error"]) > 1


def test_a_surface_with_one_optimum_has_no_row():
    assert tied_fits.errors_of_tied_fits(make_surface(0.005), ["log"], LAW).empty
