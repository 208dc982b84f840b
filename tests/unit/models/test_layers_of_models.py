import math

import pytest
import torch
from torch import nn

from fulgurite.models.layers import INITS, init_weights, make_activation

X = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
FORMULAS = {
    "identity": lambda x: x,
    "heaviside": lambda x: 1.0 if x >= 0 else 0.0,
    "sign": lambda x: (x > 0) - (x < 0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "leaky_relu": lambda x: max(x, 0.01 * x),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula(name: str) -> None:
    expected = torch.tensor([float(FORMULAS[name](x)) for x in X.tolist()])
    torch.testing.assert_close(make_activation(name)(X), expected)


@pytest.mark.parametrize("name", ["heaviside", "sign"])
def test_a_step_has_a_slope_of_zero_rather_than_none(name: str) -> None:
    x = X.clone().requires_grad_()
    make_activation(name)(x).sum().backward()
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("fan_in", 400**-0.5),
        ("fan_out", 900**-0.5),
        ("uniform", 1 / math.sqrt(12)),
        ("xavier_normal", math.sqrt(2 / 1300)),
        ("xavier_uniform", math.sqrt(2 / 1300)),
        ("kaiming_normal", math.sqrt(2 / 400)),
    ],
)
def test_an_initialisation_has_its_spread(name: str, spread: float) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(400, 900)
    init_weights(layer, name)
    assert layer.weight.std().item() == pytest.approx(spread, rel=0.01)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.01 * spread)
    assert not layer.bias.any()
    if name == "uniform":
        assert 0.499 < layer.weight.abs().max() <= 0.5


@pytest.mark.parametrize(("name", "fan"), [("fan_in", 8 * 25), ("fan_out", 64 * 25)])
def test_the_fan_of_a_convolution_counts_its_kernel(name: str, fan: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 64, 5)
    init_weights(layer, name)
    assert layer.weight.std().item() == pytest.approx(fan**-0.5, rel=0.02)


def test_every_initialisation_has_a_way() -> None:
    for name in INITS:
        init_weights(nn.Linear(3, 2), name)
