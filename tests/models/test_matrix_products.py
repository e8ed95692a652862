"""Matrix product operators: contraction, what they can express, counts, and old keys."""

import numpy as np
import pytest
import torch
from training_helpers import SMALL

from perflaw.errors import InputError
from perflaw.models import backbones, load_model, make_config, train
from perflaw.models.configuration import MPO_BACKBONES, Architecture, recorded_settings
from perflaw.models.layers import Layout
from perflaw.models.matrix_products import AUXILIARY, build_matrices, build_matrix
from perflaw.models.sweeps import grids, results, verification
from perflaw.models.training import run_records

ITEMS = 40
SIDE = 2


def make_model(backbone="sasrec", n_layers=3, d_emb=12, **settings):
    settings = {"max_seq_len": 9, "dropout": 0.0, "mpo_side": SIDE} | settings
    return Architecture(backbone, n_layers, d_emb, **settings)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_contraction_is_the_sum_over_both_bonds():
    left, central, right = draw(4, 4), draw(12, 20, seed=1), draw(4, 4, seed=2)
    # rows (i, p, k) of 2 · 3 · 2, columns (j, q, l) of 2 · 5 · 2, bonds of 4
    by_hand = np.einsum(
        "ija,apqb,bkl->ipkjql",
        left.numpy().reshape(2, 2, 4),
        central.numpy().reshape(4, 3, 5, 4),
        right.numpy().reshape(4, 2, 2),
    ).reshape(12, 20)
    assert np.allclose(build_matrix(left, central, right).numpy(), by_hand)


def test_one_entry_by_loops():
    left, central, right = draw(4, 4), draw(12, 20, seed=1), draw(4, 4, seed=2)
    i, p, k, j, q, m = 1, 2, 0, 0, 3, 1
    total = sum(
        left[2 * i + j, a] * central[3 * a + p, 4 * q + b] * right[b, 2 * k + m]
        for a in range(4)
        for b in range(4)
    )
    built = build_matrix(left, central, right)
    assert built[6 * i + 2 * p + k, 10 * j + 2 * q + m].item() == pytest.approx(total.item())


@pytest.mark.parametrize(("rows", "columns", "side"), [(12, 20, 2), (8, 8, 2), (32, 48, 4)])
def test_any_matrix_is_the_product_of_its_tensors(rows, columns, side):
    """The tensors are found by two singular value decompositions, as in a tensor train."""
    matrix, bond = draw(rows, columns).numpy(), side**2
    p, q = rows // bond, columns // bond
    tensor = matrix.reshape(side, p, side, side, q, side).transpose(0, 3, 1, 4, 2, 5)
    left, sizes, rest = np.linalg.svd(tensor.reshape(bond, -1), full_matrices=False)
    rest = (sizes[:, None] * rest).reshape(bond * p * q, bond)
    central, sizes, right = np.linalg.svd(rest, full_matrices=False)
    central = (central * sizes).reshape(bond * p, q * bond)
    rebuilt = build_matrix(*map(torch.from_numpy, (left, central, right)))
    assert np.allclose(rebuilt.numpy(), matrix)


@pytest.mark.parametrize("backbone", MPO_BACKBONES)
@pytest.mark.parametrize("n_layers", [1, 3])
def test_a_model_is_the_plain_one_with_the_built_matrices(backbone, n_layers):
    model = make_model(backbone, n_layers)
    plain = make_model(backbone, n_layers, mpo_side=None)
    weights = backbones.init_weights(model, ITEMS)
    built = build_matrices(weights)
    shapes = {name: tuple(weight.shape) for name, weight in built.items()}
    ids, layout = torch.arange(7), Layout.of([(1, 7)])
    hidden = backbones.forward(weights, ids, layout, model)
    assert shapes == backbones.weight_shapes(plain, ITEMS)
    assert torch.equal(hidden, backbones.forward(built, ids, layout, plain))


def test_layers_share_the_central_tensor_and_differ_in_the_others():
    weights = backbones.init_weights(make_model(), ITEMS)
    for name in ("query", "key", "value", "output", "up", "down"):
        assert weights[name].shape == (1, 12, 12)
        assert weights[name + ".left"].shape == (3, 4, 4)
        assert weights[name + ".right"].shape == (3, 4, 4)
    first, second, _ = build_matrices(weights)["query"]
    assert not torch.allclose(first, second, atol=0.1)


