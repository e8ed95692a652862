"""Training: what is learnt, kept and stacked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_helpers import SMALL, small

from perflaw.errors import InputError
from perflaw.logs import synthetic
from perflaw.models import backbones, configuration, ranking, ranking_metrics, trained_model
from perflaw.models.configuration import make_config
from perflaw.models.training import (
    evaluation,
    loop,
    run_records,
    run_state,
    sampling,
    trainer,
)
from perflaw.models.training.batching import EpochBatches


@pytest.mark.integration
@pytest.mark.parametrize(
    ("loss", "negatives"), [("bce", 1), ("softmax", 1), ("sampled_softmax", 64)]
)
@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_every_backbone_learns_under_every_loss(split, backbone, loss, negatives):
    c = make_config(
        **small(backbone)
        | {
            "loss": loss,
            "negatives": negatives,
            "epochs": 15,
            "learning_rate": 5e-3,
            "patience": None,
            "validate_every": 5,
        }
    )
    fitted = loop.fit_model(c, split, progress=False)
    floor = ranking_metrics.ndcg(
        ranking.rank_by_item_scores(ranking.item_popularity(split), split, split.validation)[0]
    )
    assert fitted.curve[-1]["loss"] < fitted.curve[0]["loss"]
    assert fitted.status == "epochs used up"
    assert max(point["NDCG@10"] for point in fitted.curve) > 1.3 * floor


@pytest.mark.slow
def test_a_model_comes_near_the_best_that_is_possible():
    """The process's own transition probabilities are the ceiling of what can be learned."""
    drawn = synthetic.Process(n_items=100, n_interests=5).sample(2_000, 30)
    c = make_config(
        loss="softmax",
        n_layers=1,
        d_emb=32,
        max_seq_len=30,
        epochs=40,
        learning_rate=3e-3,
        patience=3,
    )
    record = trainer.train(c, drawn.log, progress=False)
    test = record["metrics"]["test"]
    assert drawn.truth.hit_rate - 0.05 < test["HR@10"] < drawn.truth.hit_rate + 3 * test["HR@10 se"]
    assert (
        drawn.truth.entropy_rate - 3 * test["log-loss se"]
        < test["log-loss"]
        < drawn.truth.entropy_rate + 0.25
    )


@pytest.mark.integration
def test_the_same_seed_gives_the_same_numbers(split):
    a, b, c = (
        loop.fit_model(make_config(**SMALL, seed=seed), split, progress=False) for seed in (1, 1, 2)
    )
    assert a.curve == b.curve
    assert all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)
    assert a.curve != c.curve


@pytest.mark.integration
def test_the_best_weights_are_kept(split):
    c = make_config(
        **SMALL | {"loss": "softmax", "epochs": 60, "learning_rate": 0.02, "patience": 2}
    )
    fitted = loop.fit_model(c, split, progress=False)
    assert fitted.status == "converged"
    assert len(fitted.curve) < 60
    values = [point["NDCG@10"] for point in fitted.curve]
    assert len(values) - 1 - int(np.argmax(values)) == 2
    ranks = ranking.rank_targets(
        trained_model.scorer(fitted.weights, c), split, split.validation
    ).ranks
    assert ranking_metrics.ndcg(ranks) == max(values)


@pytest.mark.integration
def test_the_weights_of_the_least_validation_loss_are_kept_too(split):
    c = make_config(
        **SMALL | {"epochs": 40, "patience": 6, "learning_rate": 0.02, "loss": "softmax"}
    )
    fitted = loop.fit_model(c, split, progress=False)
    losses = {point["epoch"]: point["log-loss"] for point in fitted.curve}
    assert fitted.least_epoch == min(losses, key=losses.get)
    assert fitted.least_epoch < max(fitted.curve, key=lambda point: point["NDCG@10"])["epoch"]
    found = ranking.rank_targets(
        trained_model.scorer(fitted.least_weights, c), split, split.validation
    ).losses.mean()
    assert found == losses[fitted.least_epoch]


