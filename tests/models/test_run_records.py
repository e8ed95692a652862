"""Run records: what they say, their keys, and what cannot be trained."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_helpers import SMALL

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.interaction_log import from_histories
from perflaw.logs.splits import leave_one_out
from perflaw.models import ranking_metrics, trained_model
from perflaw.models.configuration import make_config, recorded_settings
from perflaw.models.training import (
    loop,
    preparation,
    run_records,
    trainer,
)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["metrics"].update(test=[0.1]),
        lambda record: record["metrics"]["test"].update(MRR=5.0),
        lambda record: record.pop("finished"),
        lambda record: record.update(tokens="many"),
        lambda record: record["environment"].clear(),
    ],
)
def test_a_record_that_does_not_say_what_was_written_is_refused(split, tmp_path, change):
    record = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    path = tmp_path / f"{record['key']}.json"
    changed = json.loads(path.read_text())
    change(changed)
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"was changed: .*; remove it, and the run is done again"):
        run_records.read_record(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["metrics"].update(test=[0.1]),
        lambda record: record.pop("finished"),
        lambda record: record.update(tokens="many"),
        lambda record: record.update(metrics=None),
        lambda record: record.update(curve=5),
        lambda record: record.update(targets=3),
        lambda record: record.update(epochs="x"),
        lambda record: record["seconds"].update(all="x"),
        lambda record: record["environment"].update(device=3),
        lambda record: record["parameters"].update(embedding="x"),
    ],
)
def test_a_damaged_record_of_before_digests_is_refused(split, tmp_path, change):
    record = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    path = tmp_path / f"{record['key']}.json"
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"was changed: .*; remove it, and the run is done again"):
        run_records.read_record(path)


def test_a_record_of_before_digests_is_read(split, tmp_path):
    record = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    path = tmp_path / f"{record['key']}.json"
    path.write_text(json.dumps(record))
    assert run_records.read_record(path) == record


def test_a_record_says_all(split, tmp_path):
    c = make_config(**SMALL)
    record = trainer.train(c, split, tmp_path, progress=False)
    path = tmp_path / f"{record['key']}.json"
    assert list(tmp_path.iterdir()) == [path]
    assert run_records.read_record(path) == record
    assert record["configuration"] == recorded_settings(c)
    assert record["data_hash"] == split.log.hash
    assert record["split"]["hash"] == split.hash
    assert record["tokens"] == split.train.tokens
    assert record["entropies"]["conditional"] > 0
    assert {"HR@10", "NDCG@200", "MRR", "log-loss", "coverage@5", "NDCG@10 se"} <= set(
        record["metrics"]["test"]
    )
    assert set(record["parameters"]) == {"embedding", "attention", "feed_forward", "norm"}
    assert len(record["curve"]) == 3
    assert set(record["seconds"]) == {
        "training",
        "validation",
        "test",
        "all",
    }
    assert set(record["ranks"]) == {"test"}  # the log has repeats: nothing is removed
    ranks = np.array(record["ranks"]["test"])
    assert len(ranks) == (split.test >= 0).sum()
    assert ranking_metrics.hit_rate(ranks) == record["metrics"]["test"]["HR@10"]
    assert record["metrics"]["temperature"] != 1
    assert record["environment"]["torch"] == torch.__version__


def test_where_nothing_repeats_there_are_two_rules(split):
    movies = from_histories([np.random.default_rng(u).permutation(60)[:15] for u in range(80)])
    record = trainer.train(make_config(**SMALL), movies, progress=False)
    assert list(record["ranks"]) == ["test", "test, history removed"]
    assert not record["repeats"]
    assert (
        record["metrics"]["test, history removed"]["NDCG@50"]
        >= record["metrics"]["test"]["NDCG@50"]
    )


def test_what_has_a_record_is_not_trained_again(split, tmp_path, monkeypatch):
    first = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    monkeypatch.setattr(loop, "fit_job", None)
    assert trainer.train(make_config(**SMALL), split, tmp_path, progress=False) == first


def test_the_key_is_of_what_decides_the_result(split):
    base = run_records.run_key(make_config(**SMALL), split)
    assert len(base) == 16
    assert base == run_records.run_key(make_config(**SMALL), split)
    other = leave_one_out(split.log.sample_users(0.9))
    cut = replace(split, train=split.train.last(5))
    keys = {
        base,
        *(run_records.run_key(make_config(**SMALL | {"seed": 9}), s) for s in (split, other, cut)),
    }
    assert len(keys) == 4


def test_records_do_not_mix_orders_of_users():
    """The same log by its hash; but ranks are by user, in order, and the first weights by item."""
    histories = [[f"{u}{i}" for i in range(4 + u)] for u in range(5)]
    one, other = (leave_one_out(from_histories(h)) for h in (histories, histories[::-1]))
    assert one.log.hash == other.log.hash
    assert run_records.run_key(make_config(**SMALL), one) != run_records.run_key(
        make_config(**SMALL), other
    )


def test_an_interrupted_write_leaves_nothing(split, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no run record"),
        ("[]", "is no run record"),
        ('{"schema": 1}', "is no run record"),
        ('{"schema": 1, "key": "ab", "status": "", "configuration": {}}', "is the record of ab"),
        ('{"schema": 99, "key": "KEY", "status": "", "configuration": {}}', "is of schema 99"),
    ],
)
def test_a_damaged_record_is_told(split, tmp_path, text, told):
    path = tmp_path / f"{run_records.run_key(make_config(**SMALL), split)}.json"
    path.write_text(text.replace("KEY", path.stem))
    before = path.read_text()
    with pytest.raises(InputError, match=told):
        trainer.train(make_config(**SMALL), split, tmp_path)
    assert path.read_text() == before


ABSENT = object()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"status": 5}, "its status is '5'"),
        ({"split": "x"}, "its split is 'x'"),
        ({"entropies": None}, "its entropies is 'None'"),
        ({"metrics": {}}, "it ended, and has no metrics"),
        ({"metrics": {"test": {"NDCG@10": 1.5}}}, "a metric of it is no rate"),
        ({"metrics": {"test": {"NDCG@10": float("nan")}}}, "a metric of it is no rate"),
        ({"environment": ABSENT}, "it has no environment"),
    ],
)
def test_a_record_that_was_changed_is_told(split, tmp_path, values, told):
    record = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    path = tmp_path / f"{record['key']}.json"
    changed = {name: value for name, value in (record | values).items() if value is not ABSENT}
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError, match=f"was changed: {told}"):
        run_records.read_record(path)


def test_a_folder_that_cannot_be_used_is_told_before_training(split, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "fit_job", None)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"records cannot be kept in .*; name another folder"):
            trainer.train(make_config(**SMALL), split, folder)


def test_equal_configurations_are_the_same():
    assert make_config(dropout=0, clip=1, d_emb=np.int64(16)) == make_config(
        dropout=0.0, clip=1.0, d_emb=16
    )
    assert type(make_config(d_emb=np.int64(16)).d_emb) is int
    assert type(make_config(learning_rate=np.float64(0.1)).learning_rate) is float


def test_weights_of_another_width_are_refused(split):
    fitted = loop.fit_model(make_config(**SMALL | {"epochs": 1}), split, progress=False)
    with pytest.raises(InputError, match="these weights have d_emb = 16, and the configuration 32"):
        trained_model.scorer(fitted.weights, make_config(**SMALL | {"d_emb": 32}))


@pytest.mark.integration
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"),
    ],
)
def test_out_of_memory_is_a_record(split, tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(loop, "fit_job", fails)
    record = trainer.train(make_config(**SMALL), split, tmp_path, progress=False)
    assert record["status"].startswith("out of memory: ")
    assert "metrics" not in record
    assert run_records.read_record(tmp_path / f"{record['key']}.json") == record
    monkeypatch.undo()
    assert (
        trainer.train(make_config(**SMALL), split, tmp_path, progress=False)["status"]
        == "epochs used up"
    )  # it is tried again


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"loss": "mse"}, "there is no loss 'mse'; use one of bce, softmax, sampled_softmax"),
        ({"heads": 2}, "a configuration has no 'heads'; it has backbone, n_layers"),
        ({"negatives": 0}, "negatives = 0 is not usable"),
        ({"epochs": 0}, "epochs = 0 is not usable"),
        ({"patience": 0}, "patience = 0 is not usable"),
        ({"learning_rate": 0}, "learning_rate = 0.0 is not usable; use a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan is not usable"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast' is not usable"),
        ({"weight_decay": -0.1}, "weight_decay = -0.1 is not usable"),
        ({"beta_2": 1.0}, "beta_2 = 1.0 is not usable"),
        ({"clip": 0}, "clip = 0.0 is not usable"),
        ({"seed": -1}, "seed = -1 is not usable"),
        ({"precision": "fp8"}, "there is no precision 'fp8'"),
        ({"epochs": True}, "epochs = True is not usable; use a whole number"),
        ({"seed": 1 << 63}, "seed = 9223372036854775808 is not usable"),
        ({"shared_layers": "maybe"}, "shared_layers = 'maybe' is not usable; use true or false"),
        ({"backbone": ["llama"]}, "is not usable; use a name"),
    ],
)
def test_a_configuration_that_cannot_be(values, told):
    with pytest.raises(InputError, match=told):
        make_config(**values)


def test_data_that_cannot_be_trained_on(split):
    c = make_config(**SMALL)
    none = np.full_like(split.validation, -1)
    with pytest.raises(InputError, match="has no validation targets"):
        trainer.train(c, replace(split, validation=none))
    with pytest.raises(InputError, match="no user has two interactions in its training part"):
        trainer.train(c, from_histories([list("abc"), list("bca")]))
    preparation.prepare([make_config(**SMALL | {"batch_size": 10**8})], split)  # all users at once
    with pytest.raises(InputError, match=r"1000000000 layers of d = 16 on 200 items need .* GiB"):
        trainer.train(make_config(**SMALL | {"n_layers": 10**9}), split)
    with pytest.raises(InputError, match="device 'tpu' is not usable"):
        trainer.train(c, split, device="tpu")
    with pytest.raises(InputError, match="device cuda:99: this machine has"):
        trainer.train(c, split, device="cuda:99")
    with pytest.raises(InputError, match="has no timestamps, and time_bias needs them"):
        trainer.train(
            make_config(**SMALL | {"backbone": "hstu", "time_bias": True}),
            from_histories([list("abcd")] * 3),
        )


@pytest.mark.slow
def test_a_million_items_fit_in_four_gigabytes():
    code = """
