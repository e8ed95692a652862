"""The backbones, against plain reimplementations; formulas, against counted operations."""

import math

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from perflaw import model_size
from perflaw.errors import InputError
from perflaw.models import backbones, configuration, layers
from perflaw.models.configuration import Architecture
from perflaw.models.layers import Layout

ITEMS = 40
HEADS = {name: 1 if name in configuration.RECURRENT else 2 for name in backbones.BACKBONES}
SMALL = {
    name: Architecture(name, n_layers=3, d_emb=12, n_heads=HEADS[name], max_seq_len=9, dropout=0.0)
    for name in backbones.BACKBONES
}


def weights(model, seed=0):
    """New weights, with gains and biases that are not 1 and 0."""
    random = torch.Generator().manual_seed(seed + 100)
    return {
        name: w + 0.3 * torch.randn(w.shape, generator=random)
        for name, w in backbones.init_weights(model, ITEMS, seed).items()
    }


def history(n, seed=0):
    return torch.randint(ITEMS, (n,), generator=torch.Generator().manual_seed(seed))


def alone(w, ids, model):
    return backbones.forward(w, ids, Layout.of([(1, len(ids))]), model)


# -------------------------------------------- plain reimplementations, in float64 and loops


def norm(x, w, centred):
    if not centred:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * w
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * w[0] + w[1]


def silu(x):
    return x / (1 + np.exp(-x))


def turned(x, place, width):
    """Pairs (i, i + half) of each head as complex numbers, turned by place times a frequency."""
    half = width // 2
    out = x.copy()
    for start in range(0, len(x), width):
        z = x[start : start + half] + 1j * x[start + half : start + 2 * half]
        z = z * np.exp(1j * place * 10_000.0 ** (-np.arange(half) / half))
        out[start : start + half], out[start + half : start + 2 * half] = z.real, z.imag
    return out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gated(y, p):
    """The states of torch.nn.GRU."""
    d, h, states = y.shape[1], np.zeros(y.shape[1]), []
    for x in y:
        inward, recurrent = (
            x @ p["inward"] + p["inward_bias"],
            h @ p["recurrent"] + p["recurrent_bias"],
        )
        reset, update = (
            sigmoid(inward[part] + recurrent[part]) for part in (slice(d), slice(d, 2 * d))
        )
        h = (1 - update) * np.tanh(inward[2 * d :] + reset * recurrent[2 * d :]) + update * h
        states.append(h)
    return np.array(states)


def selective(y, p):
    """Mamba's block, channel by channel and number of state by number of state."""
    n, d = y.shape
    u, z = np.split(y @ p["inward"], 2, axis=1)
    u = silu(
        np.array(
            [
                sum(u[i - back] * p["conv"][3 - back] for back in range(min(4, i + 1)))
                + p["conv_bias"]
                for i in range(n)
            ]
        )
    )
    delta, b, c = np.log1p(np.exp(u @ p["delta"] + p["delta_bias"])), u @ p["B"], u @ p["C"]
    out = p["D"] * u
    for channel in range(d):
        for s in range(layers.STATES):
            h = 0.0
            for i in range(n):
                h = (
                    np.exp(-delta[i, channel] * np.exp(p["log_A"][channel, s])) * h
                    + delta[i, channel] * b[i, s] * u[i, channel]
                )
                out[i, channel] += h * c[i, s]
    return out * silu(z) @ p["output"]