@pytest.mark.integration
def test_a_record_has_both_checkpoints(split):
    c = make_config(
        **SMALL | {"epochs": 40, "patience": 6, "learning_rate": 0.02, "loss": "softmax"}
    )
    record = trainer.train(c, split, progress=False)
    least = record["least validation loss"]
    assert least["metrics"]["validation"]["log-loss"] == min(
        point["log-loss"] for point in record["curve"]
    )
    assert record["metrics"]["validation"]["log-loss"] > least["metrics"]["validation"]["log-loss"]
    assert record["metrics"]["validation"]["NDCG@10"] == max(
        point["NDCG@10"] for point in record["curve"]
    )
    assert least["metrics"].keys() == record["metrics"].keys()
    assert (
        ranking_metrics.ndcg(np.array(least["ranks"]["test"]))
        == least["metrics"]["test"]["NDCG@10"]
    )


def test_one_epoch_that_is_best_by_both_is_evaluated_once(split, monkeypatch):
    calls, real = [], evaluation.evaluate
    monkeypatch.setattr(
        evaluation, "evaluate", lambda *arguments: calls.append(1) or real(*arguments)
    )
    record = trainer.train(make_config(**SMALL | {"epochs": 1}), split, progress=False)
    assert record["least validation loss"] == {"epoch": 1, "metrics": record["metrics"]}
    assert len(calls) == 1


def test_the_learning_rate():
    c = make_config(**SMALL, warmup_steps=10, final_rate=0.1)
    rates = [run_state.rate_share(c, 110, step) for step in range(111)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)


def test_dropout_is_a_share_and_keeps_the_mean(split):
    chance = sampling.RandomSource(make_config(**SMALL, dropout=0.3), EpochBatches(split, 20, 64))
    x = chance.drop(torch.ones(1001, 1001))
    assert (x == 0).float().mean().item() == pytest.approx(0.3, abs=0.003)
    assert x.mean().item() == pytest.approx(1, abs=0.004)


@pytest.mark.integration
def test_bfloat16_learns_too(split):
    c = make_config(**SMALL | {"loss": "softmax", "epochs": 10, "learning_rate": 5e-3})
    exact, rough = (
        loop.fit_model(replace(c, precision=precision), split, progress=False)
        for precision in ("fp32", "bf16")
    )
    assert rough.curve[-1]["loss"] == pytest.approx(exact.curve[-1]["loss"], rel=0.02)


@pytest.mark.parametrize("batch_size", [64, 1000])
@pytest.mark.parametrize("loss", configuration.LOSSES)
def test_divergence_is_a_status(split, tmp_path, loss, batch_size):
    """In the middle of an epoch, and in its last step, after which only the scores show it."""
    c = make_config(
        **SMALL
        | {
            "loss": loss,
            "negatives": 8,
            "learning_rate": 1e30,
            "epochs": 5,
            "batch_size": batch_size,
        }
    )
    record = trainer.train(c, split, tmp_path, progress=False)
    assert record["status"].startswith("diverged in epoch 1: the ")
    assert "metrics" not in record
    assert run_records.read_record(tmp_path / f"{record['key']}.json")["status"] == record["status"]


STACK = [
    {"seed": 0},
    {"seed": 1},
    {"seed": 2, "learning_rate": 0.01},
    {"seed": 3, "dropout": 0.3},
    {"seed": 4, "weight_decay": 0.1, "clip": 1.0},
]
STACK += [
    {"seed": 5, "patience": 1, "learning_rate": 1.0},
    {"seed": 6, "warmup_steps": 5},
    {"seed": 7, "dropout": 0.0},
]


@pytest.mark.integration
def test_a_stack_is_bit_equal_to_single_runs(split):
    """Of 8, of 7 and of 1; one of them stops early."""
    configs = [
        make_config(**SMALL | {"loss": "softmax", "epochs": 4, "patience": 4} | values)
        for values in STACK
    ]
    alone = [loop.fit_model(c, split, progress=False) for c in configs]
    assert alone[5].status == "converged"
    assert {f.status for f in alone[:5]} == {"epochs used up"}
    for members in (configs, configs[1:], configs[:1]):
        for c, fitted in zip(members, loop.fit_stack(members, split, progress=False)):
            single = alone[configs.index(c)]
            assert fitted.curve == single.curve
            assert fitted.status == single.status
            assert all(
                torch.equal(fitted.weights[name], single.weights[name]) for name in single.weights
            )


