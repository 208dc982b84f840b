import math

import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.losses import make_loss
from fulgurite.spec import DataSpec

PREDICTED = torch.tensor([[0.0], [3.0]])
TRUE = torch.tensor([[0.5], [0.0]])


def spec_of(task: str, head: str = "none") -> DataSpec:
    number = {"classification": 3, "binary": 1, "multilabel": 2, "regression": 1}[task]
    return DataSpec(task, (4,), number, "val/loss", "min", target_low=0.0, target_high=1.0, head=head)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"name": "auto"}, (0.25 + 9.0) / 2),
        ({"name": "mse"}, (0.25 + 9.0) / 2),
        ({"name": "l1"}, (0.5 + 3.0) / 2),
        ({"name": "half_squares"}, (0.25 + 9.0) / 2 / 2),
        # Half the square below delta, delta (|e| - delta / 2) above.
        ({"name": "huber", "delta": 2.0}, (0.125 + 2.0 * (3.0 - 1.0)) / 2),
        ({"name": "smooth_l1", "beta": 2.0}, (0.125 / 2.0 + (3.0 - 1.0)) / 2),
    ],
)
def test_a_regression_loss_is_its_formula(loss: dict, expected: float) -> None:
    assert make_loss(spec_of("regression"), loss)(PREDICTED, TRUE).item() == pytest.approx(expected)


def test_label_smoothing_spreads_the_target_over_the_classes() -> None:
    scores = torch.tensor([[1.0, 0.0]])
    loss = make_loss(spec_of("classification"), {"name": "cross_entropy", "label_smoothing": 0.2})
    normaliser = math.log(math.e + 1)
    expected = -(0.9 * (1 - normaliser) + 0.1 * (0 - normaliser))
    assert loss(scores, torch.tensor([0])).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "loss", "message"),
    [
        (
            "regression",
            {"name": "cross_entropy"},
            "loss=cross_entropy is not for regression; use one of mse, half_squares, l1, huber",
        ),
        (
            "classification",
            {"name": "bce"},
            "loss=bce is not for classification; use one of cross_entropy, mse, .* or loss=auto",
        ),
        ("regression", {"name": "mae"}, "loss.name must be one of .* got 'mae'"),
        ("classification", {"name": "auto", "label_smoothing": 1.5}, "loss.label_smoothing .*>= 0 and <= 1, got 1.5"),
        ("regression", {"name": "huber", "delta": 0}, "loss.delta must be a number > 0, got 0"),
        (
            "regression",
            {"name": "huber", "detla": 1.0},
            r"loss.detla is not .* huber \(did you mean delta\?\); it takes",
        ),
        ("regression", {"name": "mse", "levels": [0, 1]}, "loss.levels is for classes, and .* task is regression"),
        ("classification", {"name": "mse", "levels": [1, 0]}, r"two numbers, low < high, such as .* got \[1, 0\]"),
        ("binary", {"name": "mse"}, "loss=mse compares outputs with 0 and 1; use head=sigmoid with it, or loss=bce"),
        ("regression", {"name": "mse", "delta": 1.0}, "loss.delta is not an argument of mse; it takes none"),
    ],
)
def test_a_bad_loss_is_refused(task: str, loss: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_loss(spec_of(task), loss)


@pytest.mark.parametrize("loss", ["mse", "half_squares", "l1"])
def test_a_loss_of_numbers_holds_classes_against_their_levels(loss: str) -> None:
    output = torch.tensor([[0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    made = make_loss(spec_of("classification"), {"name": loss, "levels": [0.0, 1.0]})
    # Targets (0, 0, 1) and (1, 0, 0) less the outputs: (0, -1, 0.5) and (1, 0, -1).
    exact = {"mse": 3.25 / 6, "half_squares": 3.25 / 4, "l1": 3.5 / 6}[loss]
    assert made(output, torch.tensor([2, 0])).item() == pytest.approx(exact)
    shifted = make_loss(spec_of("classification"), {"name": loss, "levels": [0.01, 0.99]})
    errors = torch.tensor([0.01, -0.99, 0.49, 0.99, 0.01, -0.99])
    by_hand = {
        "mse": errors.square().sum() / 6,
        "half_squares": errors.square().sum() / 4,
        "l1": errors.abs().sum() / 6,
    }
    assert shifted(output, torch.tensor([2, 0])).item() == pytest.approx(by_hand[loss].item())


def test_binary_cross_entropy_is_its_formula() -> None:
    logits, targets = torch.tensor([[0.0], [2.0], [-1.0]]), torch.tensor([[1.0], [1.0], [0.0]])
    chances = [1 / (1 + math.exp(-each)) for each in (0.0, 2.0, 1.0)]
    expected = -sum(map(math.log, chances)) / 3
    assert make_loss(spec_of("binary"), {"name": "auto"})(logits, targets).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "head", "loss"),
    [
        ("classification", "softmax", "cross_entropy"),
        ("classification", "softmax", "auto"),
        ("classification", "sigmoid", "cross_entropy"),
        ("multilabel", "sigmoid", "bce"),
    ],
)
def test_probabilities_are_refused_where_a_loss_takes_logits(task: str, head: str, loss: str) -> None:
    with pytest.raises(ConfigError, match=f"head={head} cannot meet loss=.*; use head=none"):
        make_loss(spec_of(task, head), {"name": loss})


def test_bounded_outputs_of_classes_are_compared_by_squares_by_default() -> None:
    made = make_loss(spec_of("classification", "sigmoid"), {"name": "auto"})
    assert made(torch.tensor([[0.5, 0.0, 1.0]]), torch.tensor([2])).item() == pytest.approx(0.25 / 3)
