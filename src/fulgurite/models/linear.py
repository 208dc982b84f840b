"""One linear layer: softmax regression for classes, linear regression for numbers.

Shapes: B batch, S one sample, C classes or numbers to predict.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fulgurite.errors import check_bool, check_choice
from fulgurite.models.layers import INITS, init_weights
from fulgurite.models.supervised import Supervised


class Linear(Supervised):
    """y = W x + b; with cross entropy this is softmax regression, with mean squared error linear regression.

    Source: Bishop, "Pattern recognition and machine learning" (2006), sections 3.1 and 4.3.4.

    Args:
        spec: sizes and task of the data.
        bias: add b.
        init: ``zeros`` (the loss is convex: any start will do), ``default`` (PyTorch's) or a name in ``layers.INITS``.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        bias: bool = True,
        init: str = "zeros",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        layer = nn.Linear(self.num_inputs, self.spec.num_outputs, bias=check_bool("bias", bias))
        if check_choice("init", init, ("zeros", *INITS)) == "zeros":
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        else:
            init_weights(layer, init)
        self.net = nn.Sequential(nn.Flatten(), layer)

    def forward(self, x: Tensor) -> Tensor:
        """B x S to B x C."""
        return self.unscale(self.net(x))
