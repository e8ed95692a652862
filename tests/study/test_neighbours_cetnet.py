"""CETNet: the equations in plain numpy, m = 1 as the plain model, and what training may read."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from perflaw.errors import InputError
from perflaw.logs import from_histories, leave_one_out, synthetic
from perflaw.models import ranking, trained_model
from perflaw.models.configuration import make_config
from perflaw.models.sweeps import grids
from perflaw.models.training import loop
from perflaw.models.training.loss_functions import sampled_softmax_loss
from perflaw.study.neighbours import cetnet
from perflaw.study.neighbours import cetnet_runs as runs

GRID = runs.read_grid()
SETTINGS = GRID.settings | {
    "epochs": 2,
    "max_seq_len": 8,
    "negatives": 8,
    "n_layers": 1,
    "batch_size": 16,
    "d_emb": 8,
}
SMALL = replace(GRID, settings=SETTINGS | {"epochs": 1})


@pytest.fixture(scope="module")
def split():
    return leave_one_out(synthetic.Process(n_items=40, n_interests=4).sample(40, 8).log)


@pytest.fixture
def logs():
    """Log-probabilities of three members at four positions, over five items."""
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (2 * scores).log_softmax(-1)


def config_of(seed=0, **settings):
    return make_config(**(SETTINGS | {"dropout": 0.2, "seed": seed} | settings))


def kl(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q))


def loss_by_sums(p, strength):
    """Loss of one position, of its members' probabilities p, as the module's text has it."""
    m, total = len(p), 0.0
    for j in range(m):
        total -= np.log(p[j][0])
        for k in range(m):
            if k != j:
                total += strength / (m - 1) * (kl(p[j], p[k]) + kl(p[k], p[j])) / 2
    return total


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_loss_is_that_of_the_equation(logs, m):
    losses = cetnet.position_loss(logs[:m], 0.7)
    expected = [loss_by_sums(logs[:m, t].exp().numpy(), 0.7) for t in range(4)]
    assert losses.numpy() == pytest.approx(expected)


def test_a_student_learns_the_target_and_the_teacher(logs):
    losses = cetnet.position_loss(logs[:1], 0.7, logs[1])
    p, q = logs[0].exp().numpy(), logs[1].exp().numpy()
    assert losses.numpy() == pytest.approx(
        [-np.log(p[t][0]) + 0.7 * kl(q[t], p[t]) for t in range(4)]
    )


def test_confidence_weighs_members_by_a_softmax_of_negative_entropy(logs):
    p = logs.exp().numpy()
    confidence = np.exp([[sum(x * np.log(x) for x in p[j, t]) for t in range(4)] for j in range(3)])
    weights = confidence / confidence.sum(0)
    expected = sum(weights[j][:, None] * p[j] for j in range(3))
    assert cetnet.fuse_by_confidence(logs).exp().numpy() == pytest.approx(expected)


def test_the_equal_average_is_of_probabilities(logs):
    fused = cetnet.average_equally(logs).exp().numpy()
    assert fused == pytest.approx(logs.exp().numpy().mean(0))


@pytest.mark.parametrize("fusion", [cetnet.fuse_by_confidence, cetnet.average_equally])
def test_fusing_one_member_changes_nothing(logs, fusion):
    assert fusion(logs[:1]).numpy() == pytest.approx(logs[0].numpy())


def test_candidates_give_the_loss_of_the_study():
    random = torch.Generator().manual_seed(0)
    hidden, table = torch.randn(6, 4, generator=random), torch.randn(9, 4, generator=random)
    targets, columns = torch.tensor([0, 1, 2, 3, 4, 4]), torch.tensor([4, 7, 4, 0])
    log_expected = torch.rand(4, generator=random)
    logs = cetnet.candidate_logs(hidden, table, targets, columns, log_expected)
    ours = -logs[:, 0].mean()
    theirs = sampled_softmax_loss(
        hidden, table, targets, torch.full((6,), 1 / 6), columns[None], log_expected[None]
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert logs[0, 4].exp() == 0


def test_one_member_is_the_plain_model(split):
    plain = loop.fit_model(config_of(), split, progress=False)
    ours = cetnet.fit(split, [config_of()], strength=1.0)
    for name, weight in plain.weights.items():
        assert torch.allclose(ours.weights[0][name], weight, atol=1e-4), name
    assert max(ours.curve) == pytest.approx(max(point["NDCG@10"] for point in plain.curve))


def test_without_collaboration_a_member_does_not_depend_on_the_others(split):
    alone = cetnet.fit(split, [config_of(epochs=1, validate_every=1)]).weights[0]
    pair = [config_of(seed, epochs=1, validate_every=1) for seed in (0, 1)]
    beside = cetnet.fit(split, pair).weights[0]
    taught = cetnet.fit(split, pair, strength=3.0).weights[0]
    assert torch.allclose(alone["items"], beside["items"], atol=1e-6)
    assert not torch.allclose(alone["items"], taught["items"], atol=1e-4)


def test_collaboration_brings_members_closer(split):
    def distance(strength):
        pair = [config_of(seed, epochs=6, validate_every=6) for seed in (0, 1)]
        weights = cetnet.fit(split, pair, strength).weights
        scorers = [trained_model.scorer(part, pair[0]) for part in weights]
        users = np.arange(split.log.n_users)
        logs = [
            score(split.log, users, split.validation)(0, 40).log_softmax(-1) for score in scorers
        ]
        return float(cetnet.collaboration_loss(torch.stack(logs)).mean())

    assert distance(10.0) < 0.5 * distance(0.0)


def test_training_reads_nothing_of_test(split):
    users = np.arange(split.log.n_users)
    items = split.log.items.copy()
    items[split.test[users]] = (items[split.test[users]] + 1) % split.log.n_items
    other = replace(split, log=replace(split.log, items=items))
    pair = [config_of(0), config_of(1)]
    first, again = (cetnet.fit(part, pair, strength=1.0) for part in (split, other))
    assert first.curve == again.curve
    assert torch.equal(first.weights[1]["items"], again.weights[1]["items"])


@pytest.mark.integration
def test_a_student_nears_its_teacher(split):
    teacher = cetnet.fit(split, [config_of(2, epochs=20)]).weights

    def divergence(strength):
        student = cetnet.fit(split, [config_of(5, epochs=20, dropout=0.0)], strength, teacher)
        users = np.arange(split.log.n_users)
        taught, learnt = (
            trained_model.scorer(part, config_of())(split.log, users, split.validation)(0, 40)
            .log_softmax(-1)
            .double()
            for part in (teacher[0], student.weights[0])
        )
        return float((taught.exp() * (taught - learnt)).sum(-1).mean())

    assert divergence(10.0) < divergence(0.0)


def test_the_scorer_ranks_by_the_fused_probability(split):
    weights = cetnet.fit(split, [config_of(0), config_of(1)], 1.0).weights
    ranked = ranking.rank_targets(cetnet.make_scorer(weights, config_of()), split, split.test)
    users = ranked.users
    scores = [
        trained_model.scorer(part, config_of())(split.log, users, split.test[users])(0, 40)
        for part in weights
    ]
    fused = cetnet.fuse_by_confidence(torch.stack(scores).log_softmax(-1))
    own = fused[
        torch.arange(len(users)), torch.from_numpy(split.log.items[split.test[users]]).long()
    ]
    assert ranking.removes_seen(split) is False
    assert ranked.ranks == pytest.approx(1 + (fused > own[:, None]).sum(1).numpy(), abs=1)


@pytest.mark.parametrize("members", [1, 2, 4, 8])
def test_one_wider_model_has_the_parameters_of_all_members(members):
    def size(d_emb):
        config = make_config(**(GRID.settings | {"d_emb": d_emb}))
        return sum(runs.backbones.count_parameters(config, 1682).values())

    width = runs.equal_width(members, 1682, GRID)
    assert size(width) == pytest.approx(members * size(GRID.settings["d_emb"]), rel=0.02)


def make_tried(log="a"):
    rows = [
        (log, runs.WIDER, 1, 0, 0.2, 0.0, 0.0, 0.30),
        (log, runs.WIDER, 1, 0, 0.5, 0.5, 0.0, 0.31),
        (log, runs.WIDER, 2, 0, 0.2, 0.0, 0.0, 0.33),
        (log, runs.WIDER, 2, 0, 0.5, 0.5, 0.0, 0.32),
        (log, runs.WIDER, 2, 1, 0.5, 0.5, 0.0, 0.99),
        (log, runs.TOGETHER, 2, 0, 0.5, 0.5, 0.3, 0.40),
        (log, runs.TOGETHER, 2, 0, 0.5, 0.5, 1.0, 0.41),
    ]
    return pd.DataFrame(rows, columns=[*runs.KEY, runs.VALIDATION]).assign(fusion=runs.CONFIDENCE)


def test_validation_of_the_first_seed_chooses():
    rows = pd.concat([make_tried(), make_tried("b").assign(**{runs.VALIDATION: 0.0})])
    together = runs.resolve(runs.Job("a", runs.TOGETHER, 4, 1), rows, GRID)
    assert (together.recipe, together.strength) == ((0.5, 0.5), 1.0)
    wider = runs.resolve(runs.Job("a", runs.WIDER, 2, 1), rows, GRID)
    assert (wider.recipe, wider.strength) == ((0.2, 0.0), 0.0)


def test_what_is_to_be_chosen_from_is_planned_first():
    jobs = list(runs.plan_jobs(replace(GRID, logs=["a"])))
    chosen = [job.recipe is None and job.training == runs.WIDER for job in jobs]
    assert chosen.index(True) > max(i for i, job in enumerate(jobs) if job.recipe)
    assert {job.strength for job in jobs} == {None, *GRID.strengths}


@pytest.mark.integration
def test_a_job_has_every_row(split):
    alone = runs.run_job(runs.Job("a", runs.ALONE, 4, 0, (0.2, 0.0), 0.0), split, SMALL)
    assert [(row["members"], row["fusion"]) for row in alone] == [
        (1, runs.CONFIDENCE),
        *[(m, fusion) for m in (2, 4) for fusion in (*runs.FUSIONS, runs.MEAN_MEMBER)],
    ]
    together = runs.run_job(runs.Job("a", runs.TOGETHER, 4, 0, (0.2, 0.0), 1.0), split, SMALL)
    student = together[-1]
    assert student["training"] == runs.STUDENT
    assert 4 * student["parameters"] == together[0]["parameters"]


@pytest.mark.integration
@pytest.mark.parametrize("training", [runs.ALONE, runs.TOGETHER, runs.WIDER])
@pytest.mark.parametrize("members", [2, 4])
def test_a_job_has_the_keys_that_are_listed(split, training, members):
    job = runs.Job("a", training, members, 0, (0.2, 0.0), 1.0 if training == runs.TOGETHER else 0.0)
    rows = runs.run_job(job, split, SMALL)
    assert [tuple(row[name] for name in runs.ROW_KEY) for row in rows] == runs.list_keys(job, SMALL)


def test_a_table_goes_on_with_other_members(split, tmp_path, monkeypatch):
    def make_rows(job, split, plan):
        keys = [dict(zip(runs.ROW_KEY, key)) for key in runs.list_keys(job, plan)]
        return [key | dict.fromkeys(runs.MEASURED, 0.1) for key in keys]

    monkeypatch.setattr(runs, "run_job", make_rows)

    def complete(name, members):
        values = grids.read_grid("cetnet") | {"logs": ["a"]}
        values["grid"] = {"members": members, "seed": [0, 1]}
        assert list(runs.complete_table(tmp_path / name, values, lambda logs: {"a": split}))
        rows = pd.read_csv(tmp_path / name)
        assert not rows.duplicated(runs.ROW_KEY).any()
        return set(rows[runs.ROW_KEY].itertuples(index=False, name=None))

    first = complete("resumed.csv", [2, 4])
    assert complete("resumed.csv", [2, 3]) == first | complete("new.csv", [2, 3])


def test_epochs_are_counted_where_the_last_is_validated_out_of_turn(split):
    grid = replace(GRID, settings=SETTINGS | {"epochs": 3, "validate_every": 2, "patience": 9})
    [row] = runs.run_job(runs.Job("a", runs.WIDER, 1, 0, (0.2, 0.0), 0.0), split, grid)
    assert row["done_epochs"] == 3
    assert row["best_epoch"] in (2, 3)


def test_a_log_that_is_too_small_is_refused():
    with pytest.raises(InputError, match="cannot be trained on: no user has two interactions"):
        cetnet.fit(leave_one_out(from_histories([list("abc")])), [config_of()])
