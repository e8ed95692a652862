"""Trained models: saved, loaded and used to recommend; and the front doors of the wing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import perflaw.models
import perflaw.models.sweeps
from perflaw.errors import InputError
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import backbones, configuration, ranking
from perflaw.models.trained_model import CONFIG_FILE, WEIGHTS_FILE, load_model, save_model
from perflaw.models.training.loop import fit_model
from perflaw.models.training.trainer import train

SETTINGS = {"n_layers": 1, "d_emb": 8, "max_seq_len": 10, "epochs": 3, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def movies():
    """A log without repeats, of items that are named."""
    random = np.random.default_rng(0)
    return from_histories([[f"m{i}" for i in random.permutation(30)[:12]] for _ in range(40)])


@pytest.fixture(scope="module")
def model(movies):
    return fit_model(configuration.make_config(**SETTINGS), movies, progress=False)


def test_a_loaded_model_is_the_saved_one(model, tmp_path):
    loaded = load_model(save_model(model, tmp_path / "new" / "folder"))
    assert loaded.config == model.config
    assert loaded.curve == model.curve
    assert loaded.removes_seen == model.removes_seen
    assert loaded.item_ids.tolist() == model.item_ids.tolist()
    assert all(torch.equal(loaded.weights[name], weight) for name, weight in model.weights.items())


def test_a_saved_model_holds_no_pickle(model, tmp_path):
    model.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS_FILE, CONFIG_FILE}
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["configuration"]["d_emb"] == 8


def test_recommendations_are_the_best_items_by_score(model, movies):
    table = model.recommend(movies, top=3)
    assert list(table.columns) == ["user", "rank", "item", "score"]
    assert table["rank"].tolist() == [1, 2, 3] * movies.n_users
    user = 7
    scores = model.scorer()(movies, np.array([user]), movies.offsets[[user + 1]])
    scores = scores(0, movies.n_items)[0].numpy()
    scores[movies.history(user)] = -np.inf
    best = movies.item_ids[np.argsort(-scores)[:3]]
    assert table.loc[table["user"] == user, "item"].tolist() == best.tolist()


def test_nothing_of_the_history_is_recommended_where_nothing_repeats(model, movies):
    table = model.recommend(movies, top=30)
    histories = [set(movies.item_ids[movies.history(user)]) for user in range(movies.n_users)]
    assert all(item not in histories[user] for user, item in zip(table["user"], table["item"]))
    assert len(table) == sum(30 - len(history) for history in histories)


def test_where_items_repeat_they_are_recommended_again(model, tmp_path):
    log = from_histories([list("abcabcab") for _ in range(20)])
    repeating = fit_model(configuration.make_config(**SETTINGS), log, progress=False)
    assert len(repeating.recommend(log, top=5)) == 20 * 3


def test_other_users_with_items_in_another_order(model, movies):
    """Ids count, not codes; unknown items are passed over."""
    others = from_histories([["new", *movies.item_ids[movies.history(3)][:5]], ["new", "m3", "m1"]])
    same = from_histories([movies.item_ids[movies.history(3)][:5].tolist(), ["m3", "m1"]])
    assert model.recommend(others)["item"].tolist() == model.recommend(same)["item"].tolist()


def test_recommendations_agree_with_ranking(model, movies):
    split = leave_one_out(movies)
    ranked = ranking.rank_targets(model.scorer(), split, split.test, top=1, seen="history")
    before_target = from_histories(
        [movies.item_ids[movies.history(user)][:-1].tolist() for user in range(movies.n_users)]
    )
    table = model.recommend(before_target, top=1)
    assert table["item"].tolist() == movies.item_ids[ranked.top[:, 0]].tolist()


@pytest.mark.parametrize("top", [0, -1, 1.5, True])
def test_a_number_of_items_that_cannot_be(model, movies, top):
    with pytest.raises(InputError, match=r"top = .* is not usable; use a whole number"):
        model.recommend(movies, top)


def test_a_log_of_other_items_is_told(model):
    with pytest.raises(InputError, match="the model knows none of the items of log"):
        model.recommend(from_histories([["x", "y", "z"]]))


def test_a_model_that_needs_the_time_of_the_target(movies):
    config = configuration.make_config(**SETTINGS, backbone="hstu", time_bias=True)
    log = from_histories([list("abcd")] * 9, [[1.0, 2.0, 3.0, 4.0]] * 9)
    model = fit_model(config, log, progress=False)
    with pytest.raises(InputError, match="needs the time of the next interaction"):
        model.recommend(log)


def damage_nothing(folder):
    (folder / CONFIG_FILE).unlink()


def damage_text(folder):
    (folder / CONFIG_FILE).write_text("{")


def damage_weights(folder):
    data = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(data[:-9])


def damage_one_weight(folder):
    path = folder / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def damage_to_nan(folder):
    weights = load_file(folder / WEIGHTS_FILE)
    weights["items"][3] = torch.nan
    save_file(weights, folder / WEIGHTS_FILE)


def damage_depth(folder):
    (folder / CONFIG_FILE).write_text("[" * 100_000)


def changed(**values):
    """Change values of the description."""

    def damage(folder):
        path = folder / CONFIG_FILE
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


def damage_configuration(folder):
    settings = json.loads((folder / CONFIG_FILE).read_text())["configuration"]
    changed(configuration=settings | {"n_layers": 5})(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing, "No such file or directory"),
        (damage_text, "model.json is no JSON"),
        (damage_weights, "weights.safetensors cannot be read"),
        (damage_one_weight, "weights.safetensors is not the file that model.json was written with"),
        (damage_to_nan, "its weights are no finite numbers"),
        (damage_depth, "holds no model"),
        (changed(format=99), "format 99, and this version reads 1"),
        (changed(format="1"), "format '1', and this version reads 1"),
        (changed(items=[["m1"]] * 30), "its items are no list of numbers and texts"),
        (changed(items=["m1"] * 30), "an item is in it twice"),
        (changed(removes_seen="no"), "removes_seen = 'no'; use true or false"),
        (damage_configuration, "its weights are not those of its configuration"),
    ],
)
def test_what_is_no_model_is_told(model, tmp_path, damage, message):
    model.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_a_model_is_replaced_whole_or_not_at_all(model, tmp_path, monkeypatch):
    model.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    other = replace(model, weights={name: 2 * weight for name, weight in model.weights.items()})
    with pytest.raises(InputError, match="No space left on device"):
        other.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_model_from_before_digests_is_read(model, tmp_path):
    model.save(tmp_path)
    path = tmp_path / CONFIG_FILE
    description = json.loads(path.read_text())
    del description["sha256"]
    path.write_text(json.dumps(description))
    assert load_model(tmp_path).config == model.config


def test_a_device_that_is_not_there(model, tmp_path):
    with pytest.raises(InputError, match="device 'tpu' is not usable"):
        load_model(model.save(tmp_path), "tpu")


def test_ids_that_became_texts_are_the_same_items():
    log = from_histories([[100 + i for i in range(8)] for _ in range(30)])
    trained = fit_model(configuration.make_config(**SETTINGS), log, progress=False)
    history = [100, 101, 102]
    as_texts = from_histories([[*map(str, history), "new"], ["0100", "101", "new"]])
    as_numbers = from_histories([history, [101]])
    as_floats = from_histories([[float(item) for item in history], [101.0]])
    expected = trained.recommend(as_numbers)["item"].tolist()
    assert trained.recommend(as_texts)["item"].tolist() == expected
    assert trained.recommend(as_floats)["item"].tolist() == expected


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"a model cannot be written to .*; name another folder"):
        model.save(tmp_path / "file" / "below")


def test_a_model_shows_what_matters(model):
    assert repr(model).startswith("<TrainedModel backbone sasrec, N 1, d 8, L 10, items 30")
    assert "<th>epochs</th><td>3</td>" in model._repr_html_()


@pytest.mark.parametrize("package", [perflaw.models, perflaw.models.sweeps])
def test_every_front_door_opens(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_wing_is_imported_without_torch():
    code = (
        "import sys, perflaw.models, perflaw.models.sweeps; perflaw.models.make_config(); "
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False"


def test_every_backbone_has_its_name():
    assert tuple(backbones.BACKBONES) == configuration.BACKBONE_NAMES


def test_an_unknown_setting_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"no 'learn_rate'; .*; did you mean learning_rate"):
        configuration.make_config(learn_rate=0.1)


def save_run(log, folder):
    """Train a run of a log, with its record in r and its model in m."""
    return train(
        configuration.make_config(**SETTINGS), log, folder / "r", "cpu", False, folder / "m"
    )


@pytest.mark.integration
def test_a_model_belongs_to_the_items_of_its_log(movies, tmp_path):
    names = np.array([f"n{name}" for name in movies.item_ids])
    other = replace(movies, item_ids=names)  # its runs have the same keys
    save_run(movies, tmp_path)
    with pytest.raises(InputError, match="m has the model of another run or log; name another"):
        save_run(other, tmp_path)
    assert load_model(tmp_path / "m").item_ids.tolist() == movies.item_ids.tolist()


@pytest.mark.integration
def test_a_model_of_another_configuration_is_not_overwritten(movies, tmp_path):
    first = save_run(movies, tmp_path)
    other = configuration.make_config(**SETTINGS | {"seed": 1})
    with pytest.raises(InputError, match="m has the model of another run or log"):
        train(other, movies, tmp_path / "r", "cpu", False, tmp_path / "m")
    assert load_model(tmp_path / "m").key == first["key"]


def test_a_model_and_records_need_two_folders(movies, tmp_path):
    config = configuration.make_config(**SETTINGS)
    with pytest.raises(InputError, match="is the folder of run records; give the model another"):
        train(config, movies, tmp_path / "r", "cpu", False, tmp_path / "r" / ".." / "r")


@pytest.mark.integration
def test_a_model_that_cannot_be_written_leaves_the_record(movies, tmp_path):
    (tmp_path / "m" / WEIGHTS_FILE / "below").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written"):
        save_run(movies, tmp_path)
    assert len(list((tmp_path / "r").glob("*.json"))) == 1
