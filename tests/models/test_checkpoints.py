"""Checkpoints: a run that is killed goes on where it was, and ends as if nothing had happened."""

import json
import os
import random
import signal
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sweep_helpers import FORK

from perflaw.logs import synthetic
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import configuration, ranking
from perflaw.models.training import checkpoints, loop, run_records, stacking, trainer

KINDS = {
    "sasrec, bce": {"loss": "bce", "dropout": 0.2},
    "llama, softmax": {
        "backbone": "llama",
        "loss": "softmax",
        "dropout": 0.2,
        "final_rate": 0.1,
        "warmup_steps": 5,
        "validate_every": 2,
        "clip": 1.0,
        "weight_decay": 0.1,
    },
    "gru, sampled softmax": {
        "backbone": "gru",
        "n_heads": 1,
        "loss": "sampled_softmax",
        "negatives": 16,
        "patience": 2,
    },
    "matrix product operators": {"mpo_side": 2, "dropout": 0.1},
    "hstu, bfloat16": {"backbone": "hstu", "loss": "softmax", "precision": "bf16", "dropout": 0.1},
}
STEPS = 6 * 5  # of a run: epochs times batches


def config(kind="sasrec, bce", **values):
    return configuration.make_config(
        **{
            "n_layers": 2,
            "d_emb": 16,
            "n_heads": 2,
            "max_seq_len": 12,
            "batch_size": 20,
            "epochs": 6,
        }
        | KINDS[kind]
        | values
    )


@pytest.fixture(scope="module")
def split():
    return leave_one_out(synthetic.Process(n_items=80, n_interests=4).sample(100, 12).log)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every batch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", np.inf)


def lasting(record):
    """A record without times."""
    return {
        name: value
        for name, value in record.items()
        if name not in ("seconds", "tokens_per_second", "finished", "environment")
    }


def stop_at(monkeypatch, step):
    """Let training end with KeyboardInterrupt before its step of that number."""
    real, steps = stacking.step_in_turn, iter(range(10_000))

    def stops(*arguments):
        if next(steps) == step:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(stacking, "step_in_turn", stops)


def stopped(monkeypatch, c, split, folder, step):
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(c, split, folder, progress=False)
    return checkpoints.path_of(folder, run_records.run_key(c, split))


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_ends_as_if_it_had_not_been(split, tmp_path, monkeypatch, often, kind):
    c = config(kind)
    whole = trainer.train(c, split, None, progress=False)
    for step in (
        3,
        8,
        9,
    ):  # 3 in all, then 11, then 20 batches: within epochs, and at the end of one
        stopped(monkeypatch, c, split, tmp_path, step)
    record = trainer.train(c, split, tmp_path, progress=False)
    assert lasting(record) == lasting(whole)
    assert [path.name for path in tmp_path.iterdir()] == [f"{record['key']}.json"]


def test_nothing_is_done_twice(split, tmp_path, monkeypatch, often):
    c, steps = config(), []
    stopped(monkeypatch, c, split, tmp_path, 17)
    real = stacking.step_in_turn
    monkeypatch.setattr(
        stacking, "step_in_turn", lambda *arguments: steps.append(1) or real(*arguments)
    )
    record = trainer.train(c, split, tmp_path, progress=False)
    assert len(steps) == STEPS - 17
    assert record["epochs"] == 6


def test_without_a_folder_nothing_is_kept(split, monkeypatch, often):
    monkeypatch.setattr(checkpoints, "save", None)
    trainer.train(config(), split, None, progress=False)


def test_a_short_run_keeps_none(split, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "save", None)
    trainer.train(config(), split, tmp_path, progress=False)


