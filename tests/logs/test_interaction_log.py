"""Logs: summaries and hashes against plain code, filters, splits."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perflaw.errors import InputError
from perflaw.logs import histories
from perflaw.logs.interaction_log import from_histories, read_log
from perflaw.logs.splits import global_time, leave_one_out
from perflaw.models import ranking, ranking_metrics

DATA = os.environ.get("PERFLAW_DATA")


def random_log(seed, n_users=40, n_items=25, clock=True, longest=30):
    """Histories with repeats, and times with ties."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, n_users)
    items = [rng.integers(n_items, size=n).tolist() for n in lengths]
    times = [1e9 + np.sort(rng.integers(0, 3 * n, n)) for n in lengths] if clock else None
    return from_histories(items, times)


def frame_of(log):
    frame = pd.DataFrame({"user": log.user_ids[log.users], "item": log.item_ids[log.items]})
    return frame if log.timestamps is None else frame.assign(time=log.timestamps)


def lists(log):
    return [log.item_ids[log.history(u)].tolist() for u in range(log.n_users)]


# ---------------------------------------------------------------- what a log is


@pytest.mark.parametrize("seed", range(3))
def test_summary_against_plain_code(seed):
    log = random_log(seed)
    rows = list(frame_of(log).itertuples(index=False, name=None))
    histories, seen, repeats, ties = {}, set(), [], 0
    for user, item, time in rows:
        repeats.append((user, item) in seen)
        seen.add((user, item))
        histories.setdefault(user, []).append(time)
    for times in histories.values():
        ties += sum(n for n in Counter(times).values() if n > 1)
    told = log.summary()
    assert (told["users"], told["items"], told["tokens"]) == (
        40,
        len({row[1] for row in rows}),
        len(rows),
    )
    assert told["repeats"] == pytest.approx(np.mean(repeats))
    assert log.repeats.tolist() == repeats
    assert told["density"] == pytest.approx(len(seen) / (40 * told["items"]))
    assert told["ties"] == pytest.approx(ties / len(rows))
    assert told["duplicates"] == len(rows) - len(set(rows))
    assert told["length_max"] == max(map(len, histories.values()))
    assert told["length_q50"] == np.median([len(times) for times in histories.values()])
    times = [row[2] for row in rows]
    assert told["span_days"] == pytest.approx((max(times) - min(times)) / 86_400)


def test_without_a_clock_nothing_is_said_of_time():
    told = random_log(0, clock=False).summary()
    assert [told[key] for key in ("ties", "duplicates", "first", "last", "span_days")] == [None] * 5


def test_work_in_blocks_changes_nothing(monkeypatch):
    log = random_log(1)
    once = log.hash, leave_one_out(log).hash, log.summary()
    for block in (1, 7, 100):
        monkeypatch.setattr(histories, "BLOCK", block)
        again = replace(log)
        assert (again.hash, leave_one_out(again).hash, again.summary()) == once


def test_a_log_and_a_split_describe_themselves():
    log = replace(random_log(0), name="<b>")
    html = log._repr_html_()
    assert "<caption>Interaction log &lt;b&gt;</caption>" in html
    assert f"<th scope='row'>tokens</th><td>{log.tokens:,}</td>" in html
    split = leave_one_out(log)
    targets = split.summary()["test_targets"]
    assert repr(split).endswith(f"{targets} targets to validate and {targets} to test on>")
    assert f"<th scope='row'>test targets</th><td>{targets}</td>" in split._repr_html_()
    assert "ties" not in replace(log, timestamps=None)._repr_html_()


def test_from_histories_refuses():
    for items, times in (
        ([], None),
        ([[]], None),
        ([["a", "b"]], [[2e9, 1e9]]),
        ([["a"]], [[np.nan]]),
        ([["a"]], [[1.0, 2.0]]),
        ([["a"]], []),
        ([["a", "b"], ["c"]], [[1.0], [2.0, 3.0]]),
        ([["a", None]], None),
        ([[1.0, np.nan]], None),
        (["abc"], None),
    ):
        with pytest.raises(InputError):
            from_histories(items, times)


