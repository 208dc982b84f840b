"""Convolutional network.

Shapes: B batch, K channels, H height, W width, C classes or numbers to predict.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, check_choice, check_fraction, check_int, check_sizes
from fulgurite.models.layers import init_weights, make_activation
from fulgurite.models.supervised import Supervised

POOLINGS = {"none": nn.Identity, "max": nn.MaxPool2d, "avg": nn.AvgPool2d}
HEADS = ("flatten", "average")


class CNN(Supervised):
    """Blocks of convolution, normalisation, activation and pooling, and a linear head.

    Args:
        spec: sizes and task of the data; samples must be images.
        channels: output channels of each block.
        kernel: side of the square kernels, in pixels; odd, padded so that a stride of 1 keeps the size.
        stride: stride of the convolutions.
        pooling: ``max``, ``avg`` or ``none``; halves height and width after a block, as long as both are 2 or more.
        norm: ``batch`` or ``none``.
        activation: name of the activation.
        head: ``flatten`` (every position has its own weight) or ``average`` (mean over positions).
        dropout: probability of zeroing an input of the head, in [0, 1).
        init: ``default`` (PyTorch's) or a name in ``layers.INITS``.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        channels: Sequence[int] = (16, 32, 64),
        kernel: int = 3,
        stride: int = 1,
        pooling: str = "max",
        norm: str = "batch",
        activation: str = "relu",
        head: str = "flatten",
        dropout: float = 0.0,
        init: str = "default",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        self.check_input(image=True)
        if check_int("kernel", kernel) % 2 == 0:
            raise ConfigError(f"kernel must be odd, got {kernel}")
        check_int("stride", stride)
        check_choice("pooling", pooling, POOLINGS)
        check_choice("norm", norm, ("none", "batch"))
        check_choice("head", head, HEADS)
        dropout = check_fraction("dropout", dropout)

        num_channels, height, width = self.spec.input_shape
        layers: list[nn.Module] = []
        for num_in, num_out in pairwise([num_channels, *check_sizes("channels", channels)]):
            # A bias before batch norm has no effect.
            conv = nn.Conv2d(num_in, num_out, kernel, stride, padding=kernel // 2, bias=norm == "none")
            layers += [conv, *([nn.BatchNorm2d(num_out)] if norm == "batch" else []), make_activation(activation)]
            height, width = ((side - 1) // stride + 1 for side in (height, width))
            if pooling != "none" and min(height, width) >= 2:
                layers.append(POOLINGS[pooling](2))
                height, width = height // 2, width // 2
        positions = height * width if head == "flatten" else 1
        layers += [nn.AdaptiveAvgPool2d(1)] if head == "average" else []
        layers += [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
        self.net = nn.Sequential(*layers, nn.Linear(num_out * positions, self.spec.num_outputs))
        init_weights(self.net, init)
        # 1.2 times faster on a CPU, and what tensor cores want on a GPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """B x K x H x W to B x C."""
        return self.unscale(self.net(x.contiguous(memory_format=torch.channels_last)))