def test_writing_takes_a_hundredth_of_the_time_at_most(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(checkpoints, "save", lambda *_: clock.__setitem__(0, clock[0] + 5))
    keeper = checkpoints.Keeper("folder", ["key"])
    clock[0] = 179
    assert not keeper.due()
    clock[0] = 180
    assert keeper.due()
    member = type("Member", (), {"state": lambda self: ({}, {})})()
    keeper.save({0: member}, checkpoints.Place(), torch.zeros(1))
    clock[0] = 185 + 499
    assert not keeper.due()
    clock[0] = 185 + 500
    assert keeper.due()


def test_the_time_that_was_spent_counts(split, tmp_path, monkeypatch, often):
    c = config()
    path = stopped(monkeypatch, c, split, tmp_path, 14)
    found = checkpoints.load(tmp_path, path.name.split(".")[1], "cpu")
    assert found.place[:2] == (3, 4)
    long = found._replace(
        place=found.place._replace(seconds=1000.0),
        facts=found.facts | {"seconds": {"training": 5000.0, "validation": 70.0}},
    )
    checkpoints.save(tmp_path, run_records.run_key(c, split), "cpu", long)
    seconds = trainer.train(c, split, tmp_path, progress=False)["seconds"]
    assert 6000 < seconds["training"] < 6100
    assert 70 < seconds["validation"] < 100


@pytest.mark.integration
def test_a_stack_goes_on_too(split, tmp_path, monkeypatch, often):
    configs = [
        config(seed=seed, patience=patience) for seed, patience in ((0, None), (1, 1), (2, 3))
    ]
    whole = [trainer.train(c, split, None, progress=False) for c in configs]
    with monkeypatch.context() as patch:
        stop_at(patch, 12)
        with pytest.raises(KeyboardInterrupt):
            trainer.train_stack(configs, split, tmp_path, progress=False)
    records = trainer.train_stack(configs, split, tmp_path, progress=False)
    assert [lasting(record) for record in records] == [lasting(record) for record in whole]


@pytest.mark.integration
def test_runs_at_different_places_train_apart(split, tmp_path, monkeypatch, often):
    configs = [config(seed=seed) for seed in range(3)]
    whole = [trainer.train(c, split, None, progress=False) for c in configs]
    stopped(monkeypatch, configs[1], split, tmp_path, 12)
    sizes, real = [], loop.fit_job

    def counted(job, *rest, **options):
        sizes.append(len(job.configs))
        return real(job, *rest, **options)

    monkeypatch.setattr(loop, "fit_job", counted)
    records = trainer.train_stack(configs, split, tmp_path, progress=False)
    assert sizes == [2, 1]
    assert [lasting(record) for record in records] == [lasting(record) for record in whole]


@pytest.mark.integration
def test_a_run_that_was_out_of_memory_goes_on(split, tmp_path, monkeypatch, often):
    c = config()
    whole = trainer.train(c, split, None, progress=False)
    real, steps = stacking.step_in_turn, iter(range(100))

    def tight(*arguments):
        if next(steps) == 13:
            raise torch.OutOfMemoryError("no")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stacking, "step_in_turn", tight)
        record = trainer.train(c, split, tmp_path, progress=False)
    assert record["status"].startswith("out of memory")
    assert checkpoints.path_of(tmp_path, record["key"]).exists()
    assert lasting(trainer.train(c, split, tmp_path, progress=False)) == lasting(whole)


# ---------------------------------------------------------------- checkpoints that cannot be used


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)


def no_run(path):
    save_file(load_file(path), path, {"run": json.dumps({"maker": 3})})


def bare(path):
    save_file(load_file(path), path)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (cut, "cannot be read"),
        (empty, "cannot be read"),
        (flip, "content was changed"),
        (no_run, "cannot be read"),
        (bare, "cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_set_aside(split, tmp_path, monkeypatch, often, damage, told):
    c = config()
    whole = trainer.train(c, split, None, progress=False)
    path = stopped(monkeypatch, c, split, tmp_path, 14)
    damage(path)
    with pytest.warns(UserWarning, match=told) as caught:
        record = trainer.train(c, split, tmp_path, progress=False)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert lasting(record) == lasting(whole)
    assert path.with_suffix(".broken").exists()


@pytest.mark.integration
def test_a_checkpoint_of_another_run_is_set_aside(split, tmp_path, monkeypatch, often):
    c, other = config(), config(seed=1)
    path = stopped(monkeypatch, c, split, tmp_path, 14)
    os.replace(path, checkpoints.path_of(tmp_path, run_records.run_key(other, split)))
    with pytest.warns(
        UserWarning,
        match=f"its key is {run_records.run_key(c, split)}, "
        f"not {run_records.run_key(other, split)}",
    ):
        trainer.train(other, split, tmp_path, progress=False)


@pytest.mark.integration
def test_a_checkpoint_of_another_version_is_set_aside(split, tmp_path, monkeypatch, often):
    c = config()
    path = stopped(monkeypatch, c, split, tmp_path, 14)
    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["run"])
    told["maker"]["PyTorch"] = "1.0"
    save_file(load_file(path), path, {"run": json.dumps(told)})
    with pytest.warns(
        UserWarning, match=r"its PyTorch is 1\.0, not .*; it is now .*, and the run starts anew"
    ):
        trainer.train(c, split, tmp_path, progress=False)


