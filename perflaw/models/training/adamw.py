"""AdamW for the weights of one run."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from perflaw.models import backbones, layers
from perflaw.models.configuration import Config

EPSILON = 1e-8
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # the names that torch.optim.AdamW gives them


class AdamW:
    """AdamW by torch's fused kernel, with decay where it applies.

    It takes the steps of `torch.optim.AdamW`. That class imports torch's compiler when it is made,
    which takes longer than a small run trains.

    Parameters
    ----------
    config : Config
        Of the run: `weight_decay` and `beta_2`.
    weights : dict of Tensor
        They are changed in place.

    Attributes
    ----------
    moments : dict of dict of Tensor
        By weight: the number of its steps, and the running means of its gradient and of the
        gradient's square.
    """

    def __init__(self, config: Config, weights: layers.Weights) -> None:
        self.weights, self.beta_2 = weights, config.beta_2
        self.on_gpu = weights["items"].is_cuda
        decayed = [name for name in weights if backbones.is_decayed(name)]
        others = [name for name in weights if not backbones.is_decayed(name)]
        self.groups = ((decayed, config.weight_decay), (others, 0.0))
        self.names = decayed + others
        self.moments = {
            name: {
                "step": torch.zeros((), device=weights[name].device),
                "exp_avg": torch.zeros_like(weights[name], requires_grad=False),
                "exp_avg_sq": torch.zeros_like(weights[name], requires_grad=False),
            }
            for name in self.names
        }
        # A captured step on a GPU reads the rate from where it was when the step was captured.
        self.rate: float | Tensor = (
            torch.zeros((), device=weights["items"].device) if self.on_gpu else 0.0
        )

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next steps."""
        if isinstance(self.rate, Tensor):
            self.rate.fill_(rate)
        else:
            self.rate = rate

    @torch.no_grad()
    def step(self) -> None:
        """Take a step along the gradients, and forget them; a weight without one stays."""
        for names, decay in self.groups:
            gradients = {
                name: gradient
                for name in names
                if (gradient := self.weights[name].grad) is not None
            }
            if not gradients:
                continue
            steps, means, squares = ([self.moments[name][m] for name in gradients] for m in MOMENTS)
            adamw(
                [self.weights[name] for name in gradients],
                list(gradients.values()),
                means,
                squares,
                [],
                steps,
                fused=True,
                capturable=self.on_gpu,
                amsgrad=False,
                beta1=0.9,
                beta2=self.beta_2,
                lr=self.rate,
                weight_decay=decay,
                eps=EPSILON,
                maximize=False,
            )
        for weight in self.weights.values():
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """All moments, by the number of their weight and by name, as `restore` takes them."""
        return {
            f"{i}/{moment}": self.moments[name][moment]
            for i, name in enumerate(self.names)
            for moment in MOMENTS
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from such moments; a weight that has none there keeps its own."""
        for i, name in enumerate(self.names):
            for moment in MOMENTS:
                if f"{i}/{moment}" in state:
                    self.moments[name][moment].copy_(state[f"{i}/{moment}"])
