import math

import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.losses import make_loss

PREDICTED = torch.tensor([[0.0], [3.0]])
TRUE = torch.tensor([[0.5], [0.0]])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"name": "auto"}, (0.25 + 9.0) / 2),
        ({"name": "mse"}, (0.25 + 9.0) / 2),
        ({"name": "l1"}, (0.5 + 3.0) / 2),
        # Half the square below delta, delta (|e| - delta / 2) above.
        ({"name": "huber", "delta": 2.0}, (0.125 + 2.0 * (3.0 - 1.0)) / 2),
        ({"name": "smooth_l1", "beta": 2.0}, (0.125 / 2.0 + (3.0 - 1.0)) / 2),
    ],
)
def test_a_regression_loss_is_its_formula(loss: dict, expected: float) -> None:
    assert make_loss("regression", loss)(PREDICTED, TRUE).item() == pytest.approx(expected)


def test_label_smoothing_spreads_the_target_over_the_classes() -> None:
    scores = torch.tensor([[1.0, 0.0]])
    loss = make_loss("classification", {"name": "cross_entropy", "label_smoothing": 0.2})
    normaliser = math.log(math.e + 1)
    expected = -(0.9 * (1 - normaliser) + 0.1 * (0 - normaliser))
    assert loss(scores, torch.tensor([0])).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "loss", "message"),
    [
        (
            "regression",
            {"name": "cross_entropy"},
            "loss=cross_entropy is not for regression; use one of mse, l1, huber",
        ),
        (
            "classification",
            {"name": "mse"},
            "loss=mse is not for classification; use one of cross_entropy, or loss=auto",
        ),
        ("regression", {"name": "mae"}, "loss.name must be one of .* got 'mae'"),
        ("classification", {"name": "auto", "label_smoothing": 1.5}, "loss.label_smoothing .*>= 0 and <= 1, got 1.5"),
        ("regression", {"name": "huber", "delta": 0}, "loss.delta must be a number > 0, got 0"),
        (
            "regression",
            {"name": "huber", "detla": 1.0},
            r"loss.detla is not .* huber \(did you mean delta\?\); it takes",
        ),
        ("regression", {"name": "mse", "delta": 1.0}, "loss.delta is not an argument of mse; it takes none"),
    ],
)
def test_a_bad_loss_is_refused(task: str, loss: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_loss(task, loss)
