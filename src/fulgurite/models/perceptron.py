"""Perceptron: threshold units with the learning rule of their own.

Shapes: B batch, S one sample, C classes, U units.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, check_bool, check_choice
from fulgurite.models.layers import INITS, init_weights
from fulgurite.models.supervised import Batch, Supervised

ACTIVATIONS = ("heaviside", "sign")


class Perceptron(Supervised):
    """Threshold units y = step(W x + b), taught by w <- w + lr (t - y) x: one for two classes, else one for each.

    The rule is the gradient: the loss (y - t) . (W x + b), with y held fixed, has (y - t) x for its gradient; its value
    is how far beyond its boundary a sample is on the wrong side, and 0 on the right one. Plain gradient descent
    (``optimizer=sgd``, no momentum, ``scheduler=constant``, ``data.batch_size=1``) is therefore the rule itself. If a
    line separates two classes by a margin g, and R is the length of the longest sample (with its 1 for the bias), the
    rule makes at most (R / g)^2 corrections from zero weights; where none does, it never comes to rest. Hebb, "The
    organization of behavior" (1949), strengthens what is active together; this rule does so only where the answer
    is wrong.

    Sources: Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the brain"
    (1958; report of 1957); convergence: Novikoff, "On convergence proofs on perceptrons" (1962).

    Args:
        spec: sizes and task of the data.
        activation: ``heaviside`` (1 from 0 on, else 0; targets 0 and 1) or ``sign`` (-1, 0, 1; targets -1 and 1, so
            that a correction is twice as large).
        bias: add b.
        init: ``zeros``, ``default`` (PyTorch's) or a name in ``layers.INITS``.
        loss: ``auto``; the rule has a loss of its own.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        activation: str = "heaviside",
        bias: bool = True,
        init: str = "zeros",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        if self.spec.task != "classification":
            raise ConfigError(
                f"model=perceptron is for classes, and this data set's task is {self.spec.task}; use model=linear"
            )
        if loss is not None and loss.get("name") != "auto":
            raise ConfigError(f"model=perceptron has a rule of its own, and loss={loss.get('name')}; use loss=auto")
        self.activation = check_choice("activation", activation, ACTIVATIONS)
        self.num_units = 1 if self.spec.num_outputs == 2 else self.spec.num_outputs
        layer = nn.Linear(self.num_inputs, self.num_units, bias=check_bool("bias", bias))
        if check_choice("init", init, ("zeros", *INITS)) == "zeros":
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        else:
            init_weights(layer, init)
        self.net = nn.Sequential(nn.Flatten(), layer)

    def forward(self, x: Tensor) -> Tensor:
        """B x S to scores B x C, the largest at the class: W x + b, or (0, w x + b) of one unit."""
        return self._scores(self.net(x))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The loss whose gradient is the rule; pure (see ``supervised.py``)."""
        x, y = batch
        potential = self.net(x)
        surplus = (self._fire(potential) - self._targets(y, potential)).detach()
        loss = (surplus * potential).sum(dim=1).mean()
        return {"loss": loss, "output": self._scores(potential).detach()}

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """1 for the class and 0 for the others (B x C): a threshold unit knows no probabilities."""
        scores = self(batch[0])
        return nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).to(scores.dtype)

    def _fire(self, potential: Tensor) -> Tensor:
        """What the units say (B x U)."""
        return potential.sign() if self.activation == "sign" else (potential >= 0).to(potential.dtype)

    def _targets(self, y: Tensor, like: Tensor) -> Tensor:
        """Classes (B) to what the units ought to say (B x U)."""
        classes = torch.arange(self.spec.num_outputs, device=y.device)[-self.num_units :]
        targets = (y.unsqueeze(1) == classes).to(like.dtype)
        return 2 * targets - 1 if self.activation == "sign" else targets

    def _scores(self, potential: Tensor) -> Tensor:
        """B x U to B x C."""
        if self.num_units > 1:
            return potential
        if self.activation == "heaviside":
            # It fires at 0 too, where the larger of (0, 0) would be class 0.
            potential = potential.where(potential != 0, torch.finfo(potential.dtype).tiny)
        return torch.cat([torch.zeros_like(potential), potential], dim=1)
