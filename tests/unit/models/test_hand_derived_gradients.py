"""Gradients worked out by the chain rule, with pen and paper, against autograd.

Shapes: B batch; widths of layers as they come.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fulgurite.models.linear import Linear
from fulgurite.models.mlp import MLP

POINT: dict[str, Any] = {
    "task": "regression",
    "input_shape": [1],
    "num_outputs": 1,
    "metric": "val/mae",
    "mode": "min",
}
CLASSES: dict[str, Any] = {
    "task": "classification",
    "input_shape": [5],
    "num_outputs": 4,
    "metric": "val/acc",
    "mode": "max",
}
Function = Callable[[NDArray], NDArray]


def sigmoid(z: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-z))


# Each activation with its derivative, by the formula.
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "softplus": (lambda z: np.log1p(np.exp(z)), sigmoid),
}


def dense_layers(model: nn.Module) -> list[nn.Linear]:
    return [each for each in model.modules() if isinstance(each, nn.Linear)]


def one_of_each_layer() -> MLP:
    torch.manual_seed(0)
    return MLP(spec=POINT, hidden=[1, 1], activation="sigmoid", loss={"name": "mse"}).double()


def test_the_chain_rule_through_two_hidden_units_gives_all_six_slopes_of_the_loss() -> None:
    """y^ = w3 s(w2 s(w1 x + b1) + b2) + b3, loss (y^ - y)^2: one factor more for each layer on the way back."""
    model, x, y = one_of_each_layer(), 0.8, -1.3
    (w1, b1), (w2, b2), (w3, b3) = ((each.weight.item(), each.bias.item()) for each in dense_layers(model))
    h1 = 1 / (1 + math.exp(-(w1 * x + b1)))
    h2 = 1 / (1 + math.exp(-(w2 * h1 + b2)))
    by_output = 2 * (w3 * h2 + b3 - y)
    by_second = by_output * w3 * h2 * (1 - h2)
    by_first = by_second * w2 * h1 * (1 - h1)
    expected = [by_first * x, by_first, by_second * h1, by_second, by_output * h2, by_output]
    sample = torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64)
    model.training_step(sample, 0)["loss"].backward()
    slopes = [each.grad.item() for each in model.parameters()]
    assert slopes == pytest.approx(expected, rel=1e-12)


def test_the_slope_in_the_teaching_notes_is_that_of_the_output() -> None:
    """The notes write w3 s'(H2in) s(w1 x + b1) for the loss; it lacks the loss's own factor, and is the output's."""
    model, x = one_of_each_layer(), 0.8
    first, second, third = dense_layers(model)
    h1 = 1 / (1 + math.exp(-(first.weight.item() * x + first.bias.item())))
    h2 = 1 / (1 + math.exp(-(second.weight.item() * h1 + second.bias.item())))
    model(torch.tensor([[x]], dtype=torch.float64)).backward()
    assert second.weight.grad is not None
    assert second.weight.grad.item() == pytest.approx(third.weight.item() * h2 * (1 - h2) * h1, rel=1e-12)


def backwards(
    model: nn.Module, x: NDArray, of_output: Callable[[NDArray], NDArray], name: str
) -> list[tuple[NDArray, NDArray]]:
    """Back-propagation in matrices: slopes of each layer's weights and biases, the first layer first.

    Args:
        model: dense layers with the activation ``name`` between them.
        x: B x inputs.
        of_output: outputs to the slopes of the loss by them, both B x C.
        name: of the activation.
    """
    f, slope = ACTIVATIONS[name]
    weights = [each.weight.detach().numpy() for each in dense_layers(model)]
    biases = [each.bias.detach().numpy() for each in dense_layers(model)]
    into, outs = [], [x]
    for weight, bias in zip(weights, biases, strict=True):
        into.append(outs[-1] @ weight.T + bias)
        outs.append(f(into[-1]))
    error = of_output(into[-1])
    slopes = [(error.T @ outs[-2], error.sum(axis=0))]
    for layer in range(len(weights) - 2, -1, -1):
        error = (error @ weights[layer + 1]) * slope(into[layer])
        slopes.insert(0, (error.T @ outs[layer], error.sum(axis=0)))
    return slopes


def assert_slopes(model: nn.Module, expected: list[tuple[NDArray, NDArray]]) -> None:
    for layer, (weight, bias) in zip(dense_layers(model), expected, strict=True):
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        assert np.abs(weight).max() > 1e-6
        np.testing.assert_allclose(layer.weight.grad.numpy(), weight, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(layer.bias.grad.numpy(), bias, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_back_propagation_of_cross_entropy_starts_with_probability_minus_target(name: str) -> None:
    torch.manual_seed(1)
    model = MLP(spec=CLASSES, hidden=[7, 6, 3], activation=name).double()
    x, y = torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % 4

    def of_output(z: NDArray) -> NDArray:
        shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        return (shares - np.eye(4)[y.numpy()]) / len(z)

    model.training_step((x, y), 0)["loss"].backward()
    assert_slopes(model, backwards(model, x.numpy(), of_output, name))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_back_propagation_of_squares_starts_with_twice_the_error(name: str) -> None:
    torch.manual_seed(2)
    model = MLP(spec={**POINT, "input_shape": [3]}, hidden=[8, 4], activation=name).double()
    x, y = torch.randn(9, 3, dtype=torch.float64), torch.randn(9, 1, dtype=torch.float64)
    model.training_step((x, y), 0)["loss"].backward()
    assert_slopes(model, backwards(model, x.numpy(), lambda z: 2 * (z - y.numpy()) / len(z), name))


def test_gradient_descent_takes_the_rate_times_the_slope_from_each_weight() -> None:
    """w - rate * mean(2 (w x + b - y) x), b - rate * mean(2 (w x + b - y)), step after step."""
    model = Linear(spec=POINT, loss={"name": "mse"}).double()
    torch.manual_seed(3)
    x, y = torch.randn(20, 1, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    w = b = 0.0
    for _ in range(5):
        optimizer.zero_grad()
        model.training_step((x, y), 0)["loss"].backward()
        optimizer.step()
        errors = w * x.numpy() + b - y.numpy()
        w, b = w - 0.1 * float((2 * errors * x.numpy()).mean()), b - 0.1 * float((2 * errors).mean())
    assert [each.item() for each in model.parameters()] == pytest.approx([w, b], rel=1e-12)
