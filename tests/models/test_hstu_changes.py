"""HSTU with one part changed, against plain loops in float64; and the keys of older records."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from perflaw.errors import InputError
from perflaw.models import backbones
from perflaw.models.configuration import (
    HSTU_CHANGES,
    LATER_SETTINGS,
    Architecture,
    Config,
    recorded_settings,
)
from perflaw.models.layers import Layout
from perflaw.models.training import run_records

ITEMS, WIDTH, HEADS, LONGEST = 40, 12, 2, 9


def make_model(change):
    return Architecture("hstu", 3, WIDTH, HEADS, LONGEST, 0.0, hstu_change=change)


def make_weights(model, seed=0):
    """New weights, with gains and biases that are not 1 and 0."""
    random = torch.Generator().manual_seed(seed + 100)
    return {
        name: weight + 0.3 * torch.randn(weight.shape, generator=random)
        for name, weight in backbones.init_weights(model, ITEMS, seed).items()
    }


def normalise(x, weight):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * weight[0] + weight[1]


def silu(x):
    return x / (1 + np.exp(-x))


def attention_shares(q, keys, bias, change):
    """What one place takes of the places up to it, the last of `keys` being its own."""
    scores = keys @ q
    if change == "softmax attention":
        exponentials = np.exp(scores / math.sqrt(len(q)) + bias)
        return exponentials / exponentials.sum()
    return silu(scores + bias) / LONGEST


def plain_block(x, p, change):
    """One block, place by place and head by head."""
    y = normalise(x, p["norm_1"])
    projected = silu(y @ p["uvqk"])
    parts = np.split(projected, projected.shape[1] // WIDTH, axis=1)
    v, q, k = parts[-3:]
    bias = p.get("distance_bias", np.zeros(LONGEST))
    mixed, width = np.zeros_like(v), WIDTH // HEADS
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(x)):
            back = bias[i - np.arange(i + 1)]
            shares = attention_shares(q[i, part], k[: i + 1, part], back, change)
            mixed[i, part] = shares @ v[: i + 1, part]
    mixed = normalise(mixed, p["norm_2"])
    if len(parts) == 4:
        mixed = mixed * parts[0]
    x = x + mixed @ p["output"]
    if change == "feed-forward for gate":
        y = normalise(x, p["norm_3"])
        x = x + np.maximum(y @ p["up"] + p["up_bias"], 0) @ p["down"] + p["down_bias"]
    return x


def plain_model(weights, ids, model):
    weights = {name: weight.double().numpy() for name, weight in weights.items()}
    x = weights["items"][ids.numpy()] * math.sqrt(WIDTH)
    if model.hstu_change != "no positions":
        x = x + weights["positions"][: len(ids)]
    outside = ("items", "positions", "norm")
    for layer in range(model.n_layers):
        p = {name: weight[layer] for name, weight in weights.items() if name not in outside}
        x = plain_block(x, p, model.hstu_change)
    return normalise(x, weights["norm"])


@pytest.mark.parametrize("change", HSTU_CHANGES)
def test_the_equations(change):
    model = make_model(change)
    weights, ids = make_weights(model), torch.randint(ITEMS, (7,), generator=torch.manual_seed(3))
    hidden = backbones.forward(weights, ids, Layout.of([(1, 7)]), model)
    assert np.allclose(hidden.numpy(), plain_model(weights, ids, model), atol=2e-5)


@pytest.mark.parametrize("change", HSTU_CHANGES)
def test_nobody_looks_ahead_and_the_last_place_alone_is_the_same(change):
    model, ids = make_model(change), torch.arange(9)
    weights, layout = make_weights(model), Layout.of([(1, 9)])
    whole = backbones.forward(weights, ids, layout, model)
    other = torch.cat([ids[:5], ids[5:] + 20])
    changed = backbones.forward(weights, other, layout, model)
    last = backbones.forward(weights, ids, layout, model, last=torch.tensor([4]))
    assert torch.allclose(whole[:5], changed[:5], atol=1e-6)
    assert not torch.allclose(whole[5:], changed[5:], atol=1e-3)
    assert torch.allclose(last[0], whole[4], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("no relative bias", "distance_bias"),
        ("no positions", "positions"),
    ],
)
def test_a_part_that_is_left_out_has_no_weights(change, missing):
    assert missing in backbones.weight_shapes(make_model("none"), ITEMS)
    assert missing not in backbones.weight_shapes(make_model(change), ITEMS)


def test_other_backbones_have_no_such_parts():
    with pytest.raises(InputError, match="hstu_change is of hstu"):
        Architecture("sasrec", hstu_change="no gate")


def test_settings_added_later_leave_older_keys_as_they_were(split):
    first_settings = {
        name: value for name, value in asdict(Config()).items() if name not in LATER_SETTINGS
    }
    log = split.log
    older_key = run_records._digest(
        run_records.SCHEMA, first_settings, log.hash, split.rule, split.hash, log.order
    )
    assert run_records.run_key(Config(), split) == older_key
    assert run_records.run_key(Config(augmentation="crop"), split) != older_key
    assert recorded_settings(Config()) == first_settings
