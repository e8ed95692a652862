"""A report as a whole, from a file to its folder; and what is refused."""

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from command_line import run
from log_files import BAD, GOOD
from simulated_pilots import simulate_pilot

from perflaw.cli.main import main
from perflaw.cli.options import as_options
from perflaw.cores import count_cores
from perflaw.errors import InputError
from perflaw.models.sweeps import executors, runner
from perflaw.report import forecast_runs, render, report

UNTESTED = "learnt with sasrec, leave one out; for others it is untested"
FILES = ["report.html", "report.ipynb", "report.json", "runs"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def made(quick_pilot, shop):
    """Folder of a report, and what the command printed."""
    out = shop.parent / "out"
    result = run("report", shop, "--out", out, "--budget", 4, "--workers", 2)
    assert result.exit_code == 0, result.output
    return out, result.stdout


def test_a_report_has_a_page_its_values_and_a_notebook(made):
    assert sorted(path.name for path in made[0].iterdir()) == FILES


def test_the_command_prints_the_findings_and_the_page(made):
    out, printed = made
    values = json.loads((out / "report.json").read_text())
    headline, _, rest = printed.partition("\n\n")
    assert [line.partition(":")[0] for line in headline.splitlines()] == list(values["headline"])
    assert rest.splitlines() == [*values["judged"]["says"], str(out / "report.html")]


def test_the_values_have_log_pilot_floor_and_entropy(made):
    values = json.loads((made[0] / "report.json").read_text())
    assert len(values["pilot"]["runs"]) == 8 == len(list((made[0] / "runs").glob("*.json")))
    assert values["log"]["tokens"] > 0
    assert set(values["floor"]) == {"HR@10", "NDCG@10"}
    assert "conditional" in values["entropy"]


def test_the_values_have_the_baselines_on_the_same_users(made):
    baselines = json.loads((made[0] / "report.json").read_text())["judged"]["baselines"]
    names = {baseline["name"] for baseline in baselines}
    assert names == {"most popular", "last items", "first-order Markov", "item-kNN"}
    page = (made[0] / "report.html").read_text()
    assert all(f"<td>{baseline['value']:.4f}</td>" in page for baseline in baselines)


def test_the_notebook_is_executed_and_holds_no_path(made):
    text = (made[0] / "report.ipynb").read_text()
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    assert str(made[0]) not in text
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])