# ---------------------------------------------------------------- the hash


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clock", [True, False])
def test_hash_does_not_see_names_or_order_of_rows(seed, clock):
    log, rng = random_log(seed, clock=clock), np.random.default_rng(seed)
    users, items = rng.permutation(log.n_users), rng.permutation(log.n_items)
    renamed = frame_of(log).replace({"item": dict(zip(log.item_ids, [f"item {i}" for i in items]))})
    renamed["user"] = users[renamed["user"]]
    moved = pd.concat(
        [part for _, part in renamed.groupby("user")][::-1]
    )  # users in another order, their rows as they were
    assert read_log(moved).hash == log.hash == read_log(renamed).hash


@pytest.mark.parametrize("seed", range(5))
def test_hash_sees_every_change(seed):
    log, rng = random_log(seed), np.random.default_rng(seed)
    for at in rng.permutation(log.tokens)[:20]:
        items, times = log.items.copy(), log.timestamps.copy()
        items[at] = (items[at] + 1 + rng.integers(log.n_items - 1)) % log.n_items
        times[at] += 0.001
        gone = np.arange(log.tokens) != at
        for changed in (replace(log, items=items), replace(log, timestamps=times), log.keep(gone)):
            assert changed.hash != log.hash
    assert replace(log, timestamps=None).hash != log.hash


def test_hash_sees_order_within_a_history_and_not_the_vocabulary():
    one, other = from_histories([["a", "b", "a"], ["b"]]), from_histories([["a", "a", "b"], ["b"]])
    assert one.hash != other.hash
    assert replace(one, item_ids=np.array(["a", "b", "unused"])).hash == one.hash


def test_hash_is_the_same_everywhere():
    """Numbers written down once: a change of the hash would orphan every run record."""
    log = from_histories([["a", "b", "a"], ["b", "c"]], [[1e9, 1e9, 2e9], [1e9, 3e9]])
    assert log.hash == "ecb63e5df0fc295f77d5550cce6938e5f57917fa7f33551bffd8b13a2ce99681"
    assert (
        replace(log, timestamps=None).hash
        == "d2ec4e8110f97a69cef3d0d50a5e0aa7fa0a99fda553d41ea1ad6217ea4dc3ad"
    )


def test_hash_of_identical_histories():
    histories = [["a", "b"], ["c"], ["a", "b"], ["c"], ["a", "b"]]
    assert from_histories(histories).hash == from_histories(histories[::-1]).hash


def test_split_hash():
    log = random_log(3)
    split = leave_one_out(log)
    assert leave_one_out(replace(log)).hash == split.hash
    assert (
        leave_one_out(
            read_log(frame_of(log).iloc[::1].replace({"item": {i: f"x{i}" for i in range(99)}}))
        ).hash
        == split.hash
    )
    others = [
        replace(split, train=split.train.sample_users(0.9)).hash,
        replace(split, test=split.validation).hash,
        replace(split, rule="another").hash,
        global_time(log).hash,
    ]
    assert len({split.hash, *others}) == 5


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize("seed", range(3))
def test_filters_against_plain_code(seed):
    log = random_log(seed)
    assert lists(log.last(4)) == [history[-4:] for history in lists(log)]
    assert lists(log.min_length(10)) == [history for history in lists(log) if len(history) >= 10]
    frame = frame_of(log)
    while True:
        sizes = (
            frame.groupby("user")["item"].transform("size"),
            frame.groupby("item")["user"].transform("size"),
        )
        enough = (sizes[0] >= 14) & (sizes[1] >= 14)
        if enough.all():
            break
        frame = frame[enough]
    assert lists(log.k_core(14)) == frame.groupby("user")["item"].apply(list).tolist()


def test_filters_keep_codes_and_compact_renews_them():
    log = random_log(0).min_length(20)
    assert log.n_items == random_log(0).n_items
    assert log.k_core(3).last(5).n_items == log.n_items
    small = from_histories([["a", "b", "c"], ["c", "b"]]).last(1)
    assert small.n_items == 3
    assert small.compact().n_items == 2
    assert lists(small.compact()) == lists(small)


def test_samples_are_seeded_and_nested():
    log = random_log(1)

    def rows(sample):
        return set(zip(sample.user_ids[sample.users], sample.items, sample.timestamps))

    small, large = log.sample_users(0.3, 5), log.sample_users(0.6, 5)
    assert rows(small) < rows(large) < rows(log)
    assert log.sample_users(0.3, 5).hash == small.hash != log.sample_users(0.3, 6).hash
    assert log.sample_users(1.0).hash == log.hash
    assert small.n_users == round(0.3 * log.n_users)