import resource, sys, numpy as np, torch
from perflaw.models import make_config, train
from perflaw.logs.interaction_log import from_histories
torch.set_num_threads(1)
histories = np.arange(1_000_000).reshape(20, -1)
c = make_config(d_emb=64, max_seq_len=20, loss="sampled_softmax", negatives=256, epochs=1,
                batch_size=20)
record = train(c, from_histories(histories), progress=False)
unit = 1 if sys.platform == "darwin" else 1024
print(record["items"], record["status"],
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert told[0] == "1000000"
    assert int(told[-1]) < 4 * 2**30


@pytest.mark.slow
@pytest.mark.skipif(
    "amazon-beauty" not in datasets.local_logs(),
    reason="PERFLAW_DATA names no folder with amazon-beauty",
)
def test_a_published_row_in_minutes():
    """A few epochs of `beauty-sampled` in published_rows.csv come three quarters of the way."""
    c = make_config(
        loss="sampled_softmax",
        negatives=512,
        max_seq_len=50,
        dropout=0.5,
        learning_rate=3e-3,
        epochs=8,
        validate_every=4,
    )
    record = trainer.train(c, datasets.load_log("amazon-beauty"), progress=False)
    assert record["metrics"]["test, history removed"]["NDCG@10"] > 0.75 * 0.0531