@pytest.mark.usefixtures("unexecuted")
def test_a_second_call_goes_on_and_trains_nothing_again(made, shop, tmp_path, monkeypatch):
    out = Path(shutil.copytree(made[0], tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    (out / "report.html").write_text("old")
    monkeypatch.setattr(executors, "train_job", None)  # nobody trains
    assert run("report", shop, "--out", out, "--budget", 4).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")} == before
    page = (made[0] / "report.html").read_text()
    assert (out / "report.html").read_text() == page.replace(
        "on 2 cores", f"on {count_cores()} cores"
    )


class StoredReport:
    """A report whose values are given."""

    def __init__(self, values):
        self.values = values

    def to_dict(self):
        return self.values


def write_again(made, tmp_path, change=lambda values: values):
    """Write a report over a copy of one; what remains has to be what was there."""
    out = Path(shutil.copytree(made[0], tmp_path / "out"))
    values = json.loads((out / "report.json").read_text())
    before = contents(out)
    with pytest.raises((InputError, ZeroDivisionError)) as caught:
        render.write_report(StoredReport(change(values)), out)
    assert "\n" not in str(caught.value)
    assert contents(out) == before
    assert not list(out.glob(".report-*"))


def test_a_notebook_that_fails_leaves_the_old_report(made, tmp_path):
    def other_conclusions(values):
        judged = values["judged"] | {"says": ["another"]}
        return values | {"judged": judged}

    write_again(made, tmp_path, other_conclusions)


def test_a_page_that_fails_leaves_the_old_report(made, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "execute_notebook", lambda *arguments: None)
    monkeypatch.setattr(render, "render_page", lambda values: 1 / 0)
    write_again(made, tmp_path)


def test_a_full_disk_leaves_the_old_report(made, tmp_path, monkeypatch):
    def write_nothing(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(render, "execute_notebook", write_nothing)
    write_again(made, tmp_path)


def test_interrupted_it_says_how_to_go_on(shop, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "run_report", interrupt)
    result = run("report", shop, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "The same command goes on from there" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (pd.DataFrame({"status": ["failed: x"]}), "came to an end; the first: failed: x"),
        (pd.DataFrame(), " s of the budget of 240 s; give --budget 8, in minutes"),
    ],
)
def test_when_no_run_ends_there_is_no_report(
    quick_pilot, shop, tmp_path, monkeypatch, runs, reason
):
    monkeypatch.setattr(runner, "run", lambda *_, **__: runs)
    result = run("report", shop, "--out", tmp_path / "out", "--budget", 4)
    assert result.exit_code == 1
    assert reason in result.output.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("change", "share", "following"),
    [
        (lambda runs: runs.assign(**{"NDCG@10": 1.0}), 1, "nothing to do"),
        (lambda runs: runs.assign(test_targets=60), 1, "nothing to train: more test users"),
        (lambda runs: runs.assign(test_targets=60), 0.5, "perflaw report shop --out "),
        (lambda runs: runs.head(3), 1, "perflaw report shop --out "),
    ],
)
def test_more_time_is_advised_only_where_it_may_help(
    log, tmp_path, monkeypatch, change, share, following
):
    runs = change(simulate_pilot()).assign(sample_users=None)
    grid = {"settings": {}, "grid": [{}] * len(simulate_pilot())}
    plan = report.pilot.Pilot(log, share, grid, 1.0)
    monkeypatch.setattr(report.pilot, "plan_pilot", lambda *_: plan)
    monkeypatch.setattr(runner, "run", lambda *_, **__: runs)
    monkeypatch.setattr(report, "compare_baselines", lambda *_, **__: ())
    made = report.run_report(log, tmp_path / "out", progress=False, source="shop")
    assert made.headline["Next"].startswith(following)


def test_without_a_file_the_next_command_says_what_to_fill_in(log, tmp_path, monkeypatch):
    runs = simulate_pilot().head(3).assign(sample_users=None)
    plan = report.pilot.Pilot(log, 1, {"settings": {}, "grid": [{}] * 9}, 1.0)
    monkeypatch.setattr(report.pilot, "plan_pilot", lambda *_: plan)
    monkeypatch.setattr(runner, "run", lambda *_, **__: runs)
    monkeypatch.setattr(report, "compare_baselines", lambda *_, **__: ())
    made = report.run_report(log, tmp_path / "out", workers=count_cores(), progress=False)
    assert made.command == (
        f"perflaw report LOG --out {tmp_path}/out --budget 20"
        "  # LOG: a file that perflaw.logs.write_log makes of the log"
    )


def test_the_next_command_repeats_what_was_asked(tmp_path):
    options = report.ReportOptions(
        tmp_path / "my report", 10, 3, False, 0.0, "shop.csv --user 'who bought'", sample=True
    )
    asked = replace(options, metric="HR@10", split="global time", patience=2)
    assert asked.repeat(20) == (
        f"perflaw report shop.csv --user 'who bought' --out '{tmp_path}/my report' --budget 20 "
        "--workers 3 --metric HR@10 --split 'global time' --patience 2 --sample"
    )


def test_a_log_is_repeated_with_the_options_that_read_it(shop, tmp_path, monkeypatch):
    sources = []

    def keep_source(*_, source, **__):
        sources.append(source)
        raise InputError("enough")

    monkeypatch.setattr(report, "run_report", keep_source)
    monkeypatch.setattr("perflaw.report.run_report", keep_source)
    run("report", shop, "--drop-incomplete", "--user", "user", "--out", tmp_path / "out")
    assert sources == [f"{shop} --user user --drop-incomplete"]


def test_a_name_that_begins_with_a_dash_is_repeated_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = []

    def keep_source(*_, source, **__):
        sources.append(source)
        raise InputError("enough")

    monkeypatch.setattr("perflaw.report.run_report", keep_source)
    Path("-log.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in "ab" for i in "xyz"))
    run("report", "--out", tmp_path / "out", "--", "-log.csv")
    assert sources == ["./-log.csv"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            ["--metric", "HR@10", "--backbone", "gru"],
            ["One run's HR@10", UNTESTED],
        ),
        (
            ["--split", "global time", "--epochs", "3", "--patience", "1"],
            ["split global time", "epochs 3, patience 1", UNTESTED],
        ),
    ],
)
@pytest.mark.usefixtures("unexecuted")
def test_a_report_may_be_on_other_settings(quick_pilot, tmp_path, monkeypatch, options, shown):
    monkeypatch.setattr(executors, "process_pool", lambda workers: None)  # train in this process
    path = tmp_path / "timed.csv"
    random = np.random.default_rng(0)
    rows = (
        f"u{u},i{random.integers(40) % (u % 7 + 20)},{10**9 + 60 * (9 * t + u)}"
        for t in range(12)
        for u in range(90)
    )
    path.write_text("\n".join(["user,item,time", *rows]) + "\n")
    out = tmp_path / "out"
    result = run("report", path, "--out", out, "--budget", 4, "--workers", 2, *options)
    assert result.exit_code == 0, result.output
    page = " ".join((out / "report.html").read_text().split())
    assert [one for one in shown if one not in page] == []


