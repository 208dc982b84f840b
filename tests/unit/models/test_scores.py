import pytest
import torch

from fulgurite.models import scores
from fulgurite.models.scores import Scores
from fulgurite.spec import DataSpec

CLASSES = DataSpec("classification", (4,), 3, "val/acc", "max")
NUMBERS = DataSpec("regression", (1,), 1, "val/mae", "min", noise_std=5.0)


@pytest.mark.parametrize("batches_per_update", [1, 256])
def test_classification_scores_weigh_each_sample_alike(monkeypatch, batches_per_update: int) -> None:
    monkeypatch.setattr(scores, "_BATCHES_PER_UPDATE", batches_per_update)
    stage = Scores(CLASSES, "val")
    output = torch.eye(3)[[0, 1, 2, 2]]
    stage.collect(torch.tensor(1.0), output[:3], torch.tensor([0, 1, 2]))
    stage.collect(torch.tensor(3.0), output[3:], torch.tensor([0]))
    values = stage.compute()
    assert values["val/acc"] == pytest.approx(3 / 4)
    assert values["val/loss"] == pytest.approx((3 * 1.0 + 1 * 3.0) / 4)


def test_regression_scores_are_their_formulas() -> None:
    stage = Scores(NUMBERS, "test")
    predicted, true = torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([[1.0], [4.0], [4.0]])
    stage.collect(torch.tensor(8 / 3), predicted, true)
    values = stage.compute()
    assert values["test/mae"] == pytest.approx(4 / 3)
    assert values["test/rmse"] == pytest.approx((8 / 3) ** 0.5)
    # The variance of 1, 4, 4 is 2: residual sum 8 against a total of 6.
    assert values["test/r2"] == pytest.approx(1 - 8 / 6)
    # E|N(0, 5)|, to four decimals.
    assert values["test/noise_floor"] == pytest.approx(3.9894, abs=1e-4)


def test_computing_forgets_what_was_collected() -> None:
    stage = Scores(CLASSES, "val")
    stage.collect(torch.tensor(1.0), torch.eye(3), torch.tensor([1, 2, 0]))
    assert stage.compute()["val/acc"] == 0
    stage.collect(torch.tensor(2.0), torch.eye(3), torch.tensor([0, 1, 2]))
    values = stage.compute()
    assert (values["val/acc"], values["val/loss"]) == (1, 2)


def test_binary_scores_are_their_formulas() -> None:
    stage = Scores(DataSpec("binary", (4,), 1, "val/acc", "max"), "val")
    # All logits in [0, 1], which torchmetrics by itself would take for probabilities.
    output, true = torch.tensor([[0.1], [0.4], [0.9], [-0.1]]), torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    stage.collect(torch.tensor(1.0), output, true)
    values = stage.compute()
    assert values["val/acc"] == pytest.approx(2 / 4)
    # Two found of three, two right of three.
    assert values["val/f1"] == pytest.approx(2 / 3)


def test_multilabel_scores_are_their_formulas() -> None:
    stage = Scores(DataSpec("multilabel", (4,), 2, "val/acc", "max", names=("even", "large")), "val")
    output = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [0.2, 0.1]])
    true = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    stage.collect(torch.tensor(1.0), output, true)
    values = stage.compute()
    assert values["val/acc"] == pytest.approx(6 / 8)
    assert values["val/acc_even"] == pytest.approx(3 / 4)
    assert values["val/acc_large"] == pytest.approx(3 / 4)
    assert values["val/exact"] == pytest.approx(2 / 4)
    # Even: 2 right of 3 guessed, of 2 there; large: 1 right of 2 guessed, of 1 there.
    assert values["val/f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_scores_of_several_numbers_are_means_over_all_of_them() -> None:
    stage = Scores(DataSpec("regression", (4,), 2, "val/mae", "min"), "val")
    stage.collect(torch.tensor(1.0), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    values = stage.compute()
    assert values["val/mae"] == pytest.approx((1 + 0 + 0 + 4) / 4)
    assert values["val/rmse"] == pytest.approx(((1 + 16) / 4) ** 0.5)