def plain(w, ids, model):
    """The equations of models.py's docstring for one history."""
    w = {name: value.double().numpy() for name, value in w.items()}
    d, heads, n = model.d_emb, model.n_heads, len(ids)
    width, centred = d // heads, model.backbone != "llama"
    x = w["items"][ids.numpy()] * math.sqrt(d)
    if "positions" in w:
        x = x + w["positions"][:n]
    for layer in range(model.n_layers):
        p = {
            name: value[0 if model.shared_layers else layer]
            for name, value in w.items()
            if name not in ("items", "positions", "norm")
        }
        y = norm(x, p["norm_1"], centred)
        if model.backbone == "mamba":
            x = x + selective(y, p)
            continue
        if model.backbone == "gru":
            x = x + gated(y, p) @ p["output"]
            y = norm(x, p["norm_2"], True)
            x = x + np.maximum(y @ p["up"] + p["up_bias"], 0) @ p["down"] + p["down_bias"]
            continue
        if model.backbone == "hstu":
            u, v, q, k = np.split(silu(y @ p["uvqk"]), 4, axis=1)
        else:
            q, k, v = y @ p["query"], y @ p["key"], y @ p["value"]
        if model.backbone == "llama":
            q, k = (
                np.array([turned(row, place, width) for place, row in enumerate(z)]) for z in (q, k)
            )
        mixed = np.zeros((n, d))
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            for i in range(n):
                if model.backbone == "hstu":
                    share = np.array(
                        [
                            silu(q[i, part] @ k[j, part] + p["distance_bias"][i - j])
                            / model.max_seq_len
                            for j in range(i + 1)
                        ]
                    )
                else:
                    share = np.exp(
                        [q[i, part] @ k[j, part] / math.sqrt(width) for j in range(i + 1)]
                    )
                    share = share / share.sum()
                mixed[i, part] = share @ v[: i + 1, part]
        if model.backbone == "hstu":
            x = x + (norm(mixed, p["norm_2"], True) * u) @ p["output"]
            continue
        x = x + mixed @ p["output"]
        y = norm(x, p["norm_2"], centred)
        if model.backbone == "sasrec":
            x = x + np.maximum(y @ p["up"] + p["up_bias"], 0) @ p["down"] + p["down_bias"]
        else:
            x = x + (silu(y @ p["gate"]) * (y @ p["up"])) @ p["down"]
    return norm(x, w["norm"], centred)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_the_equations(name, shared):
    model = Architecture(name, 3, 12, HEADS[name], 9, 0.0, shared_layers=shared)
    w, ids = weights(model), history(7)
    assert np.allclose(alone(w, ids, model).numpy(), plain(w, ids, model), atol=2e-5)


@pytest.mark.parametrize(("d", "heads"), [(25, 1), (75, 1), (75, 3), (2, 1), (2, 2), (50, 5)])
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_any_width_and_any_number_of_heads_that_divides_it(name, d, heads):
    model = Architecture(name, 2, d, 1 if name in configuration.RECURRENT else heads, 9, 0.0)
    w, ids = (
        {name: value.double() for name, value in backbones.init_weights(model, ITEMS).items()},
        history(7),
    )  # of two numbers a norm is ill-conditioned
    assert alone(w, ids, model).shape == (7, d)
    assert alone(w, ids, model).isfinite().all()
    if d // heads % 2 == 0 or name != "llama":
        assert np.allclose(alone(w, ids, model).numpy(), plain(w, ids, model), atol=1e-5)


# -------------------------------------------- rectangles, stacks, the last place


LENGTHS = (9, 8, 9, 4, 3, 1)
LAYOUT = Layout.of([(3, 9), (3, 4)])


