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


def backwards_in_numpy(wih: np.ndarray, who: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The book's formulas for one row of targets, as columns."""
    final_inputs = np.log(targets / (1 - targets))
    hidden_outputs = who.T @ final_inputs
    hidden_outputs -= hidden_outputs.min()
    hidden_outputs /= hidden_outputs.max()
    hidden_outputs = hidden_outputs * 0.98 + 0.01
    inputs = wih.T @ np.log(hidden_outputs / (1 - hidden_outputs))
    inputs -= inputs.min()
    inputs /= inputs.max()
    return inputs * 0.98 + 0.01


def test_the_backward_query_by_the_book_equals_its_formulas_in_numpy() -> None:
    torch.manual_seed(4)
    model = Rashid(spec=SPEC, hidden=5, loss=LOSS).double()
    targets = torch.full((4, 4), 0.01, dtype=torch.float64).fill_diagonal_(0.99)
    wih, who = (each.detach().numpy() for each in model.parameters())
    expected = [backwards_in_numpy(wih, who, row).reshape(1, 2, 3) for row in targets.numpy()]
    np.testing.assert_allclose(model.backquery(targets, by_book=True).detach().numpy(), expected, rtol=1e-10)


def test_the_backward_query_of_a_network_of_one_path_leaves_paper_where_nothing_speaks_for_ink() -> None:
    model = Rashid(spec={**SPEC, "num_outputs": 2}, hidden=2, loss=LOSS)
    # Output 0 hangs on hidden unit 0, that on pixel 1, and against pixel 2 as much. Pixel 5 is another unit's.
    wih = torch.zeros(2, 6)
    wih[0, 1], wih[0, 2], wih[1, 5] = 1.0, -1.0, 1.0
    for parameter, value in zip(model.parameters(), (wih, torch.tensor([[2.0, 0.0], [0.0, 0.0]])), strict=True):
        parameter.data.copy_(value)
    images = model.backquery(torch.tensor([[0.99, 0.01], [0.01, 0.99]])).view(2, 6)
    paper = torch.full((6,), 0.01)
    assert torch.allclose(images[0], paper.index_fill(0, torch.tensor([1]), 0.99))
    assert torch.allclose(images[1], paper.index_fill(0, torch.tensor([2]), 0.99))


def test_what_speaks_for_all_pixels_alike_makes_no_ink() -> None:
    torch.manual_seed(6)
    model = Rashid(spec=SPEC, hidden=5, loss=LOSS)
    targets = torch.full((4, 4), 0.01).fill_diagonal_(0.99)
    before = model.backquery(targets)
    model.inner.weight.data += torch.randn(5, 1)
    assert torch.allclose(model.backquery(targets), before, atol=1e-5)


def test_what_speaks_for_all_outputs_alike_changes_no_backward_query() -> None:
    torch.manual_seed(5)
    model = Rashid(spec=SPEC, hidden=5, loss=LOSS)
    targets = torch.full((4, 4), 0.01).fill_diagonal_(0.99)
    before = model.backquery(targets)
    model.outer.weight.data += torch.randn(5)
    assert torch.allclose(model.backquery(targets), before, atol=1e-5)
    assert not torch.allclose(model.backquery(targets, by_book=True), before, atol=0.1)


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
