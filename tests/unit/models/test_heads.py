import math

import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.heads import apply_head, to_labels, to_probabilities, to_scores
from fulgurite.models.mlp import MLP
from fulgurite.spec import DataSpec

RAW = torch.tensor([[-2.0, 0.5], [1.0, 0.0]])
NUMBERS = {"task": "regression", "input_shape": [3], "num_outputs": 2, "metric": "val/mae", "mode": "min"}


def spec_of(task: str, head: str, **options) -> DataSpec:
    return DataSpec(task, (3,), 1 if task == "binary" else 2, "val/loss", "min", head=head, **options)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("none", lambda z: z * 2 + 6),
        # Softplus and ReLU of z + mean / std, times std: of slope 1 in the unit of z * std.
        ("softplus", lambda z: 2 * math.log(1 + math.exp(z + 3))),
        ("relu", lambda z: 2 * max(z + 3, 0)),
        ("sigmoid", lambda z: 5 + 20 / (1 + math.exp(-z))),
        ("tanh", lambda z: 15 + 10 * math.tanh(z)),
    ],
)
def test_a_number_is_in_the_unit_of_its_targets(head: str, expected) -> None:
    spec = spec_of("regression", head, target_mean=6.0, target_std=2.0, target_low=5.0, target_high=25.0)
    by_hand = torch.tensor([[expected(z) for z in row] for row in RAW.tolist()])
    torch.testing.assert_close(apply_head(spec, RAW), by_hand)


def test_relu_and_softplus_give_nothing_negative() -> None:
    for head in ("relu", "softplus"):
        assert apply_head(spec_of("regression", head), torch.tensor([[-50.0, -5.0]])).min() >= 0


@pytest.mark.parametrize(
    ("head", "output", "expected"),
    [
        ("none", [[math.log(1.0), math.log(3.0)]], [[0.25, 0.75]]),
        ("softmax", [[0.2, 0.8]], [[0.2, 0.8]]),
        ("sigmoid", [[0.1, 0.3]], [[0.25, 0.75]]),
        ("tanh", [[-1.0, 0.0]], [[0.0, 1.0]]),
    ],
)
def test_probabilities_of_classes_sum_to_one_with_every_head(head: str, output, expected) -> None:
    spec = spec_of("classification", head)
    torch.testing.assert_close(to_probabilities(spec, torch.tensor(output)), torch.tensor(expected))
    torch.testing.assert_close(to_scores(spec, torch.tensor(output)).softmax(1), torch.tensor(expected))


def test_labels_are_decided_at_even_odds() -> None:
    assert to_labels(spec_of("multilabel", "none"), torch.tensor([[0.1, -0.1]])).tolist() == [[1, 0]]
    assert to_labels(spec_of("multilabel", "sigmoid"), torch.tensor([[0.6, 0.4]])).tolist() == [[1, 0]]
    chances = to_probabilities(spec_of("binary", "none"), torch.tensor([[math.log(3.0)]]))
    assert chances.item() == pytest.approx(0.75)


def test_yes_and_no_have_a_score_each() -> None:
    for head, output in (("none", math.log(3.0)), ("sigmoid", 0.75)):
        scores = to_scores(spec_of("binary", head), torch.tensor([[output]]))
        torch.testing.assert_close(scores.softmax(1), torch.tensor([[0.25, 0.75]]))


@pytest.mark.parametrize(
    ("task", "head", "message"),
    [
        ("regression", "softmax", "head=softmax is not for regression; use one of none, sigmoid, tanh, softplus, relu"),
        ("classification", "relu", "head=relu is not for classification; use one of none, softmax, sigmoid, tanh"),
        ("binary", "tanh", "head=tanh is not for binary; use one of none, sigmoid"),
        ("regression", "sigmoid", "set data.spec.target_low and data.spec.target_high, or use head=none"),
        ("regression", "sigmiod", r"spec.head must be one of .* \(did you mean sigmoid\?\)"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(task: str, head: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(task, head)


def test_a_model_trains_and_predicts_in_the_unit_of_bounded_targets() -> None:
    torch.manual_seed(0)
    spec = {**NUMBERS, "target_low": -4.0, "target_high": 12.0, "head": "tanh"}
    model = MLP(spec=spec, hidden=[32], activation="tanh")
    x = torch.randn(64, 3)
    y = 4 + 8 * torch.tanh(x[:, :2])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        model.training_step((x, y), 0)["loss"].backward()
        optimizer.step()
    predicted = model.predict_step((x, y), 0)
    assert (predicted - y).abs().mean() < 0.3
    assert predicted.min() > -4
    assert predicted.max() < 12
