"""AdamW for the weights of one run."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from perflaw.models import backbones, layers
from perflaw.models.configuration import Config

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # as torch.optim.AdamW names them


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
        """Take a step against the gradients, and forget them; a weight without one stays."""
        for names, decay in self.groups:
            by_name = {name: self.weights[name].grad for name in names}
            gradients = {name: grad for name, grad in by_name.items() if grad is not None}
            if not gradients:
                continue
            moments = [self.moments[name] for name in gradients]
            adamw(
                [self.weights[name] for name in gradients],
                list(gradients.values()),
                [moment["exp_avg"] for moment in moments],
                [moment["exp_avg_sq"] for moment in moments],
                [],
                [moment["step"] for moment in moments],
                fused=True,
                capturable=self.on_gpu,
                amsgrad=False,
                beta1=0.9,
                beta2=self.beta_2,
                lr=self.rate,
                weight_decay=decay,
                eps=1e-8,
                maximize=False,
            )
        for weight in self.weights.values():
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return all moments, named by the number of their weight and their own name."""
        return {
            f"{i}/{moment}": self.moments[name][moment]
            for i, name in enumerate(self.names)
            for moment in MOMENTS
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Set the moments to those of `state`; a weight that has none there keeps its own."""
        for i, name in enumerate(self.names):
            for moment in MOMENTS:
                if f"{i}/{moment}" in state:
                    self.moments[name][moment].copy_(state[f"{i}/{moment}"])
