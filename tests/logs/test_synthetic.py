"""The process against its own transition matrix, and the logs against the process."""

from dataclasses import replace

import numpy as np
import pytest

from perflaw.errors import InputError
from perflaw.logs.splits import leave_one_out
from perflaw.logs.synthetic import Process, same_rate, same_size

PROCESSES = [
    Process(
        n_items=53, n_interests=5, skew=0.8, stay=0.6, repeat=0.2, noise=0.3
    ),  # interests of unequal size
    Process(n_items=40, n_interests=4, skew=1.2, stay=1.0, repeat=0.0, noise=0.05),
    Process(n_items=30, n_interests=1, skew=0.0, stay=0.5, repeat=0.5, noise=0.0),
    Process(n_items=24, n_interests=12, skew=2.0, stay=0.0, repeat=0.1, noise=1.0),
]


@pytest.mark.parametrize("process", PROCESSES)
def test_closed_forms_against_the_transition_matrix(process):
    p, pi = process.transitions, process.popularity
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(pi @ p, pi, atol=1e-15)
    assert process.entropy_rate == pytest.approx(-(pi[:, None] * p * logs).sum(), abs=1e-12)
    assert process.shannon == pytest.approx(-(pi * np.log(pi)).sum(), abs=1e-12)
    top = np.sort(p, axis=1)[:, ::-1][:, :10]
    assert process.best(10)[0] == pytest.approx(pi @ top.sum(axis=1), abs=1e-12)
    assert process.best(10)[1] == pytest.approx(
        pi @ top @ (1 / np.log2(np.arange(2, 12))), abs=1e-12
    )
    assert process.truth == (process.entropy_rate, process.shannon, *process.best())


def test_popularity_does_not_depend_on_the_knobs():
    for knobs in ({"stay": 0.1}, {"repeat": 0.6}, {"noise": 0.9}):
        np.testing.assert_allclose(
            replace(PROCESSES[0], **knobs).popularity, PROCESSES[0].popularity
        )


@pytest.mark.parametrize("process", PROCESSES)
def test_logs_follow_the_process(process):
    """Counts of pairs against their probability, both sorted, as items are renumbered."""
    log, truth = process.sample(n_users=20_000, mean_length=30, seed=3)
    assert truth == process.truth
    within = np.ones(log.tokens - 1, bool)
    within[log.offsets[1:-1] - 1] = False
    pairs = log.items[:-1].astype(np.int64)[within] * process.n_items + log.items[1:][within]
    counts = np.bincount(pairs, minlength=process.n_items**2) / len(pairs)
    joint = process.popularity[:, None] * process.transitions
    error = 6 * np.sqrt(joint.max() / len(pairs))
    np.testing.assert_allclose(np.sort(counts), np.sort(joint.ravel()), atol=error)
    np.testing.assert_allclose(
        np.sort(log.item_counts / log.tokens), np.sort(process.popularity), atol=error + 0.002
    )
    plugin = -(counts[counts > 0] * np.log(counts[counts > 0])).sum() - process.shannon
    assert plugin == pytest.approx(process.entropy_rate, abs=0.01)


def test_first_items_are_stationary():
    process = PROCESSES[0]
    log = process.sample(n_users=50_000, mean_length=5, min_length=5, seed=1).log
    firsts = np.bincount(log.items[log.offsets[:-1]], minlength=process.n_items) / log.n_users
    np.testing.assert_allclose(np.sort(firsts), np.sort(process.popularity), atol=0.004)


def test_sample():
    log = Process().sample(500, mean_length=20, min_length=4, seed=2).log
    assert log.n_users == 500
    assert log.lengths.min() >= 4
    assert log.lengths.mean() == pytest.approx(20, rel=0.1)
    assert (
        log.hash
        == Process().sample(500, 20, 4, 2).log.hash
        != Process().sample(500, 20, 4, 3).log.hash
    )
    assert all(
        (np.diff(log.timestamps[a:b]) >= 0).all() for a, b in zip(log.offsets, log.offsets[1:])
    )
    assert (log.timestamps == np.floor(log.timestamps)).all()
    assert (
        abs(np.corrcoef(np.arange(log.n_items), log.item_counts)[0, 1]) < 0.15
    )  # codes tell nothing of popularity
    leave_one_out(log)


def test_with_rate():
    process = Process().with_rate(5.0)
    assert process.entropy_rate == pytest.approx(5.0, abs=1e-9)
    assert replace(process, noise=0.2) == Process()
    with pytest.raises(
        InputError, match=r"noise can make the entropy rate 3\.673 to 5\.885 nats, not 1\.000"
    ):
        Process().with_rate(1.0)


def test_noise_raises_the_entropy_rate_and_lowers_what_can_be_reached():
    truths = [replace(Process(), noise=noise).truth for noise in np.linspace(0, 1, 6)]
    assert (np.diff([t.entropy_rate for t in truths]) > 0).all()
    assert (np.diff([t.hit_rate for t in truths]) < 0).all()


def test_negative_controls():
    one_rate = same_rate(sizes=(100, 400), seed=1)
    assert len({truth for _, truth in one_rate}) == 1
    assert [log.n_users for log, _ in one_rate] == [100, 400]
    one_size = same_size(rates=(4.0, 5.0), n_users=300, seed=1)
    (a, first), (b, second) = one_size
    assert first.entropy_rate == pytest.approx(4.0)
    assert second.entropy_rate == pytest.approx(5.0)
    assert a.offsets.tolist() == b.offsets.tolist()
    assert a.timestamps.tolist() == b.timestamps.tolist()
    assert first.shannon == pytest.approx(second.shannon)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Process(n_items=10, n_interests=9),
        lambda: Process(n_interests=0),
        lambda: Process(repeat=1.0),
        lambda: Process(noise=1.5),
        lambda: Process(stay=float("nan")),
        lambda: Process(skew=-1),
        lambda: Process().sample(0),
        lambda: Process().sample(10, mean_length=2, min_length=5),
    ],
)
def test_refused(make):
    with pytest.raises(InputError):
        make()
