"""LeNet-5.

Shapes: B batch, K channels, H height, W width, C classes or numbers to predict.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, check_choice, check_fraction
from fulgurite.models.layers import init_weights, make_activation
from fulgurite.models.supervised import Supervised

POOLINGS: dict[str, type[nn.Module]] = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
_SIDE = 32


class LeNet5(Supervised):
    """LeNet-5 as it is commonly given: 61,706 parameters for grey 28 x 28 images and 10 classes.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998),
    figure 2. Common simplifications: every map of C3 sees all of S2's, pooling has no weights, the output layer is
    linear with cross entropy instead of radial basis functions.

    Args:
        spec: sizes and task of the data; samples must be images of 32 x 32, or 28 x 28, which are padded to that.
        activation: name of the activation; ``tanh`` is the paper's.
        pooling: ``avg``, the paper's, or ``max``.
        dropout: probability of zeroing an input of the two dense layers, in [0, 1).
        init: ``default`` (PyTorch's) or a name in ``layers.INITS``.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        activation: str = "tanh",
        pooling: str = "avg",
        dropout: float = 0.0,
        init: str = "default",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        self.check_input(image=True)
        num_channels, height, width = self.spec.input_shape
        if (height, width) not in ((28, 28), (_SIDE, _SIDE)):
            raise ConfigError(
                f"model=lenet5 reads images of 28 x 28 or 32 x 32, and this data set's are {height} x {width}; "
                "use model=cnn, which takes any size"
            )
        pool = POOLINGS[check_choice("pooling", pooling, POOLINGS)]
        dropout = check_fraction("dropout", dropout)
        self.net = nn.Sequential(
            # C1, S2: 6 x 28 x 28, 6 x 14 x 14
            nn.Conv2d(num_channels, 6, 5, padding=(_SIDE - height) // 2),
            make_activation(activation),
            pool(2),
            # C3, S4: 16 x 10 x 10, 16 x 5 x 5
            nn.Conv2d(6, 16, 5),
            make_activation(activation),
            pool(2),
            # C5, F6: 120, 84
            nn.Conv2d(16, 120, 5),
            make_activation(activation),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(120, 84),
            make_activation(activation),
            nn.Dropout(dropout),
            nn.Linear(84, self.spec.num_outputs),
        )
        init_weights(self.net, init)
        # 1.2 times faster on a CPU, and what tensor cores want on a GPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """B x K x H x W to B x C."""
        return self.unscale(self.net(x.contiguous(memory_format=torch.channels_last)))
