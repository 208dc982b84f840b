"""The network of Rashid's "Make your own neural network", with the update rule of its code.

Shapes: B batch, S one sample, I numbers in it, H hidden units, C classes or numbers to predict.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fulgurite.errors import ConfigError, check_choice, check_int
from fulgurite.models.layers import init_weights
from fulgurite.models.losses import HalfSquares, OnLevels
from fulgurite.models.supervised import Batch, Supervised

RULES = ("rashid", "gradient")


class Rashid(Supervised):
    """Two layers without biases, both with a sigmoid, trained to outputs of 0.01 and 0.99.

    The rule of the book's code is not the gradient of its squared error. For a sample with inputs x, hidden outputs h,
    outputs o and targets t it is, with the error e = t - o::

        W2 += lr * (e * o * (1 - o)) h^T          the gradient of 0.5 |e|^2
        W1 += lr * (W2^T e * h * (1 - h)) x^T     the gradient of another loss: o * (1 - o) is missing

    W2^T e is what binary cross entropy would send back. Both at once, by the gradient of one sum::

        0.5 |sigmoid(W2 detach(h)) - t|^2 + BCE(detach(W2) h, t)

    The missing factor keeps saturated outputs from stopping the first layer. What is reported is the first term.
    Sources: Rashid, "Make your own neural network" (2016), part 2; Rumelhart, Hinton and Williams (1986) for the
    gradient.

    Args:
        spec: sizes and task of the data; the head must be ``sigmoid``.
        hidden: number of hidden units H.
        rule: ``rashid``, the book's, or ``gradient``, the true gradient of the loss.
        init: ``fan_in``, the book's code; ``fan_out``, ``uniform``, or another name in ``layers.INITS``.
        loss: with ``rule=rashid`` it must be ``half_squares``; its levels are the targets.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        hidden: int = 200,
        rule: str = "rashid",
        init: str = "fan_in",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss or {"name": "half_squares", "levels": [0.01, 0.99]})
        self.save_hyperparameters()
        self.rule = check_choice("rule", rule, RULES)
        if self.spec.head != "sigmoid":
            raise ConfigError(
                f"model=rashid has sigmoid outputs, and head is {self.spec.head}; use head=sigmoid loss=half_squares, "
                "or all of the book's settings by experiment=rashid_200"
            )
        if rule == "rashid" and not isinstance(getattr(self.loss, "loss", self.loss), HalfSquares):
            raise ConfigError(
                "rule=rashid is a rule for half the squared error; use loss=half_squares or rule=gradient"
            )
        if rule == "rashid" and self.spec.task == "regression":
            raise ConfigError("rule=rashid needs outputs in (0, 1), and this data set's are numbers; use rule=gradient")
        self.inner = nn.Linear(self.num_inputs, check_int("hidden", hidden), bias=False)
        self.outer = nn.Linear(hidden, self.spec.num_outputs, bias=False)
        for layer in (self.inner, self.outer):
            init_weights(layer, init)

    def forward(self, x: Tensor) -> Tensor:
        """B x S to B x C."""
        return self.unscale(self.outer(self._hidden(x)))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Half the squared error of a batch, with the gradient of the rule; pure."""
        if self.rule == "gradient":
            return super().training_step(batch, batch_idx)
        x, y = batch
        hidden = self._hidden(x)
        output = torch.sigmoid(self.outer(hidden.detach()))
        self.check_shapes(output, y)
        error = self.loss(output, y)
        logits = functional.linear(hidden, self.outer.weight.detach())
        back = (
            functional.binary_cross_entropy_with_logits(logits, self._targets(y, output), reduction="none")
            .sum(1)
            .mean()
        )
        # Its gradient alone: the value stays that of the error.
        return {"loss": error + (back - back.detach()), "output": output.detach()}

    def backquery(self, outputs: Tensor, by_book: bool = False) -> Tensor:
        """Ask the network backwards: an input that belongs to the given outputs.

        The sigmoid is undone by its inverse, the logit, and the weights by their transpose, layer by layer. That is no
        true inverse, and what comes out of the weights has any size. The book stretches each layer from 0.01 to 0.99.
        That makes a paper of middle grey, which no network has seen: one of 200 units takes most of the book's images
        for an 8 or a 3. Here what speaks for all outputs, or all pixels, alike speaks for none: both are counted from
        their mean. A hidden unit that nothing speaks for stays at 0.5, and pixels below the mean are paper.

        Source: Rashid, "Make your own neural network" (2016), part 3, "Inside the mind of a neural network".

        Args:
            outputs: B x C, in (0, 1).
            by_book: stretch each layer, as the book does.

        Returns:
            B x S, from 0.01 to 0.99 each; what ``data.scaling=rashid`` makes of a picture.
        """
        logits = torch.logit(outputs)
        if by_book:
            hidden, last = _stretched(logits @ self.outer.weight), _stretched
        else:
            hidden, last = _balanced((logits - logits.mean(1, keepdim=True)) @ self.outer.weight), _inked
        return last(torch.logit(hidden) @ self.inner.weight).view(-1, *self.spec.input_shape)

    def _hidden(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.inner(x.flatten(1)))

    def _targets(self, y: Tensor, output: Tensor) -> Tensor:
        """What each of the outputs B x C should be."""
        return self.loss.targets(y, output) if isinstance(self.loss, OnLevels) else y


def _stretched(rows: Tensor) -> Tensor:
    """Each row from 0.01 to 0.99."""
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return 0.01 + 0.98 * (rows - low) / (high - low)


def _balanced(rows: Tensor) -> Tensor:
    """Each row within 0.1 to 0.9, and 0 at 0.5."""
    return 0.5 + 0.4 * rows / rows.abs().amax(1, keepdim=True)


def _inked(rows: Tensor) -> Tensor:
    """Each row from 0.01, for its mean and less, to 0.99."""
    above = (rows - rows.mean(1, keepdim=True)).clamp(min=0)
    return 0.01 + 0.98 * above / above.amax(1, keepdim=True)