def test_built_matrices_begin_with_the_variance_of_plain_ones():
    weights = backbones.init_weights(make_model(n_layers=4, d_emb=64), ITEMS)
    plain = backbones.init_weights(make_model(n_layers=4, d_emb=64, mpo_side=None), ITEMS)
    built = build_matrices(weights)
    for name in ("query", "key", "value", "output", "up", "down"):
        for layer in range(4):
            ratio = built[name][layer].var() / plain[name][layer].var()
            assert ratio.item() == pytest.approx(1, abs=0.12)  # of 4,096 numbers each


def test_parameters_as_counted_by_hand():
    counted = backbones.count_parameters(make_model(n_layers=8, d_emb=32), ITEMS)
    outer = 8 * 2 * 4 * 4  # in 8 layers two tensors of 2 · 2 · 4 numbers
    assert counted["embedding"] == (ITEMS + 9) * 32
    assert counted["attention"] == 4 * (32 * 32 + outer)
    assert counted["feed_forward"] == 2 * (32 * 32 + outer) + 8 * 2 * 32  # biases of each layer
    assert counted["norm"] == (8 * 2 + 1) * 2 * 32


def test_a_stack_of_members_is_each_of_them():
    model = make_model()
    members = [backbones.init_weights(model, ITEMS, seed) for seed in range(3)]
    stacked = {name: torch.stack([m[name] for m in members]) for name in members[0]}
    ids, layout = torch.arange(7), Layout.of([(1, 7)])
    together = backbones.forward(stacked, ids.expand(3, 7), layout, model)
    for hidden, member in zip(together, members):
        alone = backbones.forward(member, ids, layout, model)
        assert torch.allclose(hidden, alone, atol=1e-5)


def test_every_tensor_has_a_gradient():
    model = make_model()
    weights = backbones.init_weights(model, ITEMS)
    for weight in weights.values():
        weight.requires_grad_(True)
    hidden = backbones.forward(weights, torch.arange(7), Layout.of([(1, 7)]), model)
    (hidden * draw(7, 12).float()).sum().backward()
    for name in ("query", "down"):
        for part in ("", *AUXILIARY):
            assert (weights[name + part].grad.abs() > 0).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "mamba"}, "mpo_side is of sasrec, hstu, gru; not of mamba"),
        ({"shared_layers": True}, "mpo_side and shared_layers are two ways of sharing"),
        ({"d_emb": 30}, "mpo_side = 2 needs a d_emb that 4 divides, not 30; use d_emb = 32"),
        ({"mpo_side": 1}, "mpo_side = 1 is not usable; use a whole number, 2 or more"),
    ],
)
def test_bad_settings_say_what_to_use(settings, message):
    with pytest.raises(InputError, match=message):
        make_model(**settings)


def test_only_runs_with_the_setting_have_it_in_their_key(split):
    plain, shared = make_config(**SMALL), make_config(**SMALL, mpo_side=SIDE)
    assert "mpo_side" not in recorded_settings(plain)
    assert recorded_settings(shared) == recorded_settings(plain) | {"mpo_side": SIDE}
    assert run_records.run_key(plain, split) != run_records.run_key(shared, split)


def test_a_saved_model_is_read_again(split, tmp_path):
    config = make_config(**SMALL | {"epochs": 1}, mpo_side=SIDE)
    train(config, split, progress=False, model_folder=tmp_path / "model")
    read = load_model(tmp_path / "model")
    shapes = {name: tuple(weight.shape) for name, weight in read.weights.items()}
    assert shapes == backbones.weight_shapes(config, split.log.n_items)


@pytest.mark.integration
def test_a_run_is_recorded_and_can_be_repeated(split, tmp_path):
    config = make_config(**SMALL, mpo_side=SIDE)
    record = train(config, split, tmp_path, progress=False)
    assert run_records.read_record(tmp_path / f"{record['key']}.json") == record
    runs = results.load_runs(tmp_path)
    _, row = next(runs.iterrows())
    assert verification.point_of(row) == grids.grid_point(SMALL | {"mpo_side": SIDE})
    assert len(results.filter_runs(runs, {"mpo_side": None})) == 0