def batch(seed=0):
    """Rows of LENGTHS in LAYOUT, anything in the padding."""
    return torch.cat([history(9 if i < 3 else 4, seed + i) for i in range(len(LENGTHS))])


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_a_history_is_alone_in_its_row(name):
    model, ids = SMALL[name], batch()
    w = weights(model)
    rows = backbones.forward(w, ids, LAYOUT, model).split([9] * 3 + [4] * 3)
    for row, part, n in zip(rows, ids.split([9] * 3 + [4] * 3), LENGTHS):
        assert torch.allclose(row[:n], alone(w, part[:n], model), atol=1e-5)


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_rectangles_in_any_order(name):
    model, w = SMALL[name], weights(SMALL[name])
    parts = [
        history(rows * width, seed)
        for seed, (rows, width) in enumerate([(2, 4), (1, 9), (3, 1), (2, 6)])
    ]
    together = backbones.forward(
        w, torch.cat(parts), Layout.of([(2, 4), (1, 9), (3, 1), (2, 6)]), model
    )
    each = [
        alone(w, row, model)
        for part, width in zip(parts, (4, 9, 1, 6))
        for row in part.split(width)
    ]
    assert torch.allclose(together, torch.cat(each), atol=1e-5)


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_nobody_looks_ahead(name):
    """What a position knows has no gradient by items after it, and one by each item up to it."""
    model, w = SMALL[name], weights(SMALL[name])
    w["items"] = w["items"][:9].requires_grad_()
    known = backbones.forward(w, torch.arange(9), Layout.of([(1, 9)]), model)
    for place in range(9):
        (by,) = torch.autograd.grad(
            known[place] @ torch.linspace(-1, 1, 12), w["items"], retain_graph=True
        )
        assert (by[place + 1 :] == 0).all()
        assert (by[: place + 1] != 0).any(1).all()


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_the_last_place_alone(name):
    model, w, ids = SMALL[name], weights(SMALL[name]), batch()
    last = torch.tensor(LENGTHS) - 1
    starts = torch.tensor([0, 9, 18, 27, 31, 35])
    some = backbones.forward(w, ids, LAYOUT, model, last=last)
    assert torch.allclose(some, backbones.forward(w, ids, LAYOUT, model)[starts + last], atol=1e-5)


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_a_stack_is_its_members(name):
    model = SMALL[name]
    each, ids = (
        [weights(model, seed) for seed in range(3)],
        torch.stack([batch(10 * seed) for seed in range(3)]),
    )
    stack = {key: torch.stack([w[key] for w in each]) for key in each[0]}
    together = backbones.forward(stack, ids, LAYOUT, model)
    for w, mine, out in zip(each, ids, together):
        assert torch.allclose(out, backbones.forward(w, mine, LAYOUT, model), atol=1e-5)


def test_rotation_tells_distances_only():
    """Scores of rotated queries and keys depend on how far apart they are."""
    model = SMALL["llama"]
    c = layers.LayerContext(model, Layout.of([(1, 9)]), None, None)
    q, k = (
        layers.rotate(torch.randn(12, generator=torch.Generator().manual_seed(s)).expand(9, 12), c)
        for s in (1, 2)
    )
    scores = q[:, :6] @ k[:, :6].T
    for distance in range(9):
        assert torch.allclose(
            scores.diagonal(distance), scores[0, distance].expand(9 - distance), atol=1e-5
        )


def test_time_bias_reads_when_the_next_item_comes():
    model = Architecture("hstu", 2, 12, 2, 9, 0.0, time_bias=True)
    w, ids, times = weights(model), history(7), torch.arange(7) * 1000.0

    def hidden(after):
        return backbones.forward(w, ids, Layout.of([(1, 7)]), model, times=(times, after))

    soon, late = hidden(times + 1000), hidden(torch.cat([times[1:], torch.tensor([9e6])]))
    assert torch.allclose(soon[:6], late[:6])
    assert not torch.allclose(soon[6], late[6])
    assert torch.allclose(
        backbones.forward(
            w, ids, Layout.of([(1, 7)]), model, times=(times, times + 1000), last=torch.tensor([4])
        ),
        soon[4:5],
        atol=1e-5,
    )


# ---------------------------------------------------------------- what a model costs


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_parameters_are_those_that_exist(name, shared):
    model = Architecture(name, 3, 24, HEADS[name], 9, shared_layers=shared)
    w = backbones.init_weights(model, ITEMS)
    assert sum(backbones.count_parameters(model, ITEMS).values()) == sum(
        weight.numel() for weight in w.values()
    )
    told = model_size.parameters_by_group(1 if shared else 3, 24, ITEMS, name)
    counted = backbones.count_parameters(model, ITEMS)
    small = {
        key: weight.numel()
        for key, weight in w.items()
        if key.endswith("bias") or key in ("log_A", "D")
    }
    inside = sum(small.pop(key, 0) for key in ("up_bias", "down_bias"))
    assert counted["attention"] - told["attention"] == sum(small.values())
    assert counted["feed_forward"] - told["feed_forward"] == inside
    assert counted["embedding"] - told["embedding"] == (9 * 24 if name in ("sasrec", "hstu") else 0)
    assert counted["norm"] == told["norm"] * (1 if name == "llama" else 2)


