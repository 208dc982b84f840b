"""Multi-layer perceptron.

Shapes: B batch, S one sample, C classes or numbers to predict.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from fulgurite.errors import check_bool, check_fraction, check_sizes
from fulgurite.models.layers import init_weights, make_activation, make_norm
from fulgurite.models.supervised import Supervised


class MLP(Supervised):
    """Fully connected layers, each with normalisation, activation and dropout, and a linear head.

    Sources: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986); dropout:
    Srivastava et al. (2014), also of inputs; layer normalisation: Ba, Kiros and Hinton (2016).

    Args:
        spec: sizes and task of the data.
        hidden: width of each hidden layer.
        activation: name of the activation, such as ``relu`` (see ``layers.ACTIVATIONS``).
        dropout: probability of zeroing a hidden activation, in [0, 1).
        input_dropout: probability of zeroing an input, in [0, 1).
        norm: ``none``, ``batch`` or ``layer``, before the activation.
        init: ``default`` (PyTorch's) or a name in ``layers.INITS``.
        bias: give every layer a bias.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        hidden: Sequence[int] = (256, 128),
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        norm: str = "none",
        init: str = "default",
        bias: bool = True,
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        dropout, input_dropout = check_fraction("dropout", dropout), check_fraction("input_dropout", input_dropout)
        check_bool("bias", bias)
        widths = [self.num_inputs, *check_sizes("hidden", hidden)]
        layers: list[nn.Module] = [nn.Flatten(), *([nn.Dropout(input_dropout)] if input_dropout else [])]
        for num_in, num_out in pairwise(widths):
            layers += [nn.Linear(num_in, num_out, bias=bias), make_norm(norm, num_out), make_activation(activation)]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.net = nn.Sequential(*layers, nn.Linear(widths[-1], self.spec.num_outputs, bias=bias))
        init_weights(self.net, init)

    def forward(self, x: Tensor) -> Tensor:
        """B x S to B x C."""
        return self.unscale(self.net(x))