@pytest.mark.integration
@pytest.mark.parametrize(
    ("loss", "negatives"), [("bce", 2), ("softmax", 1), ("sampled_softmax", 32)]
)
@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_a_batched_stack_follows_single_runs(split, backbone, loss, negatives):
    """The computation that a GPU does, done here: the same up to rounding."""
    configs = [
        make_config(
            **small(backbone) | {"loss": loss, "negatives": negatives, "epochs": 2} | values
        )
        for values in STACK[:4]
    ]
    for c, fitted in zip(configs, loop.fit_stack(configs, split, progress=False, batched=True)):
        single = loop.fit_model(c, split, progress=False)
        for name in single.weights:
            assert torch.allclose(fitted.weights[name], single.weights[name], atol=2e-3), name
        assert fitted.curve[0]["loss"] == pytest.approx(single.curve[0]["loss"], rel=1e-4)


def test_a_member_that_diverges_leaves_the_others_alone(split):
    good = make_config(**SMALL | {"backbone": "hstu", "batch_size": 1000})
    alone = loop.fit_model(good, split, progress=False)
    first, second = loop.fit_stack([replace(good, learning_rate=1e30), good], split, progress=False)
    assert first.status.startswith("diverged")
    assert second.curve == alone.curve
    with pytest.raises(InputError, match="a stack needs a configuration"):
        loop.fit_stack([], split)


def test_different_shapes_are_no_stack(split):
    with pytest.raises(
        InputError, match="differ in n_layers, d_emb cannot be trained as one stack"
    ):
        loop.fit_stack(
            [make_config(**SMALL), make_config(**SMALL | {"n_layers": 1, "d_emb": 8})], split
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("backbone", backbones.BACKBONES)
def test_a_gpu_trains_what_a_cpu_trains(split, backbone):
    c = make_config(
        **small(backbone)
        | {"loss": "softmax", "dropout": 0.0, "epochs": 10, "learning_rate": 5e-3, "patience": None}
    )
    here, there = (
        trainer.train(c, split, device=device, progress=False) for device in ("cpu", "cuda")
    )
    assert there["curve"][-1]["loss"] == pytest.approx(here["curve"][-1]["loss"], rel=1e-2)
    rough = trainer.train(replace(c, precision="bf16"), split, device="cuda", progress=False)
    assert rough["curve"][-1]["loss"] == pytest.approx(here["curve"][-1]["loss"], rel=5e-2)
    stack = loop.fit_stack(
        [replace(c, seed=seed) for seed in range(3)], split, "cuda", progress=False
    )
    assert stack[0].curve[-1]["loss"] == pytest.approx(there["curve"][-1]["loss"], rel=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("loss", configuration.LOSSES)
def test_a_captured_step_draws_anew(split, loss):
    """Dropout and negatives of a replayed graph are as good as those of a CPU.

    That holds also in a stack from which members drop out.
    """
    c = make_config(
        **SMALL
        | {
            "loss": loss,
            "dropout": 0.3,
            "negatives": 64,
            "negatives_seen": False,
            "epochs": 12,
            "learning_rate": 5e-3,
            "patience": None,
            "clip": 1.0,
        }
    )
    stack = [replace(c, seed=seed) for seed in range(5)]
    here = loop.fit_stack(stack, split, progress=False)
    there = loop.fit_stack([*stack, replace(c, seed=5, patience=1)], split, "cuda", progress=False)
    here, there = (np.array([run.curve[-1]["loss"] for run in runs[:5]]) for runs in (here, there))
    assert (
        abs(here.mean() - there.mean())
        < 4 * np.sqrt((here.var(ddof=1) + there.var(ddof=1)) / 5) + 0.01 * here.mean()
    )
