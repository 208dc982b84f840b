"""Names in a config to layers: activations, normalisations and initialisations."""

import torch
from torch import Tensor, nn

from fulgurite.errors import check_choice


class Heaviside(nn.Module):
    """1 from 0 on, else 0; of McCulloch and Pitts (1943). Its slope is 0: what lies before it learns nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        # By sign alone, whose gradient is 0 rather than missing.
        return (torch.sign(torch.sign(x) + 0.5) + 1) / 2


class Sign(nn.Module):
    """-1, 0 or 1, the sign of the input. Its slope is 0: what lies before it learns nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        return torch.sign(x)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "heaviside": Heaviside,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "sign": Sign,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}
NORMS_1D: dict[str, type[nn.Module]] = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
# Xavier is Glorot's first name, Kaiming He's.
_OF_TORCH = ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal")
INITS = ("default", *_OF_TORCH, "fan_in", "fan_out", "uniform")


def make_activation(name: str) -> nn.Module:
    """A new activation layer.

    Raises:
        ConfigError: listing the known names.
    """
    return ACTIVATIONS[check_choice("activation", name, ACTIVATIONS)]()


def make_norm(name: str, num_features: int) -> nn.Module:
    """A new normalisation layer over rows of ``num_features``.

    Raises:
        ConfigError: listing the known names.
    """
    check_choice("norm", name, NORMS_1D)
    return nn.Identity() if name == "none" else NORMS_1D[name](num_features)


def init_weights(module: nn.Module, name: str) -> None:
    """Initialise the weights of every linear and convolution layer in place, and zero their biases.

    ``default`` keeps PyTorch's own initialisation, biases included. ``xavier_…`` is Glorot and Bengio's (2010),
    ``kaiming_…`` He et al.'s (2015) by torch's defaults. ``fan_in`` and ``fan_out`` are normal
    with variance 1 / inputs and 1 / outputs of a unit, ``uniform`` is U(-0.5, 0.5): the three of Rashid, "Make your
    own neural network" (2016), and of what was written after it.

    Raises:
        ConfigError: listing the known names.
    """
    check_choice("init", name, INITS)
    if name == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _init_weight(layer.weight, name)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _init_weight(weight: Tensor, name: str) -> None:
    if name in _OF_TORCH:
        getattr(nn.init, f"{name}_")(weight)
    elif name == "uniform":
        nn.init.uniform_(weight, -0.5, 0.5)
    else:
        receptive = weight[0, 0].numel()
        fan = weight.shape[1 if name == "fan_in" else 0] * receptive
        nn.init.normal_(weight, std=fan**-0.5)
