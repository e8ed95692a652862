"""Weights that `perflaw train --save` keeps, and what `perflaw recommend` makes of them."""

import io
import random

import pandas as pd
import pytest
from command_line import run

from perflaw.logs.interaction_log import from_histories, write_log
from perflaw.models import load_model
from perflaw.models.training import trainer


def write_rows(path, users, items=40):
    rows = ["user,item"]
    for user in users:
        draw = random.Random(user)
        rows += [f"{user},m{item}" for item in draw.sample(range(items), 9)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory, quick):
    """A log, and the folder of a model that was trained on it."""
    folder = tmp_path_factory.mktemp("shop")
    log = write_rows(folder / "log.csv", [f"u{number}" for number in range(60)])
    command = ["train", log, *quick, "--out", folder / "runs", "--save", folder / "model"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    return folder, log, command


def read_table(result):
    assert result.exit_code == 0, result.output
    return pd.read_csv(io.StringIO(result.stdout))


def test_recommendations_are_in_the_ids_of_the_log(shop):
    folder, log, _ = shop
    table = read_table(run("recommend", folder / "model", log, "--top", 3, "--users", "u7,u5"))
    assert table["user"].tolist() == ["u5"] * 3 + ["u7"] * 3
    assert table["rank"].tolist() == [1, 2, 3] * 2
    assert table["item"].str.fullmatch(r"m\d+").all()


def test_an_id_with_a_comma_is_one_user(shop, tmp_path):
    folder, _, _ = shop
    log = tmp_path / "commas.csv"
    log.write_text('user,item\n"Weiss, Ana",m1\n"Weiss, Ana",m2\nu1,m3\nu1,m4\n')
    table = read_table(run("recommend", folder / "model", log, "--top", 1, "--users", "Weiss, Ana"))
    assert table["user"].tolist() == ["Weiss, Ana"]


def test_guesses_are_said_beside_the_table(shop):
    folder, log, _ = shop
    result = run("recommend", folder / "model", log, "--top", 1)
    assert "read as: time: none" in result.stderr
    assert "read as" not in result.stdout


def test_the_history_is_not_recommended_where_nothing_repeats(shop):
    folder, log, _ = shop
    table = read_table(run("recommend", folder / "model", log, "--top", 40))
    seen = pd.read_csv(log)
    assert not table.merge(seen, on=["user", "item"]).shape[0]
    assert (table.groupby("user").size() == 31).all()


def test_a_default_that_is_called_none_can_be_given(shop):
    _, _, command = shop
    again = run(*command, "-o", "augmentation", "none")
    assert again.exit_code == 0, again.output
    assert "nothing was trained" in again.stdout


def test_a_second_identical_command_trains_nothing(shop):
    folder, _, command = shop
    before = (folder / "model" / "weights.safetensors").stat().st_mtime_ns
    again = run(*command)
    assert "it was there already; nothing was trained" in again.stdout
    assert (folder / "model" / "weights.safetensors").stat().st_mtime_ns == before


def test_weights_that_are_not_there_are_trained_again(shop):
    folder, _, command = shop
    result = run(*command[:-1], folder / "other")
    assert "already" not in result.stdout
    assert load_model(folder / "other").key == load_model(folder / "model").key


def test_files_have_the_mode_of_the_umask(shop, tmp_path):
    folder, _, _ = shop
    write_log(from_histories([[1, 2, 3]]), tmp_path / "log.parquet")
    plain = tmp_path / "plain"
    plain.touch()
    paths = [*(folder / "model").iterdir(), *(folder / "runs").iterdir(), *tmp_path.iterdir()]
    assert {path.stat().st_mode for path in paths} == {plain.stat().st_mode}


def test_unknown_items_are_passed_over_and_said(shop, tmp_path):
    folder, _, _ = shop
    log = tmp_path / "new.csv"
    log.write_text("user,item\na,m1\na,m2\na,new\nb,new\nb,newer\n")
    result = run("recommend", folder / "model", log, "--top", 1)
    said = [line for line in result.stderr.splitlines() if "new read as: " not in line]
    assert said == [
        "2 of 4 items are unknown to the model and are passed over, 'new' among them",
        "users who get nothing: 1; the model knows none of their items, or they have had all that "
        "it knows",
    ]
    assert read_table(result)["user"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--users", "u71"], "log has no user 'u71'; did you mean u7?"),
        (["--users", "nobody"], "log has no user 'nobody'"),
        (["--item", "nothing"], "has no column 'nothing' for item"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(shop, arguments, reason):
    folder, log, _ = shop
    result = run("recommend", folder / "model", log, *arguments)
    assert result.exit_code == 1
    assert reason in result.output
    assert result.output.count("\n") == 1


def test_a_folder_without_a_model_is_refused_in_one_line(shop, tmp_path):
    _, log, _ = shop
    result = run("recommend", tmp_path, log)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path} holds no model")


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, quick):
    log = write_rows(tmp_path / "log.csv", range(20))
    result = run("train", log, *quick, "--out", tmp_path / "runs", "--save", log)
    assert result.exit_code in (1, 2)
    assert not list(tmp_path.glob("runs/*.json"))


@pytest.mark.parametrize("command", [["train", "synthetic"], ["recommend", "model", "synthetic"]])
def test_an_interrupt_ends_every_command_alike(shop, monkeypatch, command):
    folder, _, _ = shop
    monkeypatch.chdir(folder)

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "train", interrupt)
    monkeypatch.setattr("perflaw.logs.datasets.load_log", interrupt)
    result = run(*command)
    assert result.exit_code == 130
    assert "Interrupted" in result.output


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["log", "synthetic", "--unit", "s", "--unit", "ms"], "--unit"),
        (["log", "synthetic", "--header", "--no-header"], "--header or --no-header"),
        (["entropy", "synthetic", "--m", "1", "--m", "2"], "--m"),
        (["train", "synthetic", "--threads", "1", "--out", "x", "--threads", "2"], "--threads"),
    ],
)
def test_an_option_given_twice_is_refused(arguments, name):
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"{name} is given twice; give it once" in result.output


def test_names_given_with_one_option_are_not_a_repeat():
    result = run("train", "synthetic", "-o", "n_layers", "0", "-o", "d_emb", "8")
    assert "is given twice" not in result.output
    assert result.exit_code == 1
