"""The findings of the front page, beside what they are made of."""

import json
from xml.etree import ElementTree

import pytest

from perflaw.study.analysis import findings, recorded_predictions
from perflaw.study.files import study_file

pytestmark = pytest.mark.integration  # fits all laws to the runs of data/


@pytest.fixture(scope="module")
def larger():
    return findings.errors_of_larger_models("NDCG@10", 0.9)


@pytest.fixture(scope="module")
def data():
    return findings.worth_of_data("NDCG@10", 0.9, 50)


@pytest.fixture(scope="module")
def chosen():
    return findings.quality_of_choices(findings.rate_choices("NDCG@10"), 0.9)


def test_errors_are_those_of_the_recorded_predictions(larger):
    scored = recorded_predictions.score_recorded("NDCG@10")
    error = larger.rows.set_index("label")["mean"]["Performance Law"]
    of_law = scored[scored["law"] == "Performance Law, k = 2"]
    surfaces = of_law.groupby(["log", "dataset"])["ape"].mean()
    assert error == pytest.approx(surfaces.groupby("log").mean().mean())
    assert larger.n == 72
    assert larger.line > 0
    assert {"nearest trained cell", "best trained cell"} <= set(larger.rows["label"])


def test_every_row_has_an_interval_around_its_mean(larger, data, chosen):
    for found in (larger, data, chosen):
        rows = found.rows
        assert rows["label"].is_unique
        assert (rows["low"] <= rows["mean"]).all()
        assert (rows["mean"] <= rows["high"]).all()


def test_labels_with_a_fixed_colour_are_there(larger, data, chosen):
    labels = {*larger.rows["label"], *data.rows["label"], *chosen.rows["label"]}
    assert labels >= findings.OF_PAPER
    assert labels >= findings.SIMPLE


def test_the_picture_of_the_readme_is_not_old(larger, data, chosen):
    panels = findings.make_panels(larger, data, chosen)
    picture = ElementTree.parse(study_file("book", "_static", "findings.svg"))
    description = picture.find(".//{http://purl.org/dc/elements/1.1/}description")
    assert json.loads(description.text) == findings.describe_panels(panels)