# ---------------------------------------------------------------- runs of one's own


@pytest.fixture(scope="module")
def own_runs(tmp_path_factory):
    """A table of runs as a file."""
    path = tmp_path_factory.mktemp("own") / "mine.csv"
    runs = simulate_pilot(2)[["n_layers", "d_emb", "seed", "tokens", "NDCG@10"]]
    runs.assign(users=2000).round(5).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def own_report(own_runs):
    """Folder of a report on these, and what the command printed."""
    out = own_runs.parent / "out"
    result = run("report", "--runs", own_runs, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.stdout


def test_own_runs_have_the_same_files_without_training(own_report):
    assert sorted(path.name for path in own_report[0].iterdir()) == FILES[:-1]


def test_own_runs_have_the_same_findings_as_in_python(own_runs, own_report):
    judged = json.loads((own_report[0] / "report.json").read_text())["judged"]
    assert judged == forecast_runs(pd.read_csv(own_runs)).to_dict()
    assert own_report[1].partition("\n\n")[2].splitlines()[:-1] == judged["says"]


def test_own_runs_are_chosen_by_what_they_have(own_report):
    page = html.unescape((own_report[0] / "report.html").read_text())
    chosen = "on test. It was chosen there, as the runs have no column 'validation NDCG@10', so"
    assert chosen in own_report[1]
    assert "the others as in the configuration with the highest NDCG@10" in page
    assert not re.search("on validation|by validation|pilot", own_report[1] + page)


def test_the_page_of_own_runs_has_no_log(own_report):
    page = (own_report[0] / "report.html").read_text()
    assert "<h2>The runs</h2>" in page
    assert "<h2>The log</h2>" not in page


def test_the_page_of_own_runs_says_that_baselines_were_not_compared(own_report):
    page = " ".join((own_report[0] / "report.html").read_text().split())
    assert "count-based baselines were not compared" in page


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty|no rows"),
        ("n_layers,d_emb,NDCG@10\n1,8,0.1\n", "neither a column 'users'"),
        (
            "n_layers,d_emb,users\n1,8,100\n",
            "no column 'NDCG@10'; they have n_layers, d_emb, users",
        ),
        ("n_layers,d_emb,NDCG@10,users\n1,8,10.5,100\n", "line 2 of the runs: NDCG@10 = 10.5"),
        ("n_layers,d_emb,NDCG@10,users\n1,8,inf,100\n", "line 2 of the runs: NDCG@10 = inf"),
        (
            "n_layers,d_emb,NDCG@10,users,validation NDCG@10\n1,8,.1,100,.2\n1,9,.1,100,\n",
            "line 3 of the runs: validation NDCG@10 = nan is not usable; leave the row out, or "
            "give a number at least 0",
        ),
        (
            "n_layers,d_emb,NDCG@10,users\n1,8,.1,100\n1,16,.2,100\n",
            "runs: nothing can be forecast: too little was run: 2 runs of 1 depths",
        ),
    ],
)
def test_own_runs_that_cannot_be_are_refused_in_one_line(content, reason, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(content)
    result = run("report", "--runs", path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert re.search(reason, result.output)
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["LOG", "--runs", "RUNS"]])
def test_a_report_is_on_a_log_or_on_runs(arguments, shop, own_runs, tmp_path):
    given = [{"LOG": shop, "RUNS": own_runs}.get(word, word) for word in arguments]
    result = run("report", *given, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "either a LOG or --runs FILE" in result.output


# ---------------------------------------------------------------- what is refused


def refused(path, out, *options):
    """Give the one line with which a log is refused."""
    result = run("report", path, "--out", out, *options)
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert result.exit_code != 0
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert not Path(out).exists()
    return lines[0]


def given_options(options):
    """Give the options of a log as words of a command line."""
    words = []
    for name, value in options.items():
        if name == "header":
            words.append("--header" if value else "--no-header")
        else:
            words += [f"--{name.replace('_', '-')}", value]
    return words


def write_case(content):
    content = content() if callable(content) else content
    Path("log").write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(
    "name", [name for name, (_, options, _) in BAD.items() if not {"unit", "layout"} & set(options)]
)
def test_a_malformed_log_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, options, reason = BAD[name]
    write_case(content)
    with click.Context(main):
        reason = as_options(reason)
    assert reason in refused("log", "out", *given_options(options))


@pytest.mark.parametrize("name", GOOD)
def test_a_log_that_is_read_but_too_small_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, options, _ = GOOD[name]
    write_case(content)
    reason = refused("log", "out", *given_options(options))
    assert re.search("cannot be split|cannot be trained on|21 are the least", reason)


def long_log(users, items):
    rows = (f"u{u},i{(u * t) % items}" for u in range(users) for t in range(9))
    return "\n".join(["user,item", *rows]) + "\n"


def short_histories(users):
    rows = (f"u{i},i{i}\nu{i},j{i}\n" for i in range(users))
    return "user,item\n" + "".join(rows)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (short_histories(30), "no user has three interactions"),
        (long_log(90, 20), "few has 20 items"),
    ],
)
def test_a_log_that_is_too_small_is_refused_in_one_line(content, reason, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text(content)
    assert re.search(reason, refused(path, tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--budget", "0"], "0"),
        (["--budget", "inf"], "is not in the range"),
        (["--budget", "0.2"], "take about 15 s, more than the budget of 12 s: give --budget 1, in"),
        (["--budget", "x"], "not a valid float"),
        (["--workers", "0"], "0"),
        (["--user", "who"], "no column 'who'"),
        (["--metric", "MRR"], "--metric is one of NDCG@10, HR@10"),
        (["--split", "random"], "--split is one of leave one out, global time"),
        (["--backbone", "cnn"], "backbone"),
        (["--device", "tpu"], "device 'tpu' is not usable"),
    ],
)
def test_options_that_cannot_be(shop, tmp_path, options, reason):
    assert reason in refused(shop, tmp_path / "out", *options)


def test_fewer_than_one_worker_is_refused(log, tmp_path):
    with pytest.raises(InputError, match="-1 workers cannot train; give --workers 1, or more"):
        report.run_report(log, tmp_path / "out", workers=-1)


def test_a_folder_that_cannot_be(shop, own_runs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    monkeypatch.setattr(report.measures, "measure_log", None)  # nothing is measured before
    for arguments in ([shop, "--budget", 4], ["--runs", own_runs]):
        result = run("report", *arguments, "--out", out)
        assert result.exit_code == 1
        assert "records cannot be kept in" in result.output
        assert result.output.count("Error: ") == 1


def test_a_report_on_other_data_is_not_overwritten(shop, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"log": {"name": "other", "hash": "0"}}')
    result = run("report", shop, "--out", out)
    assert result.exit_code == 1
    assert "has a report on other data" in result.output
    assert "--out" in result.output
    assert [path.name for path in out.iterdir()] == ["report.json"]


def test_a_report_on_the_same_runs_is_made_again(own_report):
    report.refuse_other_report(own_report[0], {"hash": None, "name": "mine"})
    with pytest.raises(InputError, match=r"has a report on other data.*\(mine\)"):
        report.refuse_other_report(own_report[0], {"hash": None, "name": "yours"})


def test_a_report_on_other_runs_is_not_overwritten(own_runs, tmp_path):
    (tmp_path / "report.json").write_text('{"log": {"name": "other"}}')
    result = run("report", "--runs", own_runs, "--out", tmp_path)
    assert "has a report on other data" in result.output
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_is_no_report_is_not_overwritten(own_runs, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    result = run("report", "--runs", own_runs, "--out", tmp_path)
    assert "has a report.html without a report.json that goes with it" in result.output
    assert (tmp_path / "report.html").read_text() == "mine"


@pytest.mark.parametrize("name", ["shop-\udce9s", "shop"])
def test_a_name_that_no_page_can_show_is_refused_before_training(name, log, tmp_path):
    where = tmp_path / ("out" if name != "shop" else "r\udce9")
    named = replace(log, name=name)
    with pytest.raises(InputError, match="is no text in UTF-8; rename it"):
        report.run_report(named, where, 1.0, progress=False)
    assert not where.exists()
