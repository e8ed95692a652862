"""The plan of a pilot: its runs, their order, and the share of the users."""

import re

import pytest

from perflaw.errors import InputError
from perflaw.models import configuration
from perflaw.models.sweeps import grids
from perflaw.models.training import trainer
from perflaw.report import pilot


def test_the_settings_are_those_on_which_the_prior_stands():
    assert grids.read_grid("survey")["settings"] == pilot.SETTINGS


def test_a_plan_has_its_core_first(log):
    points = grids.expand_grid(pilot.plan_pilot(log, 600, 2).grid)
    core = [(p.config.n_layers, p.config.d_emb, p.config.seed) for p in points]
    assert core[: len(pilot.CORE_RUNS)] == pilot.CORE_RUNS


def test_a_plan_has_each_run_once(log):
    plan = pilot.plan_pilot(log, 600, 2)
    points = grids.expand_grid(plan.grid)
    sizes = set(pilot.CORE_RUNS + pilot.FURTHER_RUNS)
    assert len(points) == len(plan.grid["grid"])
    assert len(points) == len(sizes) + len(pilot.SHARE_RUNS)


def test_a_plan_soon_varies_every_axis(log):
    points = grids.expand_grid(pilot.plan_pilot(log, 600, 2).grid)
    later = points[len(pilot.CORE_RUNS) :]
    assert any(p.data.steps for p in later[:6])
    assert any(p.config.n_layers == 3 for p in later[:12])
    assert sum(p.config.n_layers == 3 and p.config.d_emb == 32 for p in later[:3]) < 3


def test_a_budget_that_is_large_enough_takes_the_whole_log(log):
    plan = pilot.plan_pilot(log, 600, 2)
    assert plan.share == 1
    assert plan.log is log


@pytest.fixture
def small_budget(log, monkeypatch):
    """Seconds for a quarter of the log."""
    monkeypatch.setattr(pilot, "FEWEST_USERS", 20)
    return 0.3 * pilot.plan_pilot(log, 1e6, 2).seconds


def test_a_small_budget_takes_a_part_of_the_users(log, small_budget):
    plan = pilot.plan_pilot(log, small_budget, 2)
    assert plan.share == 0.25
    assert plan.log.n_users == 50


@pytest.fixture
def records_of_a_part(log, small_budget, tmp_path):
    """A folder with a record of a quarter of the log."""
    settings = pilot.SETTINGS | {"n_layers": 1, "d_emb": 8, "epochs": 1}
    part = pilot.plan_pilot(log, small_budget, 2).log
    trainer.train(configuration.make_config(**settings), part, tmp_path, progress=False)
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize("times", [0.5, 1, 2.5])
def test_a_second_call_keeps_to_the_part(log, small_budget, records_of_a_part, times):
    plan = pilot.plan_pilot(log, times * small_budget, 2, records_of_a_part)
    assert plan.share == 0.25


def test_a_second_call_with_a_larger_budget_enlarges_the_pilot(
    log, small_budget, records_of_a_part
):
    assert pilot.plan_pilot(log, 20 * small_budget, 2, records_of_a_part).share == 1


def test_a_plan_does_not_depend_on_the_pace_of_the_machine(log, monkeypatch):
    for name in ("perf_counter", "process_time", "monotonic"):
        monkeypatch.setattr(f"time.{name}", None)
    assert pilot.plan_pilot(log, 1e6, 2).share == 1


def test_a_plan_depends_on_budget_and_workers(log, small_budget):
    assert pilot.plan_pilot(log, small_budget, 1).share == 0.125
    assert pilot.plan_pilot(log, small_budget, 4).share == 0.5


@pytest.mark.parametrize("seconds", [1, -5])
def test_too_small_a_budget_is_refused_with_one_that_would_do(log, monkeypatch, seconds):
    monkeypatch.setattr(pilot, "PACE", 1e4)
    message = (
        r"synthetic needs more time for a pilot, even on 200 of its users: "
        r"give --budget (\d+), in minutes"
    )
    with pytest.raises(InputError, match=message) as refused:
        pilot.plan_pilot(log, seconds, 2)
    minutes = float(re.search(message, str(refused.value))[1])
    assert pilot.plan_pilot(log, 60 * minutes - 30, 2).share == 1


def test_fewer_than_one_user_in_sixteen_are_refused_with_a_budget_that_would_do(
    log, monkeypatch, small_budget
):
    monkeypatch.setattr(pilot, "FEWEST_USERS", 2)
    monkeypatch.setattr(pilot, "PACE", 16 * pilot.PACE)
    message = r"only \d+ of the 200 users of synthetic, fewer than one in 16"
    with pytest.raises(InputError, match=message) as refused:
        pilot.plan_pilot(log, small_budget, 2)
    minutes = float(re.search(r"--budget (\d+)", str(refused.value))[1])
    assert pilot.plan_pilot(log, 60 * minutes - 30, 2).share >= pilot.SMALLEST_SHARE
    assert "--sample" in str(refused.value)


def test_fewer_than_one_user_in_sixteen_can_be_accepted(log, monkeypatch, small_budget):
    monkeypatch.setattr(pilot, "FEWEST_USERS", 2)
    monkeypatch.setattr(pilot, "PACE", 16 * pilot.PACE)
    plan = pilot.plan_pilot(log, small_budget, 2, accepts_sample=True)
    assert plan.share < pilot.SMALLEST_SHARE


def test_a_budget_that_fixed_work_spends_is_refused_with_one_that_would_do(log):
    plan = pilot.plan_pilot(log, 1e4, 2)
    with pytest.raises(
        InputError, match=r"more than the budget of 0\.6 s: give --budget (\d+)"
    ) as told:
        pilot.check_fixed_work(log, plan, 0.01, 2)
    enough = int(re.search(r"--budget (\d+)", str(told.value))[1])
    pilot.check_fixed_work(log, plan, enough, 2)
