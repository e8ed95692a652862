"""The report on a log: the plan, what is concluded, and the files; and all that may be wrong with a log."""

import json
import re
import shutil
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from log_files import BAD, GOOD
from test_forecast import drawn

from perflaw.cli.main import main
from perflaw.cli.options import as_options
from perflaw.errors import InputError
from perflaw.logs import synthetic
from perflaw.logs.interaction_log import from_histories, write_log
from perflaw.models.sweeps import runner
from perflaw.models.training import trainer
from perflaw.report import forecast, render, report


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def runs_of(seed=0, error=0.03, **fixed):
    """A pilot as `sweeps.load` gives it, of a log of the usual kind, or with fixed coefficients."""
    runs = drawn(seed, error, **fixed)[0]
    values = {
        "HR@10": 1.8 * runs["NDCG@10"],
        "HR@10 se": 1.8 * runs["NDCG@10 se"],
        "validation NDCG@10": runs["NDCG@10"],
    }
    sizes = {
        "users": 1000,
        "items": 2000,
        "positions": 90_000,
        "attention_length": 30.0,
        "validation_targets": 2000,
        "test_targets": 2000,
    }
    frame = runs.assign(
        **values,
        **sizes,
        **vars(trainer.Config()) | {name: runs[name] for name in ("n_layers", "d_emb", "seed")},
    )
    return frame.assign(
        **report.SETTINGS,
        key=[f"{i:016x}" for i in range(len(runs))],
        status="converged",
        done_epochs=40.0,
        seconds=20.0,
    )


# ---------------------------------------------------------------- the plan


@pytest.fixture(scope="module")
def log():
    return synthetic.Process(n_items=80, n_interests=4).sample(200, 14, seed=1).log


def test_the_settings_are_those_on_which_the_prior_stands():
    assert runner.read_grid("survey")["settings"] == report.SETTINGS


def test_a_plan_has_its_core_first_and_all_once(log, monkeypatch):
    monkeypatch.setattr(report, "_pace", lambda log: 1.0)
    pilot = report.plan_pilot(log, 600, 2)
    points = runner.expand_grid(pilot.grid)
    assert [
        (p.config.n_layers, p.config.d_emb, p.config.seed) for p in points[: len(report.CORE)]
    ] == report.CORE
    assert (
        len(points)
        == len(pilot.grid["grid"])
        == len(set(report.CORE + report.MORE)) + len(report.SHARES)
    )
    assert pilot.share == 1 and pilot.log is log
    after = points[len(report.CORE) :]
    assert any(p.data.steps for p in after[:6]) and any(
        p.config.n_layers == 3 for p in after[:12]
    )  # of each axis something comes early
    assert sum(p.config.n_layers == 3 and p.config.d_emb == 32 for p in after[:3]) < 3


def test_a_long_log_is_sampled_and_the_sample_is_kept_to(log, monkeypatch, tmp_path):
    monkeypatch.setattr(report, "FEWEST", 20)
    whole = report.plan_pilot(log, 1e6, 2).seconds
    monkeypatch.setattr(report, "_pace", lambda log: 1.0)
    short = report.plan_pilot(log, 40 * whole, 2)
    assert short.share == 1  # so cheap that the machine is not timed
    pilot = report.plan_pilot(log, 0.3 * whole, 2)
    assert pilot.share == 0.25 and pilot.log.n_users == 50
    trainer.train(
        trainer.make_config(**report.SETTINGS | {"n_layers": 1, "d_emb": 8, "epochs": 1}),
        pilot.log,
        tmp_path,
        progress=False,
    )
    (tmp_path / "broken.json").write_text("{")
    assert report.plan_pilot(log, 1e6, 2, tmp_path).share == 0.25


def test_too_small_a_budget_is_refused_with_one_that_would_do(log, monkeypatch):
    monkeypatch.setattr(report, "_pace", lambda log: 1e4)
    with pytest.raises(
        InputError,
        match=r"synthetic needs more time for a pilot, even on 200 of its users: give --budget \d+, in minutes",
    ):
        report.plan_pilot(log, 1, 2)
    with pytest.raises(InputError, match="needs more time"):
        report.plan_pilot(log, -5, 2)  # reading took it all