def test_sample_of_time():
    log = random_log(2)
    late = log.sample_time(0.4)
    cut = late.timestamps.min()
    assert late.tokens >= 0.4 * log.tokens
    assert late.tokens == (log.timestamps >= cut).sum()
    assert late.tokens - (late.timestamps == cut).sum() < 0.4 * log.tokens
    spans = [log.sample_time(0.4, seed) for seed in range(5)]
    assert len({span.timestamps.min() for span in spans}) > 1
    for span in spans:
        inside = (log.timestamps >= span.timestamps.min()) & (
            log.timestamps <= span.timestamps.max()
        )
        assert span.tokens == inside.sum() >= round(0.4 * log.tokens)


def test_reverse_ties():
    log = from_histories([list("abcd"), list("xy")], [[1e9, 2e9, 2e9, 2e9], [2e9, 2e9]])
    assert lists(log.reverse_ties()) == [list("adcb"), list("yx")]
    assert log.reverse_ties().reverse_ties().hash == log.hash


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda log: log.min_length(99), "no user has 99 interactions"),
        (lambda log: log.k_core(99), "nothing of log is left in its 99-core"),
        (lambda log: log.last(0), "use 1 or more"),
        (lambda log: log.sample_users(0), "above 0 and at most 1"),
        (lambda log: log.sample_users(1.5), "above 0 and at most 1"),
        (
            lambda log: replace(log, timestamps=None).sample_time(0.5),
            "log has no timestamps, and a span of time needs them",
        ),
        (lambda log: leave_one_out(log.last(2)), "no user has three interactions"),
        (lambda log: global_time(replace(log, timestamps=None)), "a global-time split needs them"),
        (lambda log: global_time(log, 0.5, 0.5), "must be above 0 and below 1 together"),
        (
            lambda log: global_time(replace(log, timestamps=np.full(log.tokens, 1e9))),
            "cannot be split by time",
        ),
    ],
)
def test_refused(call, told):
    with pytest.raises(InputError, match=told) as caught:
        call(random_log(0))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- splits


def test_leave_one_out():
    log = from_histories([list("abcd"), list("ab"), list("bca"), list("a")])
    split = leave_one_out(log)
    assert lists(split.train) == [["a", "b"], ["a", "b"], ["b"], ["a"]]
    assert split.train.n_items == 4

    def names(targets):
        return [str(split.log.item_ids[split.log.items[t]]) if t >= 0 else None for t in targets]

    assert names(split.validation) == ["c", None, "c", None]
    assert names(split.test) == ["d", None, "a", None]
    assert split.summary()["untrained"] == 0.5  # d


@pytest.mark.parametrize("seed", range(3))
def test_global_time_against_plain_code(seed):
    log = random_log(seed, n_users=80)
    split = global_time(log, 0.2, 0.1)
    times = np.sort(log.timestamps)
    cuts = [times[int(np.ceil(share * (log.tokens - 1)))] for share in (0.7, 0.9)]
    for u in range(log.n_users):
        history = list(enumerate(log.timestamps[log.offsets[u] : log.offsets[u + 1]]))
        expected = []
        for begin, end in ((cuts[0], cuts[1]), (cuts[1], np.inf)):
            later = [i for i, time in history if begin <= time < end]
            before = [i for i, time in history if time < begin]
            expected.append(log.offsets[u] + later[0] if later and before else -1)
        assert [split.validation[u], split.test[u]] == expected
    assert split.train.tokens == (log.timestamps < cuts[0]).sum()
    assert split.train.timestamps.max() < cuts[0]
    assert split.summary()["validation_targets"] == (split.validation >= 0).sum() > 0


def test_tied_targets_are_counted():
    log = from_histories(
        [list("abcd")] * 4,
        [[1e9, 2e9, 3e9, 3e9], [1e9, 2e9, 3e9, 4e9], [1e9] * 4, [1e9, 1e9, 2e9, 3e9]],
    )
    assert leave_one_out(log).summary()["tied"] == 0.5
    before = from_histories([list("abcd")] * 2, [[1e9, 2e9, 3e9, 3e9], [1e9, 2e9, 2e9, 3e9]])
    assert global_time(before, 0.2, 0.3).summary()["tied"] == 0.5


