"""Grids: what runs they have, and what is refused."""

from dataclasses import replace

import pytest
from sweep_helpers import sweep, written

from perflaw.cli.main import main
from perflaw.errors import InputError
from perflaw.models import configuration
from perflaw.models.sweeps import grids


@pytest.mark.parametrize(
    ("grid", "runs"),
    [
        ({}, 1),
        ({"about": "defaults"}, 1),
        ({"grid": {"n_layers": [1, 2], "d_emb": [8, 16, 32], "seed": 0}}, 6),
        ({"grid": [{"n_layers": [1, 2]}, {"d_emb": [8, 16]}]}, 4),
        ({"grid": [{"n_layers": [1, 2]}, {"n_layers": [2, 3]}]}, 3),  # once each
        ({"grid": {"seed": [1, 1, 1.0]}}, 1),
        ({"grid": {"sample_users": [0.25, 1, 1.0], "seed": [0, 1]}}, 4),
        (
            {
                "grid": [
                    {},
                    {"sample_users": 1},
                    {"truncate": None},
                    {"sample_time": 1},
                    {"k_core": 1},
                    {"shuffle_order": 0},
                    {"data_seed": 5},
                ]
            },
            1,
        ),
        ({"grid": {"sample_users": [0.5, 1], "data_seed": [0, 1, 2]}}, 4),
    ],
)
def test_the_runs_of_a_grid(grid, runs):
    points = grids.expand_grid(grid)
    assert len(points) == len(set(points)) == runs


def test_a_grid_has_its_order():
    points = grids.expand_grid(
        {
            "settings": {"backbone": "llama"},
            "grid": [{"n_layers": [4, 1], "d_emb": [16, 8]}, {"n_layers": 2}],
        }
    )
    assert [(p.config.n_layers, p.config.d_emb) for p in points] == [
        (4, 16),
        (4, 8),
        (1, 16),
        (1, 8),
        (2, 64),
    ]
    assert all(p == (replace(p.config, backbone="llama"), grids.TrainingData()) for p in points)


def test_data_by_name():
    point = grids.expand_grid(
        {
            "settings": {"split": "global time", "sample_users": 1, "data_seed": 3},
            "grid": {"truncate": 10, "sample_time": 0.5},
        }
    )[0]
    assert point == (
        configuration.make_config(),
        grids.TrainingData("global time", (("sample_time", 0.5), ("truncate", 10.0)), 3),
    )


@pytest.mark.parametrize(
    ("where", "matched"),
    [
        ({}, [True, True, True, True, True, True]),
        ({"n_layers": 1}, [True, True, False, False, False, False]),
        ({"n_layers": [1, 3], "d_emb": 8}, [True, False, False, False, False, False]),
        ({"n_layers": [1, 2], "d_emb": [8, 64]}, [True, False, True, False, True, True]),
        ({"backbone": "llama", "seed": 7}, [False, False, False, False, True, False]),
        (
            {"n_heads": 1, "truncate": None, "sample_users": 1, "split": "leave one out"},
            [True, True, True, True, True, True],
        ),  # by default
    ],
)
def test_overrides(where, matched):
    products = [{"n_layers": [1, 2], "d_emb": [8, 16]}, {"seed": [7, 8]}]
    grid = {
        "settings": {"backbone": "llama"},
        "grid": products,
        "overrides": [{"where": where, "set": {"dropout": 0.5}}],
    }
    assert [point.config.dropout == 0.5 for point in grids.expand_grid(grid)] == matched