def test_a_machine_is_timed(log):
    assert 0.1 < report._pace(log) < 1e4
    assert report._pace(from_histories([[1, 2, 3]] * 20)) == 4.0


# ---------------------------------------------------------------- what is concluded


@pytest.fixture(scope="module")
def judged():
    return report.draw_conclusions(runs_of(), {"NDCG@10": 0.02, "HR@10": 0.04})


def test_what_is_concluded_is_plain_and_the_same_again(judged):
    assert json.loads(json.dumps(judged, allow_nan=False)) == judged
    assert (
        report.draw_conclusions(
            runs_of().sample(frac=1, random_state=1), {"NDCG@10": 0.02, "HR@10": 0.04}
        )
        == judged
    )
    assert judged["runs"] == 22 and not judged["reasons"] and not judged["left_out"]
    for metric in report.METRICS:
        one = judged["metrics"][metric]
        assert {(row["n_layers"], row["d_emb"], row["data"]) for row in one["predictions"]} >= {
            (12, 128, 1),
            (judged["best"]["n_layers"], judged["best"]["d_emb"], 4),
        }
        assert all(row["low"] < row["predicted"] < row["high"] for row in one["predictions"])
        assert (
            one["curves"]["tokens"]["x"][-1] == pytest.approx(4)
            and one["curves"]["d_emb"]["x"][-1] == 128
        )
        assert one["laws"]["log-linear"] and one["laws"]["Performance Law, k = 2"]
    assert (
        f"N = {judged['best']['n_layers']} and d = {judged['best']['d_emb']}" in judged["says"][0]
        and "four times the pilot's largest" in judged["says"][0]
    )


def test_other_laws_that_the_runs_do_not_determine_say_nothing():
    runs = runs_of()
    told = report.draw_conclusions(runs[runs["n_layers"] < 3], {})
    assert (
        told["metrics"]["NDCG@10"]["laws"]["log-linear"]
        and told["metrics"]["NDCG@10"]["laws"]["Performance Law, k = 2"] == []
    )


@pytest.mark.parametrize(
    ("fixed", "error", "verdict"),
    [
        (
            {"b_T": 0.35, "c_T": 0.0, "G": 0.05, "b_N": 0.0, "f_dT": 0, "e_dN": 0, "c_N": 0},
            0.02,
            "data",
        ),
        (
            {
                "b_T": 0.0,
                "c_T": 0.0,
                "G": 0.1,
                "b_d": 0.15,
                "b_N": 0.1,
                "f_dT": 0,
                "e_dN": 0,
                "c_N": 0,
            },
            0.02,
            "model",
        ),
        (
            {
                "b_T": -0.1,
                "c_T": 0.0,
                "G": 0.02,
                "b_d": -0.06,
                "b_N": -0.1,
                "f_dT": 0,
                "e_dN": 0,
                "c_N": -0.01,
            },
            0.04,
            "neither",
        ),
    ],
)
def test_the_bottleneck_is_found_where_it_is_plain(fixed, error, verdict):
    wide = {
        **forecast.PRIOR,
        "b_T": (0.1, 0.2),
        "b_N": (0.0, 0.1),
        "b_d": (0.0, 0.1),
        "G": (0.1, 0.2),
    }  # other logs have little say
    told = [
        report.draw_conclusions(runs_of(seed, error, **fixed), {}, prior=wide)["bottleneck"]
        for seed in range(4)
    ]
    assert sum(one["verdict"] == verdict for one in told) >= 2, told
    assert all(one["verdict"] in (verdict, "cannot tell yet") for one in told), told
    assert all(one["chance"] >= 0.9 for one in told if one["verdict"] == verdict)


