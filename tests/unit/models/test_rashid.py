"""The rule of Rashid's code, held against the formulas in NumPy as it has them."""

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.rashid import Rashid

SPEC: dict[str, Any] = {
    "task": "classification",
    "input_shape": [1, 2, 3],
    "num_outputs": 4,
    "metric": "val/acc",
    "mode": "max",
    "head": "sigmoid",
}
LOSS = {"name": "half_squares", "levels": [0.01, 0.99]}


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def updated(
    wih: np.ndarray, who: np.ndarray, x: np.ndarray, labels: np.ndarray, rate: float, by_book: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One update by the mean over a batch: x is B x I; the formulas are those of one sample, as columns."""
    change_ih, change_ho = np.zeros_like(wih), np.zeros_like(who)
    for row, label in zip(x, labels, strict=True):
        inputs = row[:, None]
        targets = np.full((who.shape[0], 1), 0.01)
        targets[label] = 0.99
        hidden_outputs = sigmoid(wih @ inputs)
        final_outputs = sigmoid(who @ hidden_outputs)
        output_errors = targets - final_outputs
        through = output_errors if by_book else output_errors * final_outputs * (1 - final_outputs)
        hidden_errors = who.T @ through
        change_ho += (output_errors * final_outputs * (1 - final_outputs)) @ hidden_outputs.T
        change_ih += (hidden_errors * hidden_outputs * (1 - hidden_outputs)) @ inputs.T
    return wih + rate * change_ih / len(x), who + rate * change_ho / len(x)


@pytest.mark.parametrize("rule", ["rashid", "gradient"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_ten_updates_equal_the_formulas_in_numpy(rule: str, batch_size: int) -> None:
    torch.manual_seed(0)
    model = Rashid(spec=SPEC, hidden=5, rule=rule, loss=LOSS).double()
    # Small random weights change little; errors would hide.
    wih, who = (each.detach().numpy().copy() * 3 for each in model.parameters())
    for parameter, start in zip(model.parameters(), (wih, who), strict=True):
        parameter.data.copy_(torch.from_numpy(start))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.7)
    first = wih.copy()
    for _ in range(10):
        x, y = torch.rand(batch_size, 1, 2, 3, dtype=torch.float64), torch.randint(0, 4, (batch_size,))
        optimizer.zero_grad()
        model.training_step((x, y), 0)["loss"].backward()
        optimizer.step()
        wih, who = updated(wih, who, x.numpy().reshape(batch_size, 6), y.numpy(), 0.7, by_book=rule == "rashid")
    np.testing.assert_allclose(model.inner.weight.detach().numpy(), wih, rtol=1e-10)
    np.testing.assert_allclose(model.outer.weight.detach().numpy(), who, rtol=1e-10)
    assert np.abs(wih - first).max() > 0.05


def test_the_two_rules_differ_in_the_first_layer_alone() -> None:
    gradients = {}
    for rule in ("rashid", "gradient"):
        torch.manual_seed(1)
        model = Rashid(spec=SPEC, hidden=5, rule=rule, loss=LOSS)
        x, y = torch.rand(3, 1, 2, 3), torch.tensor([0, 1, 2])
        model.training_step((x, y), 0)["loss"].backward()
        gradients[rule] = model.inner.weight.grad, model.outer.weight.grad
    torch.testing.assert_close(gradients["rashid"][1], gradients["gradient"][1])
    assert not torch.allclose(gradients["rashid"][0], gradients["gradient"][0], rtol=0.5)


def test_the_reported_loss_is_half_the_squared_error_by_either_rule() -> None:
    torch.manual_seed(2)
    x, y = torch.rand(2, 1, 2, 3), torch.tensor([3, 0])
    model = Rashid(spec=SPEC, hidden=5, loss=LOSS)
    targets = torch.full((2, 4), 0.01)
    targets[0, 3] = targets[1, 0] = 0.99
    expected = 0.5 * (model(x) - targets).square().sum() / 2
    torch.testing.assert_close(model.training_step((x, y), 0)["loss"], expected)


def test_labels_of_their_own_are_their_targets() -> None:
    torch.manual_seed(3)
    model = Rashid(spec={**SPEC, "task": "multilabel"}, hidden=5, loss={"name": "half_squares"})
    x, y = torch.rand(2, 1, 2, 3), torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 1]])
    step = model.training_step((x, y), 0)
    torch.testing.assert_close(step["loss"], 0.5 * (model(x) - y).square().sum() / 2)


def test_a_checkpoint_of_plain_values_rebuilds_it(tmp_path) -> None:
    model = Rashid(spec={**SPEC, "names": ["a", "b", "c", "d"]}, hidden=5, loss=LOSS)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    again = Rashid.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    x = torch.rand(3, 1, 2, 3)
    assert torch.equal(model(x), again(x))
    assert again.spec.output_names == ("a", "b", "c", "d")
    torch.testing.assert_close(again.predict_step((x, None), 0).sum(1), torch.ones(3))


def test_it_has_no_biases() -> None:
    model = Rashid(spec={**SPEC, "input_shape": [1, 28, 28], "num_outputs": 10}, hidden=200)
    assert sum(each.numel() for each in model.parameters()) == 784 * 200 + 200 * 10


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"head": "none"}, {}, "model=rashid has sigmoid outputs, and head is none; use head=sigmoid"),
        ({}, {"loss": {"name": "mse"}}, "rule=rashid is a rule for half the squared error; use loss=half_squares or"),
        ({}, {"rule": "exact"}, "rule must be one of gradient, rashid; got 'exact'"),
        ({}, {"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        (
            {"task": "regression", "target_low": 0, "target_high": 1},
            {"loss": {"name": "half_squares"}},
            "rule=rashid needs outputs in .* use rule=gradient",
        ),
    ],
)
def test_what_it_cannot_be_is_refused(changed: dict, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rashid(spec={**SPEC, **changed}, **{"loss": LOSS, **options})
