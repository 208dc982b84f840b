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