def test_without_less_data_the_data_is_not_judged():
    runs = runs_of()
    told = report.draw_conclusions(runs[runs["tokens"] == runs["tokens"].max()], {})
    assert (
        told["bottleneck"]["verdict"] == "cannot tell yet"
        and "no run had less data" in told["bottleneck"]["why"]
    )


def test_what_is_next_is_new_and_near(judged):
    for one in judged["next"]:
        assert (
            one["n_layers"] <= 6
            and one["d_emb"] <= 64
            and 0 <= one["chance"] <= 1
            and one["seconds"] <= 22 * 20
        )
        assert not (one["n_layers"] <= 3 and one["d_emb"] <= 32)
    assert len(judged["next"]) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda runs: runs.assign(test_targets=60), "too little data: a run hits"),
        (
            lambda runs: runs.assign(**{"NDCG@10": runs["NDCG@10"].where(runs.index > 3, 0.0)}),
            "too little data: in 4 of 22 runs no test user",
        ),
        (lambda runs: runs.assign(**{"NDCG@10 se": 1.5 * runs["NDCG@10"]}), "too wide to plan by"),
        (
            lambda runs: runs.assign(
                **{"NDCG@10": 0.01 + 1e-5 * np.arange(22), "NDCG@10 se": 0.001}
            ),
            "no run is better than ranking by popularity",
        ),
        (
            lambda runs: runs.assign(
                **{
                    "NDCG@10": 0.1
                    * np.exp(
                        np.random.default_rng(0).normal(size=14)[
                            runs.groupby(["n_layers", "d_emb", "tokens"]).ngroup() % 14
                        ]
                    )
                }
            ),
            "the law does not fit|do not agree",
        ),
        (lambda runs: runs[runs["n_layers"] == 1], "too little was run"),
        (lambda runs: runs.head(4), "too little was run"),
    ],
)
def test_where_nothing_can_be_claimed_it_says_so(change, told):
    judged = report.draw_conclusions(change(runs_of()), {"NDCG@10": 0.02, "HR@10": 0.04})
    assert re.search(told, judged["says"][0]) and judged["says"][0].startswith(
        "Nothing can be claimed"
    ), judged["says"]
    assert judged["bottleneck"]["verdict"] == "cannot tell yet"
    json.dumps(judged, allow_nan=False)
    told = {
        "schema": 1,
        "perflaw": "0",
        "log": {
            "name": "a<b",
            **synthetic.Process(n_items=40, n_interests=4).sample(9, 5).log.summary(),
            "hash": "0",
            "notes": [],
        },
    }
    pilot = {
        "users": 9,
        "share": 0.5,
        "settings": {},
        "planned": 40,
        "minutes": 1,
        "workers": 2,
        "runs": [
            {
                "key": "0",
                "n_layers": 1,
                "d_emb": 8,
                "seed": 0,
                "sample_users": None,
                "tokens": 9,
                "status": "failed",
                "done_epochs": None,
                "seconds": 1.0,
                "NDCG@10": None,
                "HR@10": None,
            }
        ],
    }
    shown = render.render_page(
        told
        | {
            "entropy": {"shannon": None},
            "pilot": pilot,
            "floor": {"HR@10": 0.04, "NDCG@10": 0.02},
            "judged": judged,
        }
    )
    assert (
        render.html.escape(judged["says"][0]) in shown
        and 'class="says none"' in shown
        and "a<b" not in shown
        and "undefined" in shown
    )


def test_runs_that_failed_and_runs_that_are_strange_are_told():
    runs = runs_of()
    runs.loc[5, ["NDCG@10", "HR@10"]] = np.nan
    runs.loc[9, ["NDCG@10", "NDCG@10 se"]] *= 0.2
    told = report.draw_conclusions(runs, {})
    assert (
        told["unfinished"] == 1
        and told["runs"] == 21
        and [one["key"] for one in told["left_out"]] == [f"{9:016x}"]
    )


