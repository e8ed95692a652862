"""AdamW of a run against that of torch."""

import subprocess
import sys

import pytest
import torch

from perflaw.models import backbones
from perflaw.models.configuration import Config
from perflaw.models.training.adamw import AdamW

CONFIG = Config(n_layers=1, d_emb=8, max_seq_len=6, weight_decay=0.3, beta_2=0.95)
RATES = (0.01, 0.02, 0.005)


def init_weights():
    weights = backbones.init_weights(CONFIG, 12, 0, "cpu")
    return {name: weight.requires_grad_(True) for name, weight in weights.items()}


def set_gradients(weights, step, without):
    generator = torch.Generator().manual_seed(step)
    for name, weight in weights.items():
        gradient = torch.randn(weight.shape, generator=generator)
        weight.grad = None if name == without else gradient


def torch_steps(weights, without):
    """Take the steps by `torch.optim.AdamW`."""
    decayed = [weight for name, weight in weights.items() if backbones.is_decayed(name)]
    others = [weight for name, weight in weights.items() if not backbones.is_decayed(name)]
    groups = [
        {"params": decayed, "weight_decay": CONFIG.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, CONFIG.beta_2), fused=True)
    for step, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        set_gradients(weights, step, without)
        optimizer.step()


@pytest.mark.integration  # as torch's AdamW imports the compiler
@pytest.mark.parametrize("without", [None, "positions"])
@pytest.mark.parametrize("restored_after", [None, 1, 2])
def test_steps_are_those_of_torch(without, restored_after):
    weights, expected = init_weights(), init_weights()
    torch_steps(expected, without)
    optimizer = AdamW(CONFIG, weights)
    for step, rate in enumerate(RATES):
        if step == restored_after:
            saved = {name: moment.clone() for name, moment in optimizer.state().items()}
            optimizer = AdamW(CONFIG, weights)
            optimizer.restore(saved)
        optimizer.set_rate(rate)
        set_gradients(weights, step, without)
        optimizer.step()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert all(weight.grad is None for weight in weights.values())


@pytest.mark.integration
def test_training_does_not_import_the_compiler_of_torch():
    code = (
        "import sys\n"
        "from perflaw.logs import from_histories\n"
        "from perflaw.models.configuration import Config\n"
        "from perflaw.models.training.loop import fit_model\n"
        "log = from_histories([list('abcd'), list('bcda'), list('cdab')])\n"
        "fit_model(Config(n_layers=1, d_emb=2, epochs=1, clip=1.0), log, progress=False)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