def test_a_later_override_sees_an_earlier_one():
    overrides = [
        {"where": {"n_layers": 1}, "set": {"learning_rate": 0.5}},
        {"where": {"learning_rate": 0.5}, "set": {"truncate": 9}},
    ]
    first, second = grids.expand_grid({"grid": {"n_layers": [1, 2]}, "overrides": overrides})
    assert first.data.steps == (("truncate", 9.0),)
    assert second.data.steps == ()


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"grids": {}}, "a grid has no 'grids'; it has settings, grid, overrides and about"),
        ({"grid": {"layers": [1]}}, "a run has no 'layers'; it has backbone, n_layers"),
        ({"settings": {"layers": 1}}, "a run has no 'layers'"),
        (
            {"settings": {"n_layers": [1, 2]}},
            "settings: n_layers needs one value; lists belong under grid",
        ),
        ({"settings": None}, "settings needs names and values"),
        ({"settings": {2: 1}}, "settings needs names and values"),
        ({"grid": 3}, "grid needs names and values"),
        ({"grid": [3]}, "grid needs names and values"),
        ({"grid": []}, "grid has no runs"),
        ({"grid": {"n_layers": []}}, "grid: n_layers has no values"),
        (
            {"grid": {"n_layers": [*range(1, 1001)], "seed": [*range(1001)]}},
            "its values make 1,001,000 combinations, and 1,000,000 are the most",
        ),
        ({"grid": {"n_layers": [0]}}, "n_layers = 0 is not usable"),
        (
            {"grid": {"n_layers": [[1, 2]]}},
            r"n_layers = \[1, 2\] is not usable; use a whole number",
        ),
        ({"grid": {"n_layers": ["two"]}}, "n_layers = 'two' is not usable"),
        ({"grid": {"d_emb": [50], "n_heads": [1, 4]}}, "n_heads = 4 does not divide d_emb = 50"),
        (
            {"grid": {"split": ["random"]}},
            "there is no split 'random'; use one of leave one out, global time",
        ),
        ({"grid": {"split": [["leave one out"]]}}, r"there is no split \['leave one out'\]"),
        (
            {"grid": {"data_seed": [0.5]}},
            "data_seed = 0.5 is not usable; use a whole number, 0 or more",
        ),
        ({"grid": {"data_seed": [-1]}}, "data_seed = -1 is not usable"),
        ({"grid": {"data_seed": [2**64]}}, "data_seed = 18446744073709551616 .* at most 2,147"),
        ({"grid": {"seed": [2**64]}}, "seed = 18446744073709551616 .* use at most 2,147,483,647"),
        ({"grid": {"seed": [10**400]}}, "seed = 10+ is not usable; use a whole number"),
        ({"grid": {"d_emb": [2**40]}}, "d_emb = 1099511627776 is not usable; use at most 65,536"),
        ({"grid": {"learning_rate": [10**400]}}, "learning_rate = 10+ is not usable; use a number"),
        ({"grid": {"truncate": [10**400]}}, "truncate = 10+ is not usable; use a number"),
        ({"run by": None}, "this grid: 'run by' names no script; write 'run by: scripts/NAME.py'"),
        ({"run by": [1]}, "this grid: 'run by' names no script"),
        ({"grid": {"data_seed": [True]}}, "data_seed = True is not usable"),
        ({"grid": {"truncate": ["ten"]}}, "truncate = 'ten' is not usable; use a number"),
        ({"grid": {"sample_users": [True]}}, "sample_users = True is not usable"),
        ({"grid": {"sample_users": [float("nan")]}}, "sample_users = nan is not usable"),
        ({"overrides": {"where": {}, "set": {}}}, "overrides needs a list"),
        ({"overrides": [3]}, "an override has the two parts 'where' and 'set'"),
        ({"overrides": [{"where": {}}]}, "an override has the two parts"),
        ({"overrides": [{"where": {"sed": 1}, "set": {"seed": 2}}]}, "a run has no 'sed'"),
        ({"overrides": [{"where": 1, "set": {"seed": 2}}]}, "where needs names and values"),
        ({"overrides": [{"where": {"seed": 0}, "set": [2]}]}, "set needs names and values"),
        ({"overrides": [{"where": {"seed": 0}, "set": {"sed": 2}}]}, "a run has no 'sed'"),
        (
            {"overrides": [{"where": {"seed": 0}, "set": {"seed": [1, 2]}}]},
            r"seed = \[1, 2\] is not usable",
        ),
    ],
)
def test_a_grid_that_cannot_be(grid, told):
    with pytest.raises(InputError, match=told) as error:
        grids.expand_grid(grid)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grid: {n_layers: [1, 2}", "bad.yaml is no YAML in line 1: "),
        (
            "- 1\n- 2",
            r"bad.yaml holds no grid; it needs a mapping with 'grid', "
            r"e.g. grid: \{n_layers: \[1, 2\]\}",
        ),
        ("", "bad.yaml holds no grid"),
        (b"\xff\xfe\x00", r"bad.yaml cannot be read \(it is no text\)"),
        ("grid: {n_layers: [\x00]}", "bad.yaml is no YAML"),
    ],
)
def test_a_file_that_is_no_grid(tmp_path, text, told):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=told) as error:
        grids.read_grid(path)
    assert "\n" not in str(error.value)