def test_the_sweeps_of_the_study_can_be_judged():
    for path in sorted(runner.SWEEPS_FOLDER.glob("*.csv")):
        runs = runner.read_runs_table(path)
        for _, part in runs[runs["backbone"] == "sasrec"].groupby(
            ["log", "loss", "split", "learning_rate", "dropout"]
        ):
            told = report.draw_conclusions(part)
            assert told["says"] and (told["reasons"] or told["metrics"])


# ---------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def quick():
    """A pilot of a few seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            report, "SETTINGS", report.SETTINGS | {"epochs": 4, "negatives": 32, "max_seq_len": 20}
        )
        patch.setattr(report, "MORE", [])
        patch.setattr(report, "SHARES", [(2, 16, 0, 0.5), (2, 16, 1, 0.5)])
        patch.setattr(report, "_pace", lambda log: 1.0)
        yield patch


@pytest.fixture(scope="module")
def shop(tmp_path_factory, log):
    path = tmp_path_factory.mktemp("shop") / "shop.parquet"
    write_log(log, path)
    return path


@pytest.fixture(scope="module")
def made(quick, shop):
    out = shop.parent / "out"
    told = run("report", shop, "--out", out, "--budget", 4, "--workers", 2)
    assert told.exit_code == 0, told.output
    return out, told.stdout


def test_a_report_has_a_page_its_values_and_a_notebook(made):
    out, printed = made
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "report.ipynb",
        "report.json",
        "runs",
    ]
    told = json.loads((out / "report.json").read_text())
    assert printed.splitlines() == [*told["judged"]["says"], str(out / "report.html")]
    assert (
        len(told["pilot"]["runs"]) == 8 == len(list((out / "runs").glob("*.json")))
        and told["log"]["tokens"] > 0
    )
    assert set(told["floor"]) == {"HR@10", "NDCG@10"} and "conditional" in told["entropy"]
    notebook = json.loads((out / "report.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert (
        code
        and all(cell["execution_count"] for cell in code)
        and str(out) not in (out / "report.ipynb").read_text()
    )
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])


def test_the_page_needs_nothing_else_and_is_for_all(made):
    text = (made[0] / "report.html").read_text()
    assert not re.search(
        r"(src|href)=|url\((?!#)|@import|<script",
        text.replace('xlink:href="#', "").replace('href="#', ""),
    )
    assert (
        'lang="en"' in text and "width=device-width" in text and "prefers-color-scheme:dark" in text
    )
    assert (
        text.count("<svg") == 6
        and text.count('role="img" aria-label="') == 3
        and "#0072b2" not in text.split("</style>")[1].lower()
    )
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and set(
        re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    ) <= set(ids)
    for sentence in json.loads((made[0] / "report.json").read_text())["judged"]["says"]:
        assert render.html.escape(sentence) in text


def test_a_second_call_goes_on_and_trains_nothing_again(made, quick, shop, tmp_path, monkeypatch):
    out = Path(shutil.copytree(made[0], tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    (out / "report.html").write_text("old")
    monkeypatch.setattr(runner, "train_job", None)  # nobody trains
    assert run("report", shop, "--out", out, "--budget", 4).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")} == before
    assert (out / "report.html").read_text() == (made[0] / "report.html").read_text().replace(
        "on 2 cores", f"on {report.os.cpu_count()} cores"
    )


@pytest.mark.parametrize("where", ["notebook", "page", "disk"])
def test_a_report_that_fails_leaves_the_old_one(made, tmp_path, monkeypatch, where):
    out = Path(shutil.copytree(made[0], tmp_path / "out"))
    told = json.loads((out / "report.json").read_text())
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    if where == "notebook":
        told["floor"]["NDCG@10"] = 9.0  # other conclusions than those in the file
        told["judged"]["says"] = ["another"]
    elif where == "page":
        monkeypatch.setattr(render, "render_page", lambda told: 1 / 0)
        monkeypatch.setattr(render.builder, "start", _at_once)
    else:
        monkeypatch.setattr(
            render.nbformat,
            "write",
            lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
    with pytest.raises((InputError, ZeroDivisionError)) as caught:
        render.write_report(told, out)
    assert "\n" not in str(caught.value)
    assert {
        path.name: path.read_bytes() for path in out.iterdir() if path.is_file()
    } == before and not list(out.glob(".report-*"))


def _at_once(source, values, scratch, threads):
    shutil.copy(source, scratch / "report" / source.name)
    return type("Done", (), {"wait": lambda self: 0, "terminate": lambda self: None})()


def test_interrupted_it_says_how_to_go_on(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(
        report, "run_report", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    told = run("report", shop, "--out", tmp_path / "out")
    assert (
        told.exit_code == 130
        and "The same command goes on from there" in told.output
        and not (tmp_path / "out").exists()
    )


def test_when_no_run_ends_there_is_no_report(quick, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "run", lambda *_, **__: pd.DataFrame({"status": ["failed: x"]}))
    told = run("report", shop, "--out", tmp_path / "out", "--budget", 4)
    assert (
        told.exit_code == 1
        and "came to an end; the first: failed: x" in told.output
        and not (tmp_path / "out").exists()
    )
    monkeypatch.setattr(runner, "run", lambda *_, **__: pd.DataFrame())
    assert (
        "give it more time with --budget"
        in run("report", shop, "--out", tmp_path / "out", "--budget", 4).output
    )


def refused(path, out, *options):
    """The one line with which a log is refused."""
    told = run("report", path, "--out", out, *options)
    lines = [line for line in told.output.splitlines() if line.startswith("Error: ")]
    assert (
        told.exit_code != 0
        and len(lines) == 1
        and "Traceback" not in told.output
        and isinstance(told.exception, SystemExit)
    ), told.output
    assert not Path(out).exists()
    return lines[0]


@pytest.mark.parametrize(
    "name", [name for name, (_, options, _) in BAD.items() if not {"unit", "layout"} & set(options)]
)
def test_a_malformed_log_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, options, told = BAD[name]
    content = content() if callable(content) else content
    Path("log").write_bytes(content.encode() if isinstance(content, str) else content)
    with click.Context(main):
        told = as_options(told)
    assert told in refused(
        "log", "out", *(part for key, value in options.items() for part in (f"--{key}", value))
    )


@pytest.mark.parametrize("name", GOOD)
def test_a_log_that_is_read_but_too_small_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, options, _ = GOOD[name]
    content = content() if callable(content) else content
    Path("log").write_bytes(content.encode() if isinstance(content, str) else content)
    given = [
        part
        for key, value in options.items()
        for part in (
            [f"--{key}", value] if key != "header" else ["--header" if value else "--no-header"]
        )
    ]
    assert re.search(
        "cannot be split|cannot be trained on|21 are the least", refused("log", "out", *given)
    )


def test_a_log_of_few_items_is_refused(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text(
        "user,item\n" + "".join(f"u{u},i{(u * t) % 20}\n" for u in range(90) for t in range(9))
    )
    assert "few has 20 items" in refused(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", "0"], "0"),
        (["--budget", "inf"], "no time"),
        (["--budget", "x"], "not a valid float"),
        (["--workers", "0"], "0"),
        (["--user", "who"], "no column 'who'"),
    ],
)
def test_options_that_cannot_be(shop, tmp_path, options, told):
    assert told in refused(shop, tmp_path / "out", *options)


def test_a_folder_that_cannot_be(shop, tmp_path):
    (tmp_path / "file").write_text("")
    told = run("report", shop, "--out", tmp_path / "file" / "out", "--budget", 4)
    assert (
        told.exit_code == 1
        and "records cannot be kept in" in told.output
        and told.output.count("\n") == 1
    )


def test_a_report_on_other_data_is_not_overwritten(shop, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"log": {"name": "other", "hash": "0"}}')
    told = run("report", shop, "--out", out)
    assert (
        told.exit_code == 1
        and "has a report on other data" in told.output
        and "--out" in told.output
    )
    assert [path.name for path in out.iterdir()] == ["report.json"]
