"""LightGCN: the paper's equations on a small graph, its loss, and what it learns."""

import numpy as np
import pytest
import torch

from perflaw.errors import InputError
from perflaw.logs import from_histories, global_time, leave_one_out
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.study.neighbours import light_gcn as g

HISTORIES = [list("abcde"), list("bcad"), list("edcf"), list("aabfe")]


def make_split():
    return leave_one_out(from_histories(HISTORIES))


def propagate_by_sums(pairs, users, items, n_layers):
    """Equations 3 and 4 of the paper, node by node."""
    degree_of_user = np.bincount(pairs[:, 0], minlength=len(users))
    degree_of_item = np.bincount(pairs[:, 1], minlength=len(items))
    layers = [(users, items)]
    for _ in range(n_layers):
        users, items = np.zeros_like(users), np.zeros_like(items)
        for u, i in pairs:
            norm = np.sqrt(degree_of_user[u]) * np.sqrt(degree_of_item[i])
            users[u] += layers[-1][1][i] / norm
            items[i] += layers[-1][0][u] / norm
        layers.append((users, items))
    return [np.mean([layer[side] for layer in layers], axis=0) for side in (0, 1)]


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_propagation_is_that_of_the_paper(n_layers):
    split = make_split()
    n_users, n_items = split.log.n_users, split.log.n_items
    pairs = g.training_pairs(split)
    first = np.random.default_rng(0).normal(size=(n_users + n_items, 3))
    graph = g.normalised_graph(pairs, n_users, n_items)
    final = g.propagate(graph, torch.tensor(first, dtype=torch.float32), n_layers).numpy()
    users, items = propagate_by_sums(pairs, first[:n_users], first[n_users:], n_layers)
    assert final[:n_users] == pytest.approx(users, abs=1e-6)
    assert final[n_users:] == pytest.approx(items, abs=1e-6)


def test_the_gradient_is_that_of_the_dense_graph():
    graph = g.normalised_graph(g.training_pairs(make_split()), 4, 6)
    first = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.arange(30.0).view(10, 3)
    ours = first.clone().requires_grad_()
    (g.propagate(graph, ours, 2) * weights).sum().backward()
    dense = graph.to_dense()
    theirs = first.clone().requires_grad_()
    (((theirs + dense @ theirs + dense @ dense @ theirs) / 3) * weights).sum().backward()
    assert ours.grad.numpy() == pytest.approx(theirs.grad.numpy(), abs=1e-5)


def test_an_item_had_twice_is_one_edge_of_the_training_part():
    pairs = g.training_pairs(make_split())
    assert [tuple(pair) for pair in pairs if pair[0] == 3] == [(3, 0), (3, 1)]
    assert len(pairs) == 3 + 2 + 2 + 2


def test_the_loss_without_propagation_is_matrix_factorisation():
    first = torch.tensor([[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]])
    loss = g.pair_loss(first, first, torch.tensor([[0, 1, 2], [0, 1, 1]]))
    margins = np.array([0.5, 0.0])
    squares = (1 + 1.25 + 4 + 1 + 1.25 + 1.25) / 2
    expected = np.log1p(np.exp(-margins)).mean() + g.WEIGHT_DECAY / 2 * squares
    assert loss.item() == pytest.approx(expected)


def test_negatives_are_items_that_the_user_has_not_had():
    is_seen = torch.tensor([[True, False, True, False], [False, True, True, True]])
    users = torch.tensor([0, 1]).repeat(200)
    drawn = g._draw_unseen(users, is_seen, torch.Generator().manual_seed(0))
    assert not is_seen[users, drawn].any()
    assert set(drawn[users == 0].tolist()) == {1, 3}


@pytest.mark.parametrize("n_layers", [0, 2])
def test_it_learns_tastes_that_popularity_does_not_know(n_layers, two_tastes):
    popular = ranking.rank_targets(
        baselines.most_popular(two_tastes), two_tastes, two_tastes.test, seen=ranking.Seen.HISTORY
    )
    row = g.train_light_gcn(two_tastes, g.Options(n_layers, 8, 0, 0.03))
    assert row["removed HR@10"] > 1.3 * ranking_metrics.hit_rate(popular.ranks, ties=popular.ties)
    assert row["done_epochs"] - row["best_epoch"] == g.PATIENCE


def test_a_seed_decides_everything(two_tastes):
    first, again, other = (
        g.fit(two_tastes, g.Options(1, 4, seed, 0.03), epochs=3) for seed in (0, 0, 1)
    )
    assert torch.equal(first.embeddings, again.embeddings)
    assert not torch.equal(first.embeddings, other.embeddings)


def test_the_best_epoch_is_kept(two_tastes):
    fitted = g.fit(two_tastes, g.Options(1, 4, 0, 0.03))
    ranked = ranking.rank_targets(
        g.make_scorer(fitted.embeddings, two_tastes.log.n_users), two_tastes, two_tastes.validation
    )
    assert ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties) == max(fitted.curve)


def test_only_the_old_rule_where_items_repeat():
    histories = [list("abcabd"), list("bcdbca"), list("cdacde")]
    row = g.train_light_gcn(leave_one_out(from_histories(histories)), g.Options(1, 2, 0, 0.03))
    assert row["repeats"]
    assert "removed NDCG@10" not in row


def test_users_without_a_training_part_are_refused():
    histories = [list("abc"), list("bca"), list("cab")]
    times = [[0, 1, 2], [0, 1, 3], [3, 4, 5]]
    split = global_time(from_histories(histories, times), 0.3, 0.3)
    with pytest.raises(InputError, match="split by leave_one_out"):
        g.training_pairs(split)


def test_a_user_who_has_had_everything_is_refused():
    split = leave_one_out(from_histories([list("abcab"), list("abc")]))
    with pytest.raises(InputError, match="every item"):
        g.fit(split, g.Options(1, 4, 0, 0.1))
