"""How a log goes through the wings on its way to a report: down, and through each door once."""

import sys
import time
from collections import Counter

import pytest

from perflaw.logs import synthetic
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split
from perflaw.models.sweeps import executors
from perflaw.report import run_report

pytestmark = pytest.mark.integration

FLOORS = {"logs": 0, "models": 1, "laws": 1, "report": 2, "study": 3, "publish": 4, "cli": 5}


def wing_of(frame):
    """Return the wing that a frame runs in; None outside of the wings."""
    package, _, rest = frame.f_globals.get("__name__", "").partition(".")
    wing = rest.partition(".")[0]
    return wing if package == "perflaw" and wing in FLOORS else None


def takes_a_log(frame):
    """Whether a function was handed a log or a split; what these do themselves is no such call."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    values = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    are_logs = [isinstance(value, InteractionLog | Split) for value in values]
    is_method = code.co_varnames[:1] == ("self",) and are_logs[:1] == [True]
    return any(are_logs[is_method:])


def count_calls(function):
    """Count the calls that hand a log from one wing to another, as (from, to, function)."""
    calls = Counter()

    def profile(frame, event, _):
        if event != "call" or (wing := wing_of(frame)) is None:
            return
        caller = frame.f_back
        while caller is not None and wing_of(caller) is None:  # a library between two of ours
            caller = caller.f_back
        origin = wing_of(caller) if caller is not None else None
        if origin not in (None, wing) and takes_a_log(frame):
            calls[origin, wing, frame.f_code.co_name] += 1

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture(scope="module")
def calls(quick_pilot, tmp_path_factory):
    """Calls of a small report, all in this process; the machine, timed on a part, is not.

    The log is of this file alone, as a process keeps the splits of logs that it has trained on.
    """
    log = synthetic.Process(n_items=80, n_interests=4).sample(200, 14, seed=2).log
    folder = tmp_path_factory.mktemp("flow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "process_pool", lambda workers: None)
        later = time.perf_counter() + 3600  # so that no run is left out on a slow machine
        return count_calls(lambda: run_report(log, folder, 4, 1, progress=False, start=later))


def test_the_report_hands_its_log_through_each_door_once(calls):
    from_report = {doors: count for doors, count in calls.items() if doors[0] == "report"}
    assert from_report == {
        ("report", "logs", "measure_log"): 1,
        ("report", "models", "plan_sweep"): 1,
        ("report", "models", "rank_baselines"): 1,
        ("report", "models", "run"): 1,
    }


def test_no_log_goes_up(calls):
    assert [doors for doors in calls if FLOORS[doors[0]] <= FLOORS[doors[1]]] == []


def test_laws_are_handed_no_log(calls):
    assert [doors for doors in calls if doors[1] == "laws"] == []


def test_models_split_each_part_of_the_data_once(calls):
    splits = {doors[2]: count for doors, count in calls.items() if doors[0] == "models"}
    assert splits["leave_one_out"] == 9  # the log, two samples of the plan, six of its growth
