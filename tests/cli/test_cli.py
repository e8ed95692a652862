"""The commands that fit and predict; `perflaw book` is tested in test_book.py."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest
from command_line import run

from perflaw import errors
from perflaw.cli import options
from perflaw.errors import EXTRAS, MissingPackageError, describe_missing_package, require
from perflaw.logs import datasets
from perflaw.models.baselines import rank_baselines
from perflaw.paths import study_folder
from perflaw.study.paper import published, simulation

ONE = "dataset == 'MovieLens-1M' and max_seq_len == 200 and metric == 'HR@10'"


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "runs.csv"
    published.load_surfaces().query(ONE).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def files(csv):
    """Return files by name: of runs, of a law fitted to them, and of what cannot be fitted."""
    names = ("ALL", "EMPTY", "HEADER", "BINARY", "LAW", "SEMICOLONS", "HALF", "TEXT", "LOG")
    paths = {name: csv.with_name(name) for name in names}
    published.load_surfaces().to_csv(paths["ALL"], index=False)
    paths["EMPTY"].write_text("")
    paths["SEMICOLONS"].write_text("n_layers;d_emb;value\n1;2;0.3\n")
    paths["HEADER"].write_text("n_layers,d_emb,value\n")
    paths["BINARY"].write_bytes(bytes(range(256)))
    paths["HALF"].write_text("n_layers,d_emb,value\n2.5,8,0.3\n")
    paths["TEXT"].write_text('n_layers,d_emb,value\n2,8,"2,000"\n')
    paths["LOG"].write_text("time,user,item\n5,a,b\n")
    assert run("fit", csv, "--out", paths["LAW"]).exit_code == 0
    return paths | {"CSV": csv}


@pytest.mark.integration
def test_fit_then_predict(csv, tmp_path):
    law = tmp_path / "law.json"
    fitted = run("fit", csv, "--out", law)
    assert fitted.exit_code == 0, fitted.output
    assert "converged" in fitted.output
    assert "maximum" in fitted.output
    predicted = run("predict", law, "n_layers=16,48", "d_emb=50")
    assert predicted.exit_code == 0, predicted.output
    rows = [line.split() for line in predicted.output.splitlines()]
    assert rows[0] == ["n_layers", "d_emb", "prediction", "low", "high", "beyond"]
    inside, beyond = rows[1], rows[2]
    assert 0.32 < float(inside[2]) < 0.34
    assert len(inside) == 5
    assert float(beyond[3]) < float(beyond[2]) < float(beyond[4])
    assert beyond[5] == "yes"


def test_predict_reads_points_from_a_file(csv, tmp_path):
    law, points = tmp_path / "law.json", tmp_path / "points.csv"
    run(
        "fit",
        csv,
        "--law",
        "log_quadratic",
        "-o",
        "interaction",
        "true",
        "--loss",
        "huber",
        "--out",
        law,
    )
    points.write_text("name,n_layers,d_emb\na,4,25\nb,32,100\n")
    predicted = run("predict", law, points, "--level", "0.5")
    assert predicted.exit_code == 0, predicted.output
    assert len(predicted.output.splitlines()) == 4
    assert "low and high: 50 % interval, for one more run" in predicted.output


def test_fit_names_what_a_consensus_leaves_out(tmp_path):
    points = simulation.GRID.assign(
        value=0.3
        - 0.02 * (np.log(simulation.GRID["n_layers"]) - 2.5) ** 2
        + 1e-3 * np.random.default_rng(0).normal(size=24)
    )
    points.loc[7, "value"] = 0.02
    points.to_csv(tmp_path / "runs.csv", index=False)
    told = run("fit", tmp_path / "runs.csv", "--law", "log_quadratic", "--loss", "consensus").output
    assert "left out: line 9 (n_layers 8, d_emb 100), value 0.02" in told


def test_rows_are_named_by_their_lines_in_the_file(tmp_path):
    path = tmp_path / "runs.csv"
    cells = [f"{n},{d},{name},0.3" for name in "ab" for n in (1, 2) for d in (8, 16, 32)]
    path.write_text("\n".join(["# mine", "n_layers,d_emb,log,value", "", *cells, cells[-1]]) + "\n")
    told = run("fit", path, "--where", "log == 'b'").output
    assert "Error: line 16 repeats an earlier cell (n_layers 2, d_emb 32)" in told


def test_a_whole_number_that_is_missing_in_parquet_is_named(tmp_path):
    cells = "(1, 8, 1e-1), (2, 8, 2e-1), (null, 8, 3e-1)"
    runs = duckdb.sql(f"select * from (values {cells}) as runs(n_layers, d_emb, value)")
    runs.write_parquet(str(tmp_path / "runs.parquet"))
    told = run("fit", tmp_path / "runs.parquet").output
    assert "Error: n_layers is '<NA>' in row 3; it must be a finite number" in told


@pytest.mark.parametrize(
    "axes", ["n_layers,tokens", "[n_layers, tokens]", "('n_layers', 'tokens')", "n_layers tokens"]
)
def test_a_law_may_be_on_other_axes(tmp_path, axes):
    cells = [(n, t) for n in (1, 2, 4) for t in (1000, 4000)]
    rows = [f"{n},{t},{0.1 + 0.01 * np.log(n * t) + 0.001 * (n == 2)}" for n, t in cells]
    (tmp_path / "runs.csv").write_text("\n".join(["n_layers,tokens,value", *rows]))
    told = run("fit", tmp_path / "runs.csv", "--law", "log_linear", "-o", "axes", axes)
    assert told.exit_code == 0, told.output
    assert re.search(r"^a_D +0\.01 ", told.output, re.MULTILINE)


def test_fit_and_predict_have_one_level(csv, tmp_path):
    law = tmp_path / "law.json"
    assert "90 % profile interval" in run("fit", csv, "--law", "log_linear", "--out", law).output
    assert "90 % interval" in run("predict", law, "n_layers=16", "d_emb=50").output


@pytest.mark.integration
def test_options_of_a_law(csv):
    assert "performance (k = 4)" in run("fit", csv, "-o", "k", "4").output
    assert "performance (k = 10)" in run("fit", csv, "-o", "k", "1e1").output
    assert "compute_power" in run("fit", csv, "--law", "compute_power").output


def test_predict_says_when_the_fit_was_not_sound(tmp_path):
    runs = tmp_path / "runs.csv"
    runs.write_text(
        "n_layers,d_emb,value\n"
        + "".join(f"{n},{n},{0.1 + 0.01 * i}\n" for i, n in enumerate((2, 4, 8, 16, 32, 64, 128)))
    )
    assert run("fit", runs, "--law", "log_linear", "--out", tmp_path / "law.json").exit_code == 0
    assert (
        "not identified: a_N, a_d"
        in run("predict", tmp_path / "law.json", "n_layers=8", "d_emb=64").output
    )


@pytest.mark.integration
def test_runs_without_noise_can_be_fitted(tmp_path):
    runs = published.load_surfaces().query(ONE)
    runs = runs.assign(value=0.1 + 0.01 * runs["n_layers"] ** 0.5)
    runs.to_csv(tmp_path / "runs.csv", index=False)
    result = run("fit", tmp_path / "runs.csv")
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit", "nowhere.csv"], "nowhere.csv does not exist"),
        (["fit", "."], "is a folder: name a file in it\n"),
        (["fit", ""], "the name is empty"),
        (["log", ""], "the name is empty"),
        (["log", "", "--parts"], "the name is empty"),
        (["fit", "HALF"], "line 2 of .*HALF: n_layers = 2.5 is not usable; use a whole number"),
        (["fit", "TEXT"], r"no number, in line 2; mend it \(write it without a comma\), or name"),
        (["fit", "LOG"], "no column 'value' to fit; it has time, user, item\n"),
        (["report", "--out", "x", "--runs", "nowhere.csv"], "nowhere.csv does not exist"),
        (["recommend", "nowhere", "synthetic"], "nowhere holds no model"),
        (["consolidate", "nowhere", "runs"], "nowhere has no run records"),
        (["fit", "CSV", "--law", "nonesuch"], "no law is called 'nonesuch'"),
        (["fit", "CSV", "--law", "log_quadratc"], "did you mean log_quadratic?"),
        (["fit", "CSV", "--metric", "value_"], "did you mean value?"),
        (["fit", "CSV", "-o", "k", "two"], "the option k"),
        (["fit", "CSV", "-o", "axes", "n_layers,n_layers"], "names that differ"),
        (["fit", "CSV", "-o", "q", "2"], "no option 'q'"),
        (["fit", "CSV", "--metric", "MRR"], "no column 'MRR' to fit; likely metrics are value"),
        (
            ["fit", "CSV", "--metric", "dataset"],
            "'dataset' holds 'MovieLens-1M', which is no number",
        ),
        (["fit", "CSV", "--where", "n_layers > 99"], "keeps no row"),
        (["fit", "CSV", "--where", "n_layers >"], "cannot be used"),
        (["fit", "CSV", "--where", "n_layers < 9 and d_emb < 75"], "4 points are too few"),
        (["fit", "CSV", "--where", "d_emb == 50"], "d_emb is 50 in every row"),
        (["fit", "CSV", "--level", "95"], "between 0 and 1"),
        (["fit", "CSV", "--out", "no/such/folder/law.json"], "cannot be written"),
        (["fit", "ALL"], "rows differ in dataset .MovieLens-1M, KuaiRand-Pure"),
        (["fit", "EMPTY"], "is empty"),
        (["fit", "HEADER"], "has no rows"),
        (["fit", "BINARY"], "neither text nor Parquet: export the table as CSV or Parquet"),
        (["predict", "CSV", "n_layers=4"], "is not a law file"),
        (["predict", "nowhere.json", "n_layers=4"], "nowhere.json cannot be read: No such file"),
        (["predict", "LAW", "n_layers=4"], "needs the column d_emb"),
        (["predict", "LAW", "n_layers=4", "d_emb=0"], "must be 1 or more"),
        (["predict", "LAW", "n_layers=4", "d_emb=wide"], "must be a finite number"),
        (["predict", "LAW", "n_layers=4", "d_emb=64", "heads=2"], "does not read heads"),
        (
            ["predict", "LAW", "n_layers=2.5", "d_emb=8"],
            "n_layers = 2.5 is not usable; use a whole",
        ),
        (
            ["predict", "LAW", "n_layers=2", "d_emb=8,8.5"],
            "row 2 of the points: d_emb = 8.5 is not",
        ),
        (["predict", "LAW", "HALF"], "line 2 of the points: n_layers = 2.5 is not usable"),
        (["predict", "LAW", "points.csv"], "points.csv does not exist"),
        (["predict", "LAW"], "Missing argument"),
        (["predict", "LAW", "n_layers=4", "n_layers=8", "d_emb=64"], "n_layers is given twice"),
        (["predict", "LAW", "time=5", "time=6"], "write time=5,6"),
        (["predict", "LAW", "CSV", "n_layers=8"], "either a file of points or"),
        (["fit", "CSV", "--where", ""], "--where is empty; give a value, or leave it out"),
        (["fit", "CSV", "--where", " "], "is no condition"),
        (["fit", "CSV", "-o", "axes", "[n_layers, n_layers]"], "the option axes"),
        (["fit", "SEMICOLONS"], "1 points are too few"),
    ],
)
def test_mistakes_get_one_line(files, arguments, told):
    result = run(*(files.get(argument, argument) for argument in arguments))
    assert result.exit_code != 0
    assert re.search(told, result.output)
    message = [line for line in result.output.splitlines() if line.startswith("Error:")]
    assert len(message) == 1
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


# ---------------------------------------------------------------- perflaw log


def test_log_says_what_it_is_and_what_would_be_done(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text(
        "who,what,when\n"
        + "".join(
            f"u{u},i{(u + t) % 7},{1_600_000_000 + 3600 * t}\n" for u in range(20) for t in range(9)
        )
    )
    told = run("log", path, "--user", "who", "--item", "what", "--time", "when")
    assert told.exit_code == 0, told.output
    for line in (
        "shop: 20 users, 7 items, 180 interactions",
        "read as   columns: split at ','",
        "repeats   22.2 % of interactions are with an item the user had before",
        "ties      0.0 % of interactions",
        "split     leave one out: train on 140 interactions of 20 users,",
        "global time, cut at",
        "ranking   of all 7 items, none removed, as items repeat",
        "floor     most popular, so ranked: HR@10 1.0000",
    ):
        assert line in told.output
    assert re.search(r"^hash      [0-9a-f]{64}$", told.output, re.MULTILINE)


def test_log_without_a_clock(tmp_path):
    path = tmp_path / "walk.txt"
    path.write_text("".join(f"{u} {i}\n" for u in range(1, 6) for i in range(u, u + 4)))
    told = run("log", path).output
    assert "no clock" in told
    assert "global time: not possible; walk has no timestamps" in told
    assert "without those of the user's history, as nothing repeats" in told


def test_the_floor_of_a_log_is_that_of_a_report(tmp_path):
    path = tmp_path / "walk.txt"
    steps = [np.random.default_rng(u).permutation(30)[:8] for u in range(40)]
    path.write_text("".join(f"{u} {i}\n" for u, items in enumerate(steps) for i in items))
    floor = rank_baselines(datasets.load_log(path)).metrics()["most popular"]
    told = run("log", path).output
    shown = f"HR@10 {floor['HR@10']:.4f}, NDCG@10 {floor['NDCG@10']:.4f}"
    assert f"floor     most popular, so ranked: {shown}" in told


def test_log_that_cannot_be_split(tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("user,item,time\nu,a,1600000000\nu,b,1600000000\n")
    told = run("log", path)
    assert told.exit_code == 0
    assert "short: 1 users, 2 items, 2 interactions" in told.output
    assert (
        "leave one out: not possible; short cannot be split: no user has three interactions"
        in told.output
    )
    assert "global time: not possible; short cannot be split by time" in told.output
    assert "floor" not in told.output


def test_log_of_the_synthetic_default():
    told = run("log", "synthetic")
    assert told.exit_code == 0
    assert "synthetic: 2,000 users, 1,000 items" in told.output


@pytest.mark.parametrize(
    ("content", "arguments", "told"),
    [
        ("user,item\nu,a\nu,b,c\n", [], "line 3: 3 columns where the header has 2"),
        (
            "a\tb\nc\td\n",
            ["--no-header", "--delimiter", "\\t", "--user", "9", "--item", "2"],
            "has no column '9' for user; it has 1, 2",
        ),
    ],
)
def test_log_refuses_in_one_line(tmp_path, content, arguments, told):
    path = tmp_path / "log.csv"
    path.write_text(content)
    result = run("log", path, *arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


# ---------------------------------------------------------------- perflaw entropy


def test_entropy_prints_every_measure_with_its_meaning():
    told = run("entropy", "synthetic")
    assert told.exit_code == 0, told.output
    for name in (
        "shannon",
        "apen signed",
        "apen absolute",
        "sample",
        "pooled",
        "plug-in",
        "conditional",
        "lempel-ziv",
        "compression",
        "accuracy limit",
    ):
        assert re.search(rf"^{name} +-?\d+\.\d{{4}}   \w", told.output, re.MULTILINE), name
    assert "D' = D / conditional = " in told.output
    assert "(the paper)" in told.output
    pooled = run("entropy", "synthetic", "--pooled").output
    assert "conditional" in pooled
    assert "apen" not in pooled
    assert "lempel-ziv" not in pooled


def test_entropy_says_what_is_undefined(tmp_path):
    path = tmp_path / "short.csv"
    path.write_text(
        "user,item\n" + "".join(f"u{u},i{i}\n" for u in range(5) for i in range(u % 2 + 1))
    )
    told = run("entropy", path, "--m", "4")
    assert told.exit_code == 0, told.output
    assert re.search(
        r"^apen signed +undefined   every history is too short: the longest has 2",
        told.output,
        re.MULTILINE,
    )
    assert "5 users have too few interactions for m = 4" in told.output
    path.write_text("user,item\nu,a\nu,a\nu,a\n")
    told = run("entropy", path).output
    assert "D' = D / conditional is undefined, as that is 0" in told
    assert "D' = D / apen absolute is undefined" in told


@pytest.mark.integration
def test_entropy_of_a_numbering():
    told = run("entropy", "synthetic", "--r", "100", "--last", "50").output
    assert "m = 2, r = 100, last 50 on item numbers" in told
    numbered = float(re.search(r"apen absolute +(\S+)", told)[1])
    assert numbered > 5 * float(
        re.search(r"apen absolute +(\S+)", run("entropy", "synthetic", "--last", "50").output)[1]
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--m", "0"], "m = 0 is not usable"),
        (["--r", "-1"], "r = -1.0 is not usable"),
        (["--r", "nan"], "r = nan is not usable"),
        (["--last", "0"], "last = 0 is not usable"),
        (["--pooled", "--last", "50"], "--last is for measures by user, which --pooled leaves out"),
        (["--pooled", "--r", "1"], "--r is for measures by user, which --pooled leaves out"),
    ],
)
def test_entropy_refuses_in_one_line(options, told):
    result = run("entropy", "synthetic", *options)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.count("\n") == 1


# ---------------------------------------------------------------- perflaw train


@pytest.mark.integration
def test_train_keeps_a_record_and_finds_it_again(tmp_path, quick):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item\n"
        + "".join(f"u{u},i{(u * 7 + 3 * i) % 40}\n" for u in range(60) for i in range(9))
    )
    first = run("train", path, "--out", tmp_path / "runs", *quick)
    assert first.exit_code == 0, first.output
    (record,) = (tmp_path / "runs").iterdir()
    assert f"{record.name}: epochs used up" in first.output
    assert (
        "all 40 items ranked:\n  the user's training part removed (the older rule): HR"
        in first.stdout
    )
    assert "\n  all of the user's history removed (the rule of record): HR" in first.stdout
    before = record.stat().st_mtime_ns
    again = run("train", path, "--out", tmp_path / "runs", *quick)
    assert again.exit_code == 0
    assert record.stat().st_mtime_ns == before
    there = "epochs used up (it was there already; nothing was trained)"
    assert again.stdout == first.stdout.replace("epochs used up", there)


@pytest.mark.integration
def test_train_on_a_log_with_one_user_to_test(tmp_path, quick):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item\n" + "".join(f"one,i{i % 5}\n" for i in range(9)) + "two,i1\ntwo,i2\n"
    )
    result = run("train", path, "--out", tmp_path / "runs", *quick)
    assert result.exit_code == 0
    assert "(se unknown, of one user)" in result.output


def test_train_lists_its_settings():
    told = run("train", "--settings").output
    assert re.search(r"^backbone +sasrec$", told, re.MULTILINE)
    assert re.search(r"^clip +None$", told, re.MULTILINE)


@pytest.mark.integration
def test_a_run_that_diverges_is_told_and_kept(tmp_path, quick):
    result = run(
        "train",
        "synthetic",
        "--out",
        tmp_path,
        *quick,
        "-o",
        "learning_rate",
        "1e30",
        "-o",
        "loss",
        "softmax",
    )
    assert result.exit_code == 1
    assert "diverged in epoch 1" in result.output
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "n_heads", "3"], "n_heads = 3 does not divide d_emb = 64"),
        (["-o", "heads", "2"], "a configuration has no 'heads'"),
        (["-o", "n_layers", "1000000000"], "make the model, the batch or"),
        (["-o", "loss", "mse"], "there is no loss 'mse'"),
        (["-o", "backbone", "lstm"], "there is no backbone 'lstm'"),
        (["-o", "dropout", "-0.1"], "dropout = -0.1 is not usable"),
        (["-o", "max_seq_len", "0"], "max_seq_len = 0 is not usable"),
        (["--device", "cuda:99"], "device cuda:99: this machine has"),
        (["--device", "tpu"], "device 'tpu' is not usable"),
    ],
)
def test_train_refuses_in_one_line(options, told, tmp_path):
    result = run("train", "synthetic", "--out", tmp_path, *options)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_a_fit_of_shares_of_the_users_says_what_to_leave_out():
    told = run(
        "fit", study_folder() / "data" / "sweeps" / "laptop.csv", "--metric", "NDCG@10"
    ).output
    assert (
        "rows differ in sample_users (none, 0.5, 0.125); keep those of one value with --where"
        in told.replace("0.25", "0.125")
    )
    assert (
        "converged"
        in run(
            "fit",
            study_folder() / "data" / "sweeps" / "laptop.csv",
            "--metric",
            "NDCG@10",
            "--where",
            "sample_users.isna()",
        ).output
    )


@pytest.mark.integration
def test_a_table_to_fit_is_read_as_it_stands(tmp_path):
    rows = [
        (n, d, f"{0.1 + 0.01 * n - 0.1 / d:.4f}") for n in (1, 2, 4, 8) for d in (8, 16, 32, 64)
    ]

    def table(header, shown):
        lines = [header, *(",".join(map(str, row)) for row in shown)]
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")

    table("n_layers,d_emb,value", [(*row, 7) for row in rows])
    assert (
        "line 2: more columns (4) than the 3 of the header" in run("fit", tmp_path / "t.csv").output
    )
    table("n_layers,d_emb,value,value", [(*row, row[2]) for row in rows])
    assert "has the column 'value' twice" in run("fit", tmp_path / "t.csv").output
    table("n_layers, d_emb, value", rows)
    assert "converged" in run("fit", tmp_path / "t.csv").output
    assert "is no condition" in run("fit", tmp_path / "t.csv", "--where", "n_layers").output
    assert (
        "is there, and is no fitted law"
        in run("fit", tmp_path / "t.csv", "--out", tmp_path / "t.csv").output
    )
    table("n_layers,d_emb,value", [(n, d, "" if (n, d) == (1, 8) else v) for n, d, v in rows])
    assert (
        "1 of 16 rows have no value; leave them out with --where"
        in run("fit", tmp_path / "t.csv").output
    )
    table(
        "n_layers,d_emb,value,backbone", [(*row, "gru" if row[0] > 2 else "sasrec") for row in rows]
    )
    assert "rows differ in backbone (sasrec, gru)" in run("fit", tmp_path / "t.csv").output


def test_errors_speak_of_options(tmp_path):
    (tmp_path / "log.csv").write_text("a,when,n\nx,1,2\n")
    assert (
        "With --user name one of a, when, n" in run("log", tmp_path / "log.csv", "--header").output
    )
    odd = tmp_path / "item=1,user=2.csv"
    assert f"{odd} does not exist" in run("log", odd).output
    (tmp_path / "places.csv").write_text("2,1,1600000000\n0,9,1600000000\n0,8,1600003600\n")
    assert (
        "places: 2 users, 3 items, 3 interactions"
        in run("log", tmp_path / "places.csv", "--user", 1, "--item", 2).output
    )
    assert (
        "--item says how to read a log; name it with --log"
        in run("verify", "controls", "--item", "x").output
    )


def test_a_prediction_that_no_rate_can_be_is_told(tmp_path):
    path = tmp_path / "runs.csv"
    published.load_surfaces().query(ONE).assign(
        value=lambda rows: 0.3 - 0.05 * np.log(rows["d_emb"])
    ).to_csv(path, index=False)
    run("fit", path, "--law", "log_linear", "--out", tmp_path / "law.json")
    assert (
        "1 of these would be below 0 or above 1"
        in run("predict", tmp_path / "law.json", "n_layers=8", "d_emb=100,2000").output
    )


# ---------------------------------------------------------------- the group of commands


HEAVY = ("numpy", "pandas", "scipy", "duckdb", "numba", "torch", "matplotlib", "papermill")


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [["--help"], ["log", "--help"], ["train", "--help"]])
def test_help_imports_nothing_that_takes_long(arguments):
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from perflaw.cli.main import main\n"
        f"assert CliRunner().invoke(main, {arguments}).exit_code == 0\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_command_has_a_module_and_a_line_of_help():
    lines = run("--help").output.partition("Commands:")[2].strip().splitlines()
    modules = {path.stem for path in Path(options.__file__).parent.glob("*.py")}
    assert {line.split()[0] for line in lines} == modules - {"__init__", "main", "options"}
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_a_module_runs_as_the_command():
    command = [sys.executable, "-m", "perflaw", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"perflaw, version \S+\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["train", "synthetic", "--out", ""], "--out"),
        (["train", "synthetic", "--save", ""], "--save"),
        (["consolidate", "runs", "table", "--where", ""], "--where"),
    ],
)
def test_an_empty_option_is_refused(arguments, option):
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Error: {option} is empty; give a value, or leave it out" in result.output


@pytest.mark.integration
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_one_line():
    command = [Path(sys.executable).with_name("perflaw"), "log", "synthetic"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        "Error: the output cannot be written: No space left on device; free space\n"
    )


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["log", LONG],
        ["entropy", LONG],
        ["train", LONG],
        ["verify", LONG],
        ["consolidate", LONG, "table"],
        ["compare", LONG, LONG],
        ["fit", "CSV", "--out", LONG],
        ["train", "synthetic", "--out", LONG],
        ["report", "synthetic", "--out", LONG],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_is_too_long_is_one_line(arguments, csv):
    result = run(*[csv if text == "CSV" else text for text in arguments])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    errors_of_it = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors_of_it) == 1


@pytest.mark.parametrize("number", errors.PATH_REMEDIES)
def test_a_path_that_cannot_be_used_is_one_line(number):
    with pytest.raises(SystemExit, match=r"^a/b cannot be used: .*; "), errors.one_line_errors():
        raise OSError(number, "why", "a/b")


def test_a_pipe_is_not_taken_for_a_law(csv, tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to read from it would take for ever
    result = run("fit", csv, "--out", tmp_path / "pipe")
    assert "is there, and is no fitted law" in result.output


@pytest.mark.integration
def test_many_values_of_an_axis_are_no_file(csv, tmp_path):
    law = tmp_path / "law.json"
    assert run("fit", csv, "--out", law).exit_code == 0
    many = ",".join(str(n) for n in range(1, 101))
    predicted = run("predict", law, f"n_layers={many}", "d_emb=50")
    assert len(predicted.output.splitlines()) >= 101, predicted.output


@pytest.mark.parametrize(("text", "value"), [("10", 10), ("010", "010"), ("1:30", "1:30")])
def test_a_setting_is_a_number_only_where_it_is_plain(text, value):
    assert options.parse_setting(text) == value
    assert options.parse_value(text) == value


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "CSV", "-o", "k", "2", "-o", "k", "4"],
        ["train", "synthetic", "-o", "seed", "2", "-o", "seed", "4"],
        ["book", "-p", "seed", "2", "-p", "seed", "4"],
    ],
)
def test_a_name_given_twice_is_refused(csv, arguments):
    result = run(*(csv if argument == "CSV" else argument for argument in arguments))
    assert result.exit_code == 1
    assert re.fullmatch(
        r"Error: -[op] (k|seed) is given twice \(2 and 4\); give it once\n", result.output
    )


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("duckdb", "this needs duckdb, which is not installed: pip install 'perflaw[logs]'"),
        ("torch._C", "this needs torch, which is not installed: pip install 'perflaw[models]'"),
        ("nonesuch", None),
        (None, None),
    ],
)
def test_a_missing_package_names_its_extra(missing, expected):
    assert describe_missing_package(missing) == expected


def test_a_package_is_required_by_name(monkeypatch):
    assert require("json") is json
    monkeypatch.setitem(EXTRAS, "nonesuch", "cluster")
    with pytest.raises(MissingPackageError, match=r"pip install 'perflaw\[cluster\]'"):
        require("nonesuch")


def own_runs(tmp_path):
    path = tmp_path / "own.csv"
    rows = ["n_layers,d_emb,NDCG@10,users"]
    rows += [f"{n},{d},{0.03 * n**0.05 * d**0.2:.4f},500" for n in (1, 2, 4) for d in (8, 16, 32)]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_an_axis_is_no_metric(tmp_path):
    refused = run("fit", own_runs(tmp_path), "--metric", "n_layers")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: n_layers is an axis of the law")


@pytest.mark.parametrize("option", ["--backbone", "--split", "--user"])
def test_options_for_a_log_are_refused_beside_own_runs(tmp_path, option):
    refused = run("report", "--runs", own_runs(tmp_path), "--out", tmp_path / "out", option, "x")
    assert refused.exit_code == 2
    assert f"{option} is for a LOG" in refused.output
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_doubts_about_a_log_are_told_before_training(tmp_path):
    rows = [f"{u},{i},{1_600_000_000 + 100 * u + i}" for u in range(30) for i in range(5)]
    rows[-1] = "29,4,160000290"
    (tmp_path / "shop.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    result = run("entropy", tmp_path / "shop.csv", "--pooled")
    assert result.exit_code == 0
    assert "shop note: times: of 150 rows 1 is of 1975, the others of 2020" in result.stderr
    quiet = run("entropy", tmp_path / "shop.csv", "--pooled", "--quiet")
    assert quiet.stderr == ""


class InterruptedAtItsEnd:
    """An object in whose destructor Ctrl-C is pressed."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@options.interruptible(lambda: "nothing is left.")
def wait_after_a_destructor():
    InterruptedAtItsEnd()
    time.sleep(10)


def test_an_interrupt_within_a_destructor_is_not_lost(capsys):
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit, match="130"):
            wait_after_a_destructor()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    assert capsys.readouterr().err == "\nInterrupted; nothing is left.\n"
    assert sys.unraisablehook is hook
