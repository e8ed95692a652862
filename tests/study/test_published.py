import numpy as np
import pandas as pd
import pytest

from perflaw.laws import families, fitting, validation
from perflaw.study.paper import published

# Printed minus recomputed R2 where the two differ: law, metric, dataset, length.
DIFFERENCES = {
    ("PerformanceLaw", "HR@10", "KuaiRand-Pure", 50): 0.02,
    ("ScalingLaw", "HR@10", "KuaiRand-Pure", 25): -0.05,
    ("ScalingLaw", "HR@10", "KuaiRand-Pure", 50): -0.08,
    ("ScalingLaw", "HR@10", "Industrial", 25): -0.05,
    ("ScalingLaw", "NDCG@10", "KuaiRand-Pure", 50): -0.05,
    ("ScalingLaw", "NDCG@10", "Industrial", 25): -0.03,
    ("ScalingLaw", "NDCG@10", "Industrial", 50): 0.05,
}


@pytest.fixture(scope="module")
def surfaces():
    return published.load_surfaces()


@pytest.fixture(scope="module")
def panels(surfaces):
    """Every panel with the R2 of our fit of the form that it draws."""
    values = dict(list(surfaces.groupby(published.SURFACE)))
    table = published.printed_fits()
    refit = []
    for panel in table.itertuples():
        surface = values[panel.dataset, panel.max_seq_len, panel.metric]
        refit.append(
            fitting.fit(
                families.get_law(panel.family, **panel.options), surface, surface["value"]
            ).r2
        )
    return table.assign(refit_r2=refit)


def test_the_points(surfaces):
    assert len(surfaces) == 448
    cells = surfaces.groupby(published.SURFACE).size()
    assert len(cells) == 20
    assert set(cells) == {16, 24}
    assert surfaces["value"].between(0.01, 0.4).all()
    assert not surfaces.duplicated([*published.SURFACE, "n_layers", "d_emb"]).any()


@pytest.mark.integration
def test_printed_against_recomputed(panels):
    difference = panels["printed_r2"] - panels["drawn_r2"]
    agree = difference.abs() < 1e-6
    assert agree.sum() == 33
    found = panels[~agree].set_index(["law", "metric", "dataset", "max_seq_len"]).index
    assert set(found) == set(DIFFERENCES)
    for panel, told in zip(found, difference[~agree]):
        assert told == pytest.approx(DIFFERENCES[panel], abs=1e-6)


def test_the_drawn_scaling_law_is_least_squares_in_the_logarithms(panels):
    scaling = panels[panels["law"] == "ScalingLaw"]
    assert set(scaling["family"]) == {"log_linear"}
    assert np.abs(scaling["refit_r2"] - scaling["drawn_r2"]).max() < 1e-6


def test_our_fit_of_the_drawn_form_is_never_lower(panels):
    drawn = panels[panels["law"] == "PerformanceLaw"]
    assert len(drawn) == 20
    assert (drawn["refit_r2"] - drawn["drawn_r2"]).min() > -1e-6


def test_missing_data_folder_is_a_plain_error(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "study_file", tmp_path.joinpath)
    with pytest.raises(FileNotFoundError):
        published.load_surfaces()


def test_parameter_free_rows_of_the_table_of_errors(surfaces):
    """Means in which every surface counts once, as they were first recorded; then over logs."""
    expected = pd.DataFrame(
        {
            "constant": (6.26, 5.63, 7.37),
            "log-quadratic": (2.24, 3.77, 5.04),
            "log-quadratic, interaction": (2.27, 4.00, 4.86),
        },
        index=["leave-one-out", "larger N", "largest d"],
    )
    rivals = {name: law for name, law in families.rival_laws().items() if name in expected}
    cells = validation.heldout_by_surface(rivals, surfaces, published.SURFACE)
    of_surfaces = validation.mean_errors(cells, published.SURFACE, keep=published.SURFACE)
    found = of_surfaces.pivot_table(index="split", columns="law", values="mape")
    assert (found - expected).abs().max(axis=None) < 0.02
    of_logs = of_surfaces.pivot_table(index="dataset", columns=["split", "law"], values="mape")
    means = validation.mean_errors(cells, published.SURFACE).set_index(["split", "law"])["mape"]
    assert means.to_numpy() == pytest.approx(of_logs.mean()[means.index].to_numpy())


@pytest.mark.integration
def test_leave_one_out_intervals_cover(surfaces):
    rivals = {"law": families.performance(), "log-quadratic": families.log_quadratic()}
    cells = validation.heldout_by_surface(rivals, surfaces, published.SURFACE, level=0.9)
    covered = cells[cells["split"] == "leave-one-out"].groupby("law")["covered"].mean()
    assert covered.between(0.85, 0.95).all()


# ---------------------------------------------------------------- rows of single models


def test_recorded_rows_say_what_they_are():
    rows, five = published.load_published_rows(), published.load_protocols()
    assert {
        "model",
        "split",
        "published_hr",
        "published_ndcg",
        "measured_hr",
        "measured_ndcg",
        "source",
        "run",
    } <= set(rows)
    assert rows["name"].is_unique
    assert rows["run"].str.fullmatch("[0-9a-f]{16}").all()
    assert set(five["name"]) == set(rows["name"])
    assert (five.groupby("name").size() == 5).all()
    for _, row in rows.iterrows():
        told = five[
            (five["name"] == row["name"])
            & (five["protocol"] == row["protocol"].removesuffix(" sampled"))
        ].iloc[0]
        assert told["HR@10"] == pytest.approx(row["measured_hr"], rel=1e-5)
        assert told["NDCG@10"] == pytest.approx(row["measured_ndcg"], rel=1e-5)
    fewer = five.set_index("protocol")["HR@10"]
    assert (fewer["1 of 101"].to_numpy() > fewer["1 of 2,500"].to_numpy()).all()


def test_rows_are_labelled_in_words():
    labels = published.load_published_rows().set_index("name")["label"]
    assert labels["beauty-sampled"] == "SASRec, sampled loss, Amazon Beauty"
    assert labels.is_unique


@pytest.mark.parametrize("name", ["sasrec-bce", "sasrec-softmax", "beauty-sampled", "hstu"])
def test_published_rows_are_met(name):
    row = published.load_published_rows().set_index("name").loc[name]
    assert row["measured_hr"] == pytest.approx(row["published_hr"], rel=0.05)
    assert row["measured_ndcg"] == pytest.approx(row["published_ndcg"], rel=0.05)


def test_sampled_softmax_is_as_good_as_the_full_one():
    rows = published.load_published_rows().set_index("name")["measured_ndcg"]
    assert rows["sasrec-sampled"] > 0.97 * rows["sasrec-softmax"]
