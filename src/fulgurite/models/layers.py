"""Names in a config to layers: activations, normalisations and initialisations."""

from torch import nn

from fulgurite.errors import check_choice

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}
NORMS_1D: dict[str, type[nn.Module]] = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
INITS = ("default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal")


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

    ``default`` keeps PyTorch's own initialisation, biases included.

    Raises:
        ConfigError: listing the known names.
    """
    check_choice("init", name, INITS)
    if name == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            getattr(nn.init, f"{name}_")(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