# ---------------------------------------------------------------- ranking by popularity


@pytest.mark.parametrize("repeats", [True, False])
def test_most_popular_against_plain_code(repeats):
    log = random_log(4)
    if not repeats:
        log = log.keep(~log.repeats)
    split = leave_one_out(log)
    counts = Counter(split.train.items.tolist())
    expected = []
    for u in np.flatnonzero(split.test >= 0):
        target = split.log.items[split.test[u]]
        seen = (
            set()
            if repeats
            else set(split.log.items[split.log.offsets[u] : split.validation[u]].tolist())
        )
        others = [counts[i] for i in range(split.log.n_items) if i != target and i not in seen]
        expected.append(
            1
            + sum(c > counts[target] for c in others)
            + sum(c == counts[target] for c in others) / 2
        )
    found, _ = ranking.rank_by_item_scores(
        ranking.item_popularity(split), split, split.test, ranking.Seen.TRAINING
    )
    np.testing.assert_array_equal(found, expected)
    assert ranking.removes_seen(split) is not repeats


def test_metrics():
    ranks = np.array([1, 2, 2.5, 11, 3])
    assert ranking_metrics.hit_rate(ranks, 10) == 0.8
    assert ranking_metrics.hit_rate(ranks, 2) == 0.4
    assert ranking_metrics.ndcg(ranks, 3) == pytest.approx(
        (1 + 1 / np.log2(3) + 1 / np.log2(3.5) + 0.5) / 5
    )


# ---------------------------------------------------------------- real logs

LOGS = {  # name: users, items, tokens, mean length, median length, repeats in %
    "ml-100k": (943, 1_682, 100_000, 106, 65, 0),
    "ml-1m-sasrec": (6_040, 3_416, 999_611, 166, 96, 0),
    "ml-1m": (6_040, 3_706, 1_000_209, 166, 96, 0),
    "amazon-beauty": (22_363, 12_101, 198_502, 8.9, 6, 0),
    "gowalla-1k": (1_000, 24_209, 157_251, 157, 78, 41.0),
    "foursquare-5k": (4_969, 8_000, 185_984, 37, 26, 50.5),
    "online-retail": (4_335, 3_659, 386_354, 89, 40, 31.1),
    "tmall-sessions": (66_313, 40_727, 443_479, 6.7, 4, 34.9),
}


def real(path):
    if not DATA or not (Path(DATA) / path).exists():
        pytest.skip(f"PERFLAW_DATA names no folder with {path}")
    return read_log(Path(DATA) / path)


@pytest.mark.parametrize("name", LOGS)
def test_real_logs_are_what_their_description_says(name):
    told = real(f"{name}.parquet").summary()
    users, items, tokens, mean, median, repeats = LOGS[name]
    assert (told["users"], told["items"], told["tokens"], told["length_q50"]) == (
        users,
        items,
        tokens,
        median,
    )
    assert told["length_mean"] == pytest.approx(mean, abs=0.51 if mean > 10 else 0.051)
    assert 100 * told["repeats"] == pytest.approx(repeats, abs=0.05)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("raw/ml-100k/u.data", "ml-100k"),
        ("raw/sasrec/ml-1m.txt", "ml-1m-sasrec"),
        ("raw/s3rec/Beauty.txt", "amazon-beauty"),
    ],
)
def test_raw_layouts_have_the_hash_of_the_parquet(raw, name):
    one, other = real(raw), real(f"{name}.parquet")
    assert one.hash == other.hash
    assert leave_one_out(one).hash == leave_one_out(other).hash


def test_most_popular_on_split_s():
    split = leave_one_out(real("ml-1m-sasrec.parquet"))
    ranks, _ = ranking.rank_by_item_scores(
        ranking.item_popularity(split), split, split.test, ranking.Seen.TRAINING
    )
    assert (round(ranking_metrics.hit_rate(ranks), 4), round(ranking_metrics.ndcg(ranks), 4)) == (
        0.0368,
        0.0179,
    )
