"""Tables of runs in any common form; what is wrong with a metric; what a fit is worth."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from command_line import run

from perflaw.errors import InputError
from perflaw.laws import families, fitting, table_checks
from perflaw.logs.readers import engine
from perflaw.logs.readers.tables import read_table

GRID = pd.DataFrame(
    [(n, d) for n in (1, 2, 4, 8) for d in (8, 16, 32, 64)], columns=["n_layers", "d_emb"]
)
TABLE = GRID.assign(**{"NDCG@10": 0.1 + 0.02 * np.log(GRID["d_emb"]) + 0.001 * GRID["n_layers"]})


def text(sep=",", **options):
    return TABLE.to_csv(index=False, sep=sep, **options)


FORMS = {
    "commas": text().encode(),
    "tabs": text("\t").encode(),
    "semicolons": text(";").encode(),
    "decimal commas": text(";", decimal=",").encode(),
    "bars": text("|").encode(),
    "spaces after": text().replace(",", ", ").encode(),
    "quotes": TABLE.to_csv(index=False, quoting=2).encode(),
    "UTF-16": text("\t").encode("utf-16"),
    "mark": text().encode("utf-8-sig"),
    "gzip": gzip.compress(text().encode()),
    "index": TABLE.to_csv().encode(),
    "comma at the end": text().replace("\n", ",\n").encode(),
    "comments and sep": b"# runs\nsep=;\n".removeprefix(b"# runs\n") + text(";").encode(),
    "blank lines": b"\n\n" + text().replace("\n", "\n\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_read_alike(form, tmp_path):
    path = tmp_path / "runs"
    path.write_bytes(FORMS[form])
    pd.testing.assert_frame_equal(read_table(path), TABLE)


def test_a_table_of_parquet_under_any_name(tmp_path):
    import duckdb

    path = tmp_path / "runs[1].parquet"
    connection = duckdb.connect()
    connection.register("runs", TABLE)
    connection.sql("select * from runs").write_parquet(str(tmp_path / "plain"))
    (tmp_path / "plain").rename(path)
    pd.testing.assert_frame_equal(read_table(path), TABLE)


BAD = {
    "ragged": (text() + "1,2\n", "line 18: fewer columns \\(2\\) than the 3 of the header"),
    "header again": (text() + text(), "line 18: the header again"),
    "one column": ("value\n1\n", "it has one column"),
    "rows": ("n_layers,d_emb,value\n", "has no rows"),
    "blank": ("\n\n", "it is blank"),
    "no names": (",\n1,2\n", "names no column in its header line"),
    "thousands": ("n;d;value\n1;2;1,234\n", "is the comma a decimal point"),
    "workbook": ("PK\x03\x04", "zip archive"),
}


@pytest.mark.parametrize("kind", BAD)
def test_tables_that_are_refused(kind, tmp_path):
    content, message = BAD[kind]
    (tmp_path / "runs").write_text(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "runs")


def wide(n):
    settings = pd.DataFrame({f"setting {k}": [k] * len(TABLE) for k in range(n)})
    return pd.concat([TABLE, settings], axis=1).assign(**{"loss": 3.0, "HR@10": 0.2})


def test_likely_metrics_are_listed_and_not_all_columns():
    with pytest.raises(InputError) as caught:
        table_checks.choose_metric("runs.csv", wide(150), "value")
    assert "likely metrics are NDCG@10, HR@10, loss (152 other columns)" in str(caught.value)
    assert "setting" not in str(caught.value)


@pytest.mark.parametrize("rows", [[3], [0, 5, 7], list(range(10))])
def test_per_cents_beside_fractions_are_refused(rows):
    table = TABLE.copy()
    table.loc[rows, "NDCG@10"] *= 100
    with pytest.raises(InputError, match="per cents beside fractions"):
        table_checks.choose_metric("runs.csv", table, "NDCG@10")


def test_a_rate_in_per_cent_beside_others_in_fractions_is_refused():
    table = TABLE.assign(**{"HR@10": 100 * TABLE["NDCG@10"]})
    with pytest.raises(InputError, match=r"HR@10 is in per cent \(.*\) and NDCG@10 a fraction"):
        table_checks.choose_metric("runs.csv", table, "HR@10")


@pytest.mark.parametrize("column", ["loss", "NDCG@10"])
def test_what_is_no_mixture_is_fitted(column):
    table = TABLE.assign(loss=np.linspace(0.2, 5, 16), **{"NDCG@10": np.linspace(0.5, 6, 16)})
    assert len(table_checks.choose_metric("runs.csv", table, column)) == 16


@pytest.mark.parametrize("column", ["mae", "nll", "regret", "bpb"])
def test_a_loss_of_any_name_is_no_mixture_of_rates(column):
    table = TABLE.assign(**{column: [0.1] * 8 + [20.0] * 8})
    assert len(table_checks.choose_metric("runs.csv", table, column)) == 16
    assert not table_checks.is_rate([0.1, 0.9], column)


def test_a_rate_is_a_rate_whatever_else_its_name_says():
    assert table_checks.is_rate([0.1, 0.9], "NDCG@10, split by time")
    assert table_checks.is_rate_name("NDCG@10, split by time")


def test_a_fit_that_left_points_out_says_what_its_intervals_are():
    values = TABLE["NDCG@10"] + 1e-4 * np.random.default_rng(1).standard_normal(16)
    values[3] = 0.9
    fitted = fitting.fit(families.get_law("log_linear"), GRID, values, "consensus")
    assert "of 16 points, and intervals do not know" in table_checks.describe_doubts(fitted)[0]


def test_a_law_that_is_no_better_than_a_constant_says_so():
    noise = np.random.default_rng(1).standard_normal(16)
    fitted = fitting.fit(families.get_law("log_linear"), GRID, 0.2 + 0.01 * noise)
    assert "no better than a constant: R2 " in table_checks.describe_doubts(fitted)[0]
    sound = fitting.fit(families.get_law("log_linear"), GRID, TABLE["NDCG@10"] + 1e-4 * noise)
    assert table_checks.describe_doubts(sound) == []


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs.tsv"
    noise = np.random.default_rng(1).standard_normal(16)
    table = TABLE.assign(
        noise=0.2 + 0.01 * noise, steep=np.log(GRID["d_emb"]) / 5 - 0.2 + 1e-3 * noise
    )
    table.to_csv(path, index=False, sep="\t")
    return path


def test_the_command_says_what_a_fit_is_worth(runs):
    result = run("fit", runs, "--metric", "noise", "--law", "log_linear")
    assert ": no better than a constant\n" in result.output
    assert "warning: no better than a constant: R2 " in result.output


def test_the_command_warns_at_a_bound(runs):
    result = run("fit", runs, "--metric", "steep", "--law", "sum_of_powers")
    assert "is at the bound of its search" in result.output


@pytest.mark.parametrize("d", [1, 10**6])
def test_the_command_predicts_no_rate_outside_0_and_1(runs, tmp_path, d):
    law = tmp_path / "law.json"
    run("fit", runs, "--metric", "steep", "--law", "log_linear", "--out", law)
    output = run("predict", law, "n_layers=2", f"d_emb={d}").output
    values = output.splitlines()[1].split()
    assert all(0 <= float(value) <= 1 for value in values[2:5])
    assert "would be below 0 or above 1" in output


def test_a_loss_is_predicted_beyond_1(tmp_path):
    runs, law = tmp_path / "runs.csv", tmp_path / "law.json"
    noise = 1e-3 * np.random.default_rng(1).standard_normal(16)
    GRID.assign(loss=np.log(GRID["d_emb"]) / 5 + noise - 0.3).to_csv(runs, index=False)
    run("fit", runs, "--metric", "loss", "--law", "log_linear", "--out", law)
    output = run("predict", law, "n_layers=2", "d_emb=10000").output
    assert float(output.splitlines()[1].split()[2]) == pytest.approx(
        np.log(1e4) / 5 - 0.3, abs=0.02
    )
    assert "would be" not in output


# ---------------------------------------------------------------- perflaw log --json, and the rest


LOG = "user,item,time\nu,a,2020-01-01 00:00:02\nu,b,2020-01-01 00:00:01\nNA,a,2020-01-02\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_log_prints_json_and_nothing_else(log):
    told = json.loads(run("log", log, "--json").stdout)
    assert set(told) == {"log", "hash", "summary", "guesses", "notes"}
    assert told["summary"]["users"] == 2
    assert told["summary"]["items"] == 2
    assert told["summary"]["interactions"] == 3
    assert told["summary"]["first_time"] == "2020-01-01T00:00:01Z"
    assert told["summary"]["last_time"] == "2020-01-02T00:00:00Z"
    assert "user: column 'user', by its name" in told["guesses"]
    assert any("leave them out with --drop-incomplete" in note for note in told["notes"])


def test_json_without_a_clock(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\nu,a\n")
    told = json.loads(run("log", tmp_path / "log.csv", "--json").stdout)
    assert told["summary"]["first_time"] is None
    assert told["notes"] == []


@pytest.mark.integration
def test_entropy_prints_json_and_nothing_else(log):
    told = json.loads(run("entropy", log, "--json", "--m", "1").stdout)
    assert told["measures"]["shannon"] == pytest.approx(0.6365, abs=1e-4)
    assert told["summary"]["interactions"] == 3
    assert told["guesses"]


def test_errors_leave_stdout_empty(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\nu\n")
    result = run("log", tmp_path / "log.csv", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""


def test_quiet_leaves_out_how_a_log_was_read(log):
    assert "read as" in run("log", log).output
    assert "read as" not in run("log", log, "--quiet").output


def test_options_of_reading(log, tmp_path):
    dropped = json.loads(run("log", log, "--json", "--drop-incomplete").stdout)
    assert dropped["summary"]["interactions"] == 2
    local = json.loads(run("log", log, "--json", "--timezone", "Asia/Tokyo").stdout)
    assert local["summary"]["first_time"] == "2019-12-31T15:00:01Z"
    log.write_text("user,item,time\nu,a,01/02/20\n")
    assert "--time-format '%m/%d/%y'" in run("log", log).output
    told = json.loads(run("log", log, "--json", "--time-format", "%d/%m/%y").stdout)
    assert told["summary"]["first_time"] == "2020-02-01T00:00:00Z"


def test_parts(tmp_path):
    import duckdb

    (tmp_path / "parts").mkdir()
    for k in range(2):
        duckdb.connect().sql(f"select {k} as user, 1 as item").write_parquet(
            str(tmp_path / f"parts/{k}.parquet")
        )
    assert "read its Parquet parts with --parts" in run("log", tmp_path / "parts").output
    assert "2 users" in run("log", tmp_path / "parts", "--parts").output


# ---------------------------------------------------------------- names given twice


@pytest.mark.parametrize(
    "command", [["train", "synthetic", "-o"], ["fit", "runs.csv", "-o"], ["book", "-p"]]
)
def test_an_option_twice_is_refused(command):
    assert "given twice" in run(*command, "k", "1", command[-1], "k", "2").output


def test_ctrl_c_while_the_engine_reads_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt), engine.session("shop.csv"):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), engine.session("shop.csv"):
        raise RuntimeError("another")
