"""DiffuRec: its equations in plain numpy, what it sees, and what it learns."""

import numpy as np
import pytest
import torch

from perflaw.errors import InputError
from perflaw.logs import from_histories, leave_one_out
from perflaw.models import baselines, ranking, ranking_metrics
from perflaw.study.neighbours import diffu_rec as g


def make_model(n_layers=2, n_steps=8):
    """Make a model of which no weight is 0 or 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = g.DiffuRec(12, n_layers, 8, n_steps).eval()
        for weight in model.parameters():
            weight.data += 0.2 * torch.randn_like(weight)
    return model


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize(
    ("n_steps", "first", "last"), [(32, 0.013125, 0.635), (8, 0.0225, 0.135), (1, 0.11, 0.11)]
)
def test_the_schedule_is_linear_and_truncated(n_steps, first, last):
    noise = g.noise_shares(n_steps).numpy()
    assert noise[0] == pytest.approx(first)
    assert noise[-1] == pytest.approx(last)
    assert np.diff(noise, 2) == pytest.approx(0, abs=1e-12)


def test_noise_is_added_step_by_step():
    """By the chain x_s = √(1 − β) x_{s−1} + √β ε: its mean and variance are followed."""
    model = make_model()
    mean, variance = 1.0, 0.0
    for share in g.noise_shares(8)[:4].tolist():
        mean, variance = mean * np.sqrt(1 - share), variance * (1 - share) + share
    steps = torch.full((20_000,), 3)
    drawn = model.add_noise(torch.full((20_000, 8), 2.0), steps).numpy()
    assert drawn.mean() == pytest.approx(2 * mean, abs=0.01)
    assert drawn.var() == pytest.approx(variance, rel=0.01)


@pytest.mark.parametrize("step", [1, 5])
def test_a_step_back_is_the_posterior_of_the_chain(step):
    """Of x_{s−1}, known by x̂_0 and by x_s, each a normal variable: precisions add up."""
    model = make_model()
    x, estimate = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    share = float(g.noise_shares(8)[step])
    before = float((1 - g.noise_shares(8)[:step]).prod())
    precision = 1 / (1 - before), (1 - share) / share
    centre = np.sqrt(before) * estimate, x / np.sqrt(1 - share)
    mean = (precision[0] * centre[0] + precision[1] * centre[1]) / sum(precision)
    torch.manual_seed(1)
    drawn = model.step_back(x, estimate, step)
    torch.manual_seed(1)
    expected = mean + np.sqrt(share) * torch.randn_like(x)
    assert drawn.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_last_step_back_is_the_estimate():
    x, estimate = torch.randn(2, 5, 8)
    assert make_model().step_back(x, estimate, 0).numpy() == pytest.approx(estimate.numpy())


# ---------------------------------------------------------------- the approximator


def normalise(x, norm):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + norm.eps)
    return scaled * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def apply(x, linear):
    return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()


def attend(y, attention, heads=g.HEADS):
    """Scaled products of each place with each, head by head."""
    weights = attention.in_proj_weight.detach().numpy().reshape(3, *[y.shape[1]] * 2)
    biases = attention.in_proj_bias.detach().numpy().reshape(3, -1)
    q, k, v = (y @ weight.T + bias for weight, bias in zip(weights, biases))
    mixed = []
    for part in np.array_split(np.arange(y.shape[1]), heads):
        scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(len(part)))
        mixed.append(scores / scores.sum(1, keepdims=True) @ v[:, part])
    return apply(np.concatenate(mixed, 1), attention.out_proj)


def approximate_plainly(model, items, weight, noisy, step):
    """x̂_0 of one history without padding, from the equations."""
    d, n_steps = len(noisy), len(model.noise)
    x = normalise(model.items.weight.detach().numpy()[items], model.norm_items)
    angles = 1000 * step / n_steps * 10_000.0 ** (-np.arange(d // 2) / (d // 2))
    inner = apply(np.concatenate([np.cos(angles), np.sin(angles)]), model.of_step[0])
    x = x + weight * (noisy + apply(inner / (1 + np.exp(-inner)), model.of_step[2]))
    for block in model.blocks:
        x = x + attend(normalise(x, block.norm_1), block.attention)
        inner = apply(normalise(x, block.norm_2), block.feed_forward[0])
        bent = inner + 0.044715 * inner**3
        active = inner / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * bent))
        x = x + apply(active, block.feed_forward[3])
    return normalise(x[-1], model.norm)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_approximator_is_that_of_the_equations(n_layers, monkeypatch):
    monkeypatch.setattr(g, "UNCERTAINTY", 0.5)
    model = make_model(n_layers)
    noisy = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    history = torch.tensor([[-1, -1, 3, 7, 3]])
    torch.manual_seed(1)
    weight = 0.5 + 0.5 * torch.randn(1, 5, 8).numpy()[0, 2:]
    torch.manual_seed(1)
    with torch.no_grad():
        ours = model.approximate(history, model.read(history), noisy, torch.tensor([5]))
    plain = approximate_plainly(model, [3, 7, 3], weight, noisy[0].numpy(), 5)
    assert ours[0].numpy() == pytest.approx(plain, abs=1e-4)


def test_the_reverse_is_its_steps_from_noise():
    model, history = make_model(n_steps=3), torch.tensor([[0, 4, 2]])
    with torch.no_grad():
        torch.manual_seed(2)
        made = model.reverse(history)
        torch.manual_seed(2)
        x = torch.randn(1, 8)
        for step in (2, 1, 0):
            estimate = model.approximate(history, model.read(history), x, torch.tensor([step]))
            x = model.step_back(x, estimate, step)
    assert made.numpy() == pytest.approx(x.numpy())


def test_the_loss_is_the_cross_entropy_over_all_items():
    model, histories, wanted = make_model(), torch.tensor([[0, 4], [2, 5]]), torch.tensor([7, 1])
    torch.manual_seed(0)
    loss = g.target_loss(model, histories, wanted)
    torch.manual_seed(0)
    steps = torch.randint(8, (2,))
    noisy = model.add_noise(model.items(wanted), steps)
    vectors = model.approximate(histories, model.read(histories), noisy, steps)
    scores = (vectors @ model.items.weight.T).detach().numpy().astype(float)
    expected = np.log(np.exp(scores).sum(1)) - scores[[0, 1], [7, 1]]
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-5)


# ---------------------------------------------------------------- training


def test_windows_are_the_last_items_of_the_user():
    log = from_histories([list(range(12)), [3, 4]])
    windows = g.take_windows(log, np.array([0, 1]), np.array([12, 13]))
    assert windows.tolist() == [list(range(2, 12)), [-1] * 9 + [3]]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_training_reads_no_target(part, two_tastes):
    first = g.fit(two_tastes, 1, 8, 0, 0.01, n_steps=2, epochs=1)
    two_tastes.log.items[getattr(two_tastes, part)] = 0
    again = g.fit(two_tastes, 1, 8, 0, 0.01, n_steps=2, epochs=1)
    pairs = zip(first.model.parameters(), again.model.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (first.curve == again.curve) == (part == "test")


@pytest.mark.integration
def test_it_learns_tastes_that_popularity_does_not_know(two_tastes):
    popular = ranking.rank_targets(
        baselines.most_popular(two_tastes), two_tastes, two_tastes.test, seen=ranking.Seen.HISTORY
    )
    row = g.train_diffu_rec(two_tastes, 1, 8, 0, 0.01, n_steps=4)
    assert row["removed HR@10"] > 1.3 * ranking_metrics.hit_rate(popular.ranks, ties=popular.ties)
    assert row["done_epochs"] - row["best_epoch"] == g.PATIENCE


def test_a_seed_decides_everything_and_draws_no_other_number(two_tastes):
    torch.manual_seed(5)
    first, again, other = (
        g.fit(two_tastes, 1, 8, seed, 0.01, n_steps=2, epochs=1) for seed in (0, 0, 1)
    )
    number = torch.rand(1)
    torch.manual_seed(5)
    assert number == torch.rand(1)
    assert torch.equal(first.model.items.weight, again.model.items.weight)
    assert not torch.equal(first.model.items.weight, other.model.items.weight)


def test_the_best_epoch_is_kept_and_ranks_the_same_again(two_tastes):
    fitted = g.fit(two_tastes, 1, 8, 0, 0.03, n_steps=2)
    ranked = ranking.rank_targets(g.make_scorer(fitted.model), two_tastes, two_tastes.validation)
    assert ranking_metrics.ndcg(ranked.ranks, ties=ranked.ties) == max(fitted.curve)


def test_the_first_epochs_do_not_stop_training():
    curve = [0.3] + [0.1] * (g.LEAST_EPOCHS - 2)
    assert not g._has_levelled(curve)
    assert g._has_levelled([*curve, 0.2])
    assert not g._has_levelled([*curve, 0.4])


def test_a_log_without_targets_is_refused():
    split = leave_one_out(from_histories([list("abc"), list("bca")]))
    with pytest.raises(InputError, match="two interactions to train on"):
        g.fit(split, 1, 8, 0, 0.01, 2)


def test_a_dimension_that_heads_do_not_divide_is_refused(two_tastes):
    with pytest.raises(InputError, match="no multiple of 4"):
        g.fit(two_tastes, 1, 6, 0, 0.01, 2)
