"""The cost model: finite before anything is done, monotone, and at the machine's own pace after."""

import numpy as np
import pytest

from perflaw.logs import synthetic
from perflaw.models.sweeps import cost_model, runner

SETTINGS = {
    "n_layers": 2,
    "d_emb": 16,
    "max_seq_len": 20,
    "batch_size": 32,
    "loss": "softmax",
    "epochs": 20,
    "patience": 3,
}
AXES = {"n_layers": [1, 2, 4, 8], "d_emb": [4, 8, 16, 64], "epochs": [5, 10, 40]}


@pytest.fixture(scope="module")
def log():
    return synthetic.Process(n_items=60, n_interests=4).sample(80, 12).log


@pytest.fixture
def planned(log, tmp_path):
    return lambda grid=AXES, **settings: (
        runner.plan_sweep({"settings": SETTINGS | settings, "grid": grid}, log, tmp_path).frame
    )


def done(frame, scale=1.0, epochs=7):
    """As if all had run for so many epochs, at `scale` times the seconds of a server's core."""
    epochs = np.broadcast_to(epochs, len(frame))
    return frame.assign(
        done_epochs=epochs, seconds=scale * cost_model.CostModel().seconds(frame, epochs)
    )


@pytest.mark.parametrize("loss", ["bce", "softmax", "sampled_softmax"])
@pytest.mark.parametrize("backbone", ["sasrec", "llama", "hstu", "gru", "mamba"])
def test_before_anything_is_done(planned, backbone, loss):
    frame = planned(backbone=backbone, loss=loss, negatives=8)
    for done in (None, frame[:0], frame.assign(done_epochs=np.nan, seconds=np.nan)):
        seconds = cost_model.CostModel(done).seconds(frame)
        assert np.isfinite(seconds).all()
        assert (seconds > 0).all()


@pytest.mark.parametrize("name", ["n_layers", "d_emb", "epochs", "positions"])
@pytest.mark.parametrize("learnt", [False, True])
def test_more_takes_longer(planned, name, learnt):
    frame = planned()
    noise = np.exp(np.random.default_rng(0).normal(0, 0.3, len(frame)))
    model = cost_model.CostModel(done(frame, 2 * noise)) if learnt else cost_model.CostModel()
    epochs = 5 if learnt else None
    less, more = (
        model.seconds(
            frame.assign(**{name: factor * frame[name]}),
            epochs and factor ** (name == "epochs") * epochs,
        )
        for factor in (1, 2)
    )
    assert (more > less).all()


def test_the_pace_of_the_machine(planned):
    frame = planned()
    for scale in (3.0, 0.01):
        model = cost_model.CostModel(done(frame, scale))
        np.testing.assert_allclose(
            model.seconds(frame, 9), scale * cost_model.CostModel().seconds(frame, 9)
        )
    one = cost_model.CostModel(done(frame[:1], 3.0))  # the first run says it already
    np.testing.assert_allclose(one.seconds(frame, 9), 3 * cost_model.CostModel().seconds(frame, 9))


@pytest.mark.parametrize(("kind", "off"), [("products", 3), ("attention", 1.3), ("calls", 1.2)])
def test_what_is_slow_on_a_machine_is_learnt_from_small_runs(planned, kind, off):
    """One kind of work takes five times as long as on a server's core; large runs show it."""
    frame, large = planned(), planned({"n_layers": [16, 32], "d_emb": [32, 64]})
    paces = 1e-9 * np.array(
        [pace * (5 if name == kind else 1) for name, pace in cost_model.PACES.items()]
    )

    def takes(runs):
        return cost_model.work_units(runs, np.full(len(runs), 7.0)).to_numpy() @ paces

    model = cost_model.CostModel(frame.assign(done_epochs=7.0, seconds=takes(frame)))
    np.testing.assert_allclose(model.seconds(large, 7.0), takes(large), rtol=0.1)
    assert (off * cost_model.CostModel().seconds(large, 7.0) < takes(large)).all()


def test_runs_that_came_to_nothing_are_left_out(planned):
    frame = done(planned()).astype({"done_epochs": float})
    odd = frame.copy()
    odd.loc[:1, "done_epochs"], odd.loc[1, "seconds"] = np.nan, np.nan
    odd.loc[2, "attention_length"] = np.nan  # a record of long ago, which does not say it
    odd.loc[[0, 2], "seconds"] = 1e6
    np.testing.assert_allclose(
        cost_model.CostModel(odd).seconds(frame, 9),
        cost_model.CostModel(frame[3:]).seconds(frame, 9),
    )


def test_epochs_are_learnt_and_never_above_the_limit(planned):
    frame = planned({"n_layers": [1, 2, 4, 8], "d_emb": [4, 8, 16, 64]})
    early = cost_model.CostModel(
        done(frame, epochs=8 / frame["n_layers"])
    )  # bigger ones stop earlier
    np.testing.assert_allclose(early.epochs(frame), 8 / frame["n_layers"], rtol=0.3)
    late = cost_model.CostModel(done(frame, epochs=np.minimum(20, 3 * frame["n_layers"])))
    far = planned({"n_layers": [1, 128], "d_emb": [2, 4096], "learning_rate": [1e-9, 1.0]})
    for model in (cost_model.CostModel(), early, late):
        assert (model.epochs(far) > 0).all()
        assert (model.epochs(far) <= 20).all()
        assert (model.epochs(far.assign(patience=None)) == 20).all()


def test_what_is_held_out_is_predicted_from_the_others(planned):
    frame = done(planned({"n_layers": [1, 2, 4, 8], "d_emb": [4, 8, 16, 64]}), 3.0)
    found = cost_model.heldout_costs(frame)
    np.testing.assert_allclose(
        found[["predicted", "predicted, epochs known"]], np.column_stack([frame["seconds"]] * 2)
    )
    np.testing.assert_allclose(found["epochs predicted"], 7)
    frame.loc[5, ["seconds", "done_epochs"]] = 1e6, 20
    odd = cost_model.heldout_costs(frame).loc[5]
    assert odd["seconds"] == 1e6
    assert odd["predicted"] < 1e3
    assert odd["epochs predicted"] < 8