@pytest.mark.integration
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_flops_are_those_that_are_counted(name):
    """Forward and backward of a full row, with the scores of all items.

    Unfused attention computes both triangles.

    Only matrix products are counted: of Mamba not the convolution, and of each number of state the
    reading, not the change.
    No gradient goes to the state that a GRU begins with.
    """
    n, d, length = 2, 48, 32
    model = Architecture(name, n, d, HEADS[name], length, 0.0)
    w = backbones.init_weights(model, ITEMS)
    for weight in w.values():
        weight.requires_grad_(True)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        hidden = backbones.forward(w, history(length), Layout.of([(1, length)]), model)
        (hidden @ w["items"].T).sum().backward()
    told = length * model_size.flops_per_token(
        n, d, 2 * length - 1, ITEMS, name
    )  # (L' + 1) / 2 = L positions attended
    told -= {
        "gru": n * 2 * 3 * d**2,
        "mamba": 3 * length * n * (2 * layers.TAPS + 2 * layers.STATES) * d,
    }.get(name, 0)
    assert counter.get_total_flops() == pytest.approx(told, rel=1e-9)


def test_how_mamba_begins():
    """A of −1 to −8, D of 1, steps from 0.001 to 0.1 in equal ratios; none is decayed."""
    w = backbones.init_weights(Architecture("mamba", 2, 16), ITEMS)
    assert torch.allclose(w["log_A"].exp(), torch.arange(1.0, 9).expand(2, 16, 8))
    assert (w["D"] == 1).all()
    steps = torch.nn.functional.softplus(w["delta_bias"])
    assert torch.allclose(steps[0], 0.001 * 100 ** (torch.arange(16) / 15), rtol=1e-4)
    assert torch.equal(steps[0], steps[1])
    assert {name for name in w if not backbones.is_decayed(name)} == {
        "conv_bias",
        "delta_bias",
        "log_A",
        "D",
        "norm_1",
        "norm",
    }


@pytest.mark.integration
@pytest.mark.parametrize("name", configuration.RECURRENT)
def test_long_histories_stay_finite(name):
    """Of steps so large that a state is forgotten at once, too."""
    model = Architecture(name, 1, 8, 1, 2000, 0.0)
    w = {
        key: (100 * weight if "bias" in key else weight).requires_grad_()
        for key, weight in weights(model).items()
    }
    known = alone(w, history(2000), model)
    known.square().mean().backward()
    assert known.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in w.values())


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_products_in_bfloat16(name):
    """The state of a recurrent backbone is kept in float32."""
    model, w = SMALL[name], weights(SMALL[name])
    with torch.autocast("cpu", torch.bfloat16):
        rough = backbones.forward(
            {key: weight.requires_grad_() for key, weight in w.items()}, batch(), LAYOUT, model
        )
    rough.float().square().mean().backward()
    assert torch.allclose(rough.float(), backbones.forward(w, batch(), LAYOUT, model), atol=0.3)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in w.values())


def test_new_weights_are_the_same_for_a_seed():
    a, b, c = (backbones.init_weights(SMALL["llama"], ITEMS, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["items"], c["items"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"backbone": "lstm"},
            "there is no backbone 'lstm'; use one of sasrec, llama, hstu, gru, mamba",
        ),
        ({"backbone": "gru", "n_heads": 2}, "n_heads is of attention; gru has none; use 1"),
        ({"backbone": "mamba", "n_heads": 3}, "n_heads is of attention; mamba has none; use 1"),
        ({"n_layers": 0}, "n_layers = 0 is not usable"),
        ({"n_layers": 1.5}, "n_layers = 1.5 is not usable"),
        ({"n_layers": True}, "n_layers = True is not usable"),
        ({"d_emb": 1}, "d_emb = 1 is not usable; use a whole number, 2 or more"),
        ({"n_heads": 3}, "n_heads = 3 does not divide d_emb = 64"),
        ({"max_seq_len": 0}, "max_seq_len = 0 is not usable"),
        ({"dropout": -0.1}, "dropout = -0.1 is not usable"),
        ({"dropout": 1.0}, "dropout = 1.0 is not usable"),
        ({"dropout": "much"}, "dropout = 'much' is not usable"),
        ({"time_bias": True}, "time_bias is a part of hstu"),
    ],
)
def test_what_cannot_be_is_refused(values, told):
    with pytest.raises(InputError, match=told.replace("[", r"\[")):
        Architecture(**values)