@pytest.mark.integration
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(split, tmp_path, monkeypatch, often):
    c = config()
    whole = trainer.train(c, split, None, progress=False)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.warns(
        UserWarning, match="no checkpoint could be written to .* No space left on device"
    ):
        record = trainer.train(c, split, tmp_path, progress=False)
    assert lasting(record) == lasting(whole)
    assert not list(tmp_path.glob("*.part"))


# ---------------------------------------------------------------- kills


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def dies(c, split, folder, where, step):
    """Train in a process that kills itself.

    That is before a step, in validation, in a write, or between the record and the end.
    """
    checkpoints.SECONDS, checkpoints.SHARE = 0, np.inf
    torch.set_num_threads(1)
    module, name = {
        "step": (stacking, "step_in_turn"),
        "validation": (ranking, "rank_targets"),
        "write": (os, "replace"),
        "end": (checkpoints, "remove"),
    }[where]
    real, count = getattr(module, name), iter(range(10_000))
    setattr(
        module,
        name,
        lambda *arguments, **options: (
            kill() if next(count) == step else real(*arguments, **options)
        ),
    )
    trainer.train(c, split, folder, progress=False)


@pytest.mark.slow
def test_ten_kills_end_in_the_record_of_an_undisturbed_run(split, tmp_path):
    c, chance = config("llama, softmax", epochs=20, validate_every=1), random.Random(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = trainer.train(c, split, None, progress=False)
    kills = [
        ("step", 1),
        ("write", 4),
        ("validation", 1),
        *(("step", chance.randrange(2, 15)) for _ in range(4)),
        ("write", 9),
        ("validation", 2),
        ("step", 3),
    ]
    for where, step in kills:
        child = FORK.Process(target=dies, args=(c, split, tmp_path, where, step))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, where
        assert not list(tmp_path.glob("*.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = trainer.train(c, split, tmp_path, progress=False)
    torch.set_num_threads(threads)
    assert lasting(record) == lasting(whole)


@pytest.mark.slow
def test_a_checkpoint_that_outlived_its_record_is_removed(split, tmp_path):
    c = config()
    child = FORK.Process(target=dies, args=(c, split, tmp_path, "end", 0))
    child.start()
    child.join()
    path = checkpoints.path_of(tmp_path, run_records.run_key(c, split))
    assert child.exitcode == -signal.SIGKILL
    assert path.exists()
    trainer.train(c, split, tmp_path, progress=False)
    assert not path.exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_goes_on_on_a_gpu(split, tmp_path, monkeypatch, often, kind):
    c = config(kind, precision="fp32")
    whole = trainer.train(c, split, None, "cuda", progress=False)
    real, saves = checkpoints.save, iter(range(100))

    def stops(*arguments):
        real(*arguments)
        if next(saves) == 13:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", stops)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(c, split, tmp_path, "cuda", progress=False)
    record = trainer.train(c, split, tmp_path, "cuda", progress=False)
    assert record["curve"][-1]["loss"] == pytest.approx(whole["curve"][-1]["loss"], rel=1e-3)


@pytest.mark.integration
def test_histories_without_repeats_go_on(tmp_path, monkeypatch, often):
    movies = leave_one_out(
        from_histories([np.random.default_rng(u).permutation(60)[:15] for u in range(100)])
    )
    c = config("llama, softmax")
    whole = trainer.train(c, movies, None, progress=False)
    stopped(monkeypatch, c, movies, tmp_path, 11)
    assert lasting(trainer.train(c, movies, tmp_path, progress=False)) == lasting(whole)
