import numpy as np
import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.mlp import MLP

SPEC = {"task": "classification", "input_shape": [2, 3], "num_outputs": 4, "metric": "val/acc", "mode": "max"}
NUMBERS = {"task": "regression", "input_shape": [6], "num_outputs": 4, "metric": "val/loss", "mode": "min"}


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_gradients_equal_the_hand_derived_chain_rule() -> None:
    torch.manual_seed(0)
    model = MLP(spec=SPEC, hidden=[5], activation="sigmoid").double()
    x, y = torch.randn(7, 2, 3, dtype=torch.float64), torch.randint(0, 4, (7,))
    model.training_step((x, y), 0)["loss"].backward()
    w1, b1, w2, b2 = (parameter.detach().numpy() for parameter in model.parameters())

    rows = x.numpy().reshape(7, 6)
    hidden = 1 / (1 + np.exp(-(rows @ w1.T + b1)))
    scores = hidden @ w2.T + b2
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    # d loss / d scores = (softmax - one-hot) / B; then layer by layer, with s' = s (1 - s).
    d_scores = (probabilities - np.eye(4)[y.numpy()]) / 7
    d_hidden = d_scores @ w2 * hidden * (1 - hidden)
    by_hand = [d_hidden.T @ rows, d_hidden.sum(0), d_scores.T @ hidden, d_scores.sum(0)]

    for parameter, expected in zip(model.parameters(), by_hand, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


def test_regression_gradients_equal_the_hand_derived_chain_rule() -> None:
    torch.manual_seed(1)
    model = MLP(spec={**NUMBERS, "target_mean": 1.5, "target_std": 3.0}, hidden=[5, 3], activation="tanh").double()
    x, y = torch.randn(7, 6, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    model.training_step((x, y), 0)["loss"].backward()
    w1, b1, w2, b2, w3, b3 = (parameter.detach().numpy() for parameter in model.parameters())

    first = np.tanh(x.numpy() @ w1.T + b1)
    second = np.tanh(first @ w2.T + b2)
    error = (second @ w3.T + b3) * 3.0 + 1.5 - y.numpy()
    d_output = 2 * error / error.size * 3.0
    d_second = d_output @ w3 * (1 - second**2)
    d_first = d_second @ w2 * (1 - first**2)
    by_hand = [
        d_first.T @ x.numpy(),
        d_first.sum(0),
        d_second.T @ first,
        d_second.sum(0),
        d_output.T @ second,
        d_output.sum(0),
    ]

    for parameter, expected in zip(model.parameters(), by_hand, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"hidden": [256, 128]}, 6 * 256 + 256 + 256 * 128 + 128 + 128 * 4 + 4),
        ({"hidden": [5], "bias": False}, 6 * 5 + 5 * 4),
        # Batch norm: a scale and a shift for each feature.
        ({"hidden": [5], "norm": "batch"}, 6 * 5 + 5 + 2 * 5 + 5 * 4 + 4),
    ],
)
def test_the_number_of_parameters_is_that_of_the_formula(options: dict, expected: int) -> None:
    assert _count(MLP(spec=SPEC, **options)) == expected


def test_an_initialisation_zeroes_biases_and_scales_weights() -> None:
    torch.manual_seed(0)
    model = MLP(spec={**SPEC, "input_shape": [400]}, hidden=[600], init="xavier_normal")
    first = model.net[1]
    assert not first.bias.any()
    assert first.weight.std().item() == pytest.approx((2 / (400 + 600)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "rleu"}, r"activation must be one of celu, .*tanh; got 'rleu' \(did you mean relu\?\)"),
        ({"dropout": 1.5}, r"dropout must be in \[0, 1\), got 1.5"),
        ({"input_dropout": -1}, r"input_dropout must be in \[0, 1\), got -1"),
        ({"hidden": []}, r"hidden must be a list of positive integers such as \[256,128\], got \[\]"),
        ({"hidden": [8, 0]}, r"hidden must be a list of positive integers such as \[256,128\], got \[8, 0\]"),
        ({"hidden": 8}, "hidden must be a list of positive integers .* got 8"),
        ({"norm": "batsh"}, r"norm must be one of batch, layer, none; got 'batsh' \(did you mean batch\?\)"),
        ({"init": "he"}, "init must be one of default, fan_in, fan_out, kaiming_normal, .* got 'he'"),
        ({"bias": "yes"}, "bias must be true or false, got 'yes'"),
    ],
)
def test_a_bad_argument_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MLP(spec=SPEC, **options)


def test_input_dropout_zeroes_that_share_of_the_inputs_and_scales_the_others() -> None:
    torch.manual_seed(0)
    model = MLP(spec={**SPEC, "input_shape": [100, 100]}, hidden=[1], input_dropout=0.2)
    seen = model.net[:2](torch.ones(1, 100, 100))
    assert (seen == 0).double().mean().item() == pytest.approx(0.2, abs=0.02)
    assert seen.unique().tolist() == [0, 1.25]
    assert not (model.eval().net[:2](torch.ones(1, 100, 100)) != 1).any()


def test_one_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="spec.num_outputs must be >= 2 for classification, got 1"):
        MLP(spec={**SPEC, "num_outputs": 1})


def test_targets_of_another_shape_are_refused_instead_of_broadcast() -> None:
    from fulgurite.errors import DataError

    with pytest.raises(DataError, match=r"targets must have shape \[7, 4\] as the outputs have, got \[7\]"):
        MLP(spec=NUMBERS).training_step((torch.randn(7, 6), torch.randn(7)), 0)