def test_a_grid_that_is_not_there(tmp_path):
    with pytest.raises(
        InputError,
        match=r"missing.yaml cannot be read \(No such file or directory\); name a YAML file",
    ):
        grids.read_grid(tmp_path / "missing.yaml")
    with pytest.raises(
        InputError,
        match=r"there is no grid 'huge': name a YAML file, or one of .*choose, data, .*paper",
    ):
        grids.read_grid("huge")


def test_a_grid_of_the_study_goes_by_its_name():
    assert grids.read_grid("base-large-first") == grids.read_grid(
        grids.grids_folder() / "base-large-first.yaml"
    )


@pytest.mark.parametrize("path", sorted(grids.grids_folder().glob("*.yaml")), ids=lambda p: p.stem)
def test_a_grid_of_the_study_has_runs_or_a_script(path):
    grid = grids.read_grid(path)
    assert grid["about"].endswith((".", "?"))
    if script := grid.get(grids.RUN_BY):
        with pytest.raises(
            InputError, match=f"{path.name} is run by {script}, not by perflaw sweep"
        ):
            grids.expand_grid(path)
        assert (grids.study_folder() / script).is_file()
    else:
        assert grids.expand_grid(path)


def test_the_presets_are_named_and_a_grid_of_the_study_only_where_it_is_near():
    with pytest.raises(InputError) as error:
        grids.read_grid("base-larg")
    presets = ", ".join(grids.preset_names())
    assert str(error.value).endswith(f"or one of {presets}; did you mean base-large?")


def test_outside_of_a_clone_there_are_the_presets(monkeypatch):
    def nowhere():
        raise InputError("this needs a clone")

    monkeypatch.setattr(grids, "study_folder", nowhere)
    assert grids.read_grid("tiny")["grid"]
    with pytest.raises(InputError, match="there is no grid 'huge'") as error:
        grids.read_grid("huge")
    assert str(error.value).endswith(f"or one of {', '.join(grids.preset_names())}")


def test_numbers_in_yaml(tmp_path):
    """1e-3 is text by YAML 1.1, and a number to everybody."""
    (tmp_path / "grid.yaml").write_text(
        "grid: {learning_rate: [1e-3, 1.5E-3, 0.002], weight_decay: -0e0, epochs: 1e2, "
        "clip: [null, 2.5]}"
    )
    points = grids.expand_grid(grids.read_grid(tmp_path / "grid.yaml"))
    assert [p.config.learning_rate for p in points[::2]] == [1e-3, 1.5e-3, 2e-3]
    assert points[0].config.epochs == 100


@pytest.mark.parametrize("name", grids.preset_names())
def test_presets(name):
    grid = grids.read_grid(name)
    points = grids.expand_grid(grid)
    expected = {"paper": 72 + 24, "paper-faithful": 72, "tiny": 12}.get(name, len(points))
    assert len(points) == expected
    assert len(points) > 10
    assert grid["about"].endswith((".", "?"))
    assert name in " ".join(main.get_command(None, "sweep").help.split())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"sample_users": 2}, "a share of 2.0 cannot be kept"),
        ({"truncate": 2.5}, "2.5 interactions a user: use a whole number"),
        ({"shuffle_order": -1}, "a share of -1"),
        ({"k_core": 50}, "nothing of synthetic is left in its 50-core"),
        ({"truncate": 1}, "no user has two interactions in its training part"),
    ],
)
def test_data_that_cannot_be_are_told_before_training(log, tmp_path, untrained, values, told):
    with pytest.raises(InputError, match=told):
        sweep({"grid": [{"seed": 0}, values]}, log, tmp_path)
    assert not written(tmp_path)


def test_an_override_of_no_run_is_told():
    with pytest.raises(InputError, match="overrides: no run has n_layers 9; mend or remove"):
        grids.expand_grid(
            {
                "grid": {"n_layers": [1, 2]},
                "overrides": [{"where": {"n_layers": 9}, "set": {"dropout": 0.4}}],
            }
        )
