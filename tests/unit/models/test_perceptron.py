"""The perceptron: its rule against the formula in plain numbers, and the convergence theorem on real data."""

import numpy as np
import pytest
import torch

from fulgurite.data.iris import Iris
from fulgurite.data.logic import TABLES, Logic
from fulgurite.errors import ConfigError
from fulgurite.models.perceptron import Perceptron

SPEC = {"task": "classification", "input_shape": [2], "num_outputs": 2, "metric": "val/acc", "mode": "max"}
THREE = {**SPEC, "num_outputs": 3}


def corrected(model: Perceptron, x: torch.Tensor, y: torch.Tensor, lr: float = 1.0) -> None:
    """One step of plain gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    optimizer.zero_grad()
    model.training_step((x, y), 0)["loss"].backward()
    optimizer.step()


@pytest.mark.parametrize("activation", ["heaviside", "sign"])
@pytest.mark.parametrize("spec", [SPEC, THREE], ids=["one unit", "three units"])
def test_gradient_descent_on_single_samples_is_the_rule_of_the_perceptron(activation, spec):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 2, generator=generator), torch.randint(spec["num_outputs"], (200,), generator=generator)
    model = Perceptron(spec, activation=activation)
    units = 1 if spec is SPEC else 3
    low, step = (-1.0, np.sign) if activation == "sign" else (0.0, lambda z: np.where(z >= 0, 1.0, 0.0))
    w, b = np.zeros((units, 2)), np.zeros(units)
    for sample, label in zip(x, y, strict=True):
        corrected(model, sample.unsqueeze(0), label.unsqueeze(0), lr=0.5)
        row = sample.double().numpy()
        t = np.where(np.arange(units) == int(label) - (units == 1), 1.0, low)
        error = t - step(w @ row + b)
        w, b = w + 0.5 * np.outer(error, row), b + 0.5 * error
    assert np.abs(w).max() > 0.5
    np.testing.assert_allclose(model.net[1].weight.detach().numpy(), w, atol=1e-4)
    np.testing.assert_allclose(model.net[1].bias.detach().numpy(), b, atol=1e-4)


def test_a_unit_fires_at_zero_with_heaviside_and_not_with_sign():
    x = torch.zeros(1, 2)
    assert Perceptron(SPEC)(x).argmax(1).item() == 1
    assert Perceptron(SPEC, activation="sign")(x).argmax(1).item() == 0


def test_the_loss_is_the_distance_on_the_wrong_side():
    model = Perceptron(SPEC)
    with torch.no_grad():
        model.net[1].weight.copy_(torch.tensor([[2.0, -1.0]]))
        model.net[1].bias.fill_(0.5)
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    # w x + b is 2.5, 2.5 and -2.5: of the classes 0, 1 and 0 the first alone is wrong.
    assert model.training_step((x, torch.tensor([0, 1, 0])), 0)["loss"].item() == pytest.approx(2.5 / 3)


def trained(data, passes: int) -> tuple[Perceptron, list[int]]:
    """From zero weights, sample by sample; the corrections in each pass."""
    model = Perceptron({**SPEC, "input_shape": list(data.spec.input_shape)})
    corrections = []
    data.setup("fit")
    x, y = data.part("train")
    x = data.encode(x)
    for _ in range(passes):
        before = 0
        for number in range(len(x)):
            weights = [each.detach().clone() for each in model.parameters()]
            corrected(model, x[number : number + 1], y[number : number + 1])
            before += any(not torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
        corrections.append(before)
    return model, corrections


@pytest.mark.parametrize("gate", ["and", "or", "not"])
def test_a_gate_that_a_line_separates_is_learned_in_a_few_corrections(gate):
    data = Logic(gate=gate, spec={**SPEC, "input_shape": [1 if gate == "not" else 2]})
    model, corrections = trained(data, 15)
    assert corrections[-1] == 0
    assert sum(corrections) <= 20
    assert model(data.part("train").x).argmax(1).tolist() == list(TABLES[gate])


def test_xor_is_never_learned():
    data = Logic(gate="xor", spec=SPEC)
    model, corrections = trained(data, 60)
    assert min(corrections[5:]) >= 1
    assert (model(data.part("train").x).argmax(1) == data.part("train").y).sum() <= 3


def test_the_corrections_on_iris_are_within_the_bound_of_the_convergence_theorem():
    data = Iris(
        spec=SPEC, features=["petal_length", "petal_width"], classes=["versicolor+virginica", "setosa"], batch_size=1
    )
    _, corrections = trained(data, 6)
    x, y = data.part("train")
    points = torch.cat([data.encode(x), torch.ones(len(x), 1)], dim=1).double()
    sign = 2.0 * y - 1
    # Any separating line gives a bound; that between the classes' means does.
    w = points[y == 1].mean(0) - points[y == 0].mean(0)
    w[2] = -(points[y == 1] @ w).min() / 2 - (points[y == 0] @ w).max() / 2
    margin = float((sign * (points @ w)).min() / w.norm())
    assert margin > 0
    assert corrections[-1] == 0
    assert 1 <= sum(corrections) <= float(points.norm(dim=1).max() / margin) ** 2


def test_a_prediction_is_a_class_without_doubt():
    model = Perceptron(THREE, init="default")
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    said = model.predict_step((x, None), 0)
    assert said.unique().tolist() == [0, 1]
    assert torch.equal(said.argmax(1), model(x).argmax(1))


@pytest.mark.parametrize(("num_outputs", "expected"), [(2, 3), (3, 9)])
def test_two_classes_take_one_unit_and_more_take_one_each(num_outputs, expected):
    model = Perceptron({**SPEC, "num_outputs": num_outputs})
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert model(torch.ones(5, 2)).shape == (5, num_outputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, r"^activation must be one of heaviside, sign; got 'relu'"),
        (
            {"loss": {"name": "cross_entropy"}},
            r"perceptron has a rule of its own, and loss=cross_entropy; use loss=auto",
        ),
        ({"init": "zero"}, r"init must be one of .*; got 'zero' \(did you mean zeros\?\)"),
        ({"spec": {**SPEC, "task": "regression", "num_outputs": 1}}, r"is for classes, .*task is regression"),
    ],
)
def test_what_a_perceptron_cannot_be_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Perceptron(**({"spec": SPEC} | options))
