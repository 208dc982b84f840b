"""How much of each task is known, and how much was forgotten."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from fulgurite.build import Run, build
from fulgurite.callbacks.forgetting import Forgetting
from fulgurite.callbacks.pictures import Pictures
from fulgurite.fit import Outcome, fit
from fulgurite.log import log_to

LOADED: dict[str, Any] = {}
# Two epochs of twenty batches for each of five tasks.
SMALL = (
    "experiment=forgetting",
    "model.hidden=[16]",
    "trainer=cpu",
    "trainer.max_epochs=10",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.num_val=500",
    "data.passes_per_epoch=20",
    "optimizer.lr=0.01",
    "callbacks.progress=null",
    "callbacks.pictures.graph=false",
    "logger=csv",
)


def trained(compose_config, folder: Path, *words: str) -> tuple[Run, Outcome]:
    folder.mkdir(parents=True, exist_ok=True)
    with log_to(folder):
        run = build(compose_config(*SMALL, *words, folder=folder), loaded=LOADED)
        return run, fit(run)


def of(run: Run, kind: type) -> Any:
    return next(each for each in run.trainer.callbacks if isinstance(each, kind))  # type: ignore[attr-defined]


def rows(folder: Path) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open() as file:
        found = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return [row for row in found if "val/acc" in row]


def test_what_was_forgotten_is_what_was_known_less_what_is_known(compose_config, tmp_path: Path, caplog) -> None:
    run, outcome = trained(compose_config, tmp_path)
    assert "callbacks.best_checkpoint.choose" not in caplog.text
    names = ["01", "23", "45", "67", "89"]
    after = rows(tmp_path)
    learned = [after[2 * number + 1][f"val/acc_task_{name}"] for number, name in enumerate(names)]
    assert of(run, Forgetting).learned == pytest.approx(learned)
    for stage, known in (("val", after[-1]), ("test", outcome.metrics)):
        lost = [learned[number] - known[f"{stage}/acc_task_{name}"] for number, name in enumerate(names[:4])]
        assert outcome.metrics[f"{stage}/forgetting"] == pytest.approx(sum(lost) / 4, abs=1e-6)
    # After the first epoch of the third task, two tasks are no longer learned.
    lost = [learned[number] - after[4][f"val/acc_task_{name}"] for number, name in enumerate(names[:2])]
    assert after[4]["val/forgetting"] == pytest.approx(sum(lost) / 2, abs=1e-6)
    assert "val/forgetting" not in after[1]
    # The accuracies on the tasks are those of their digits.
    x, y = run.data.part("test")  # type: ignore[attr-defined]
    with torch.no_grad():
        right = run.model.eval()(run.data.encode(x)).argmax(dim=1) == y  # type: ignore[attr-defined]
    for name in names:
        expected = right[(y == int(name[0])) | (y == int(name[1]))].float().mean()
        assert outcome.metrics[f"test/acc_task_{name}"] == pytest.approx(float(expected), abs=1e-6)
    # So small a run has not learned all of it, but one after the other it forgets what it has.
    assert outcome.metrics["test/forgetting"] > 0.25


def test_what_an_epoch_between_the_tasks_has_forgotten_is_of_those_that_were_over_alone(
    compose_config, tmp_path: Path, caplog
) -> None:
    # The task in the middle has eight of the ten digits, so its last epoch is the best.
    words = ("data.tasks=[[0],[1,2,3,4,5,6,7,8],[9]]", "trainer.max_epochs=6", "data.batch_size=40")
    words += ("optimizer.lr=0.003",)
    _, outcome = trained(compose_config, tmp_path, *words, "callbacks.best_checkpoint.choose=best")
    after = rows(tmp_path)
    assert max(after, key=lambda row: row["val/acc"]) is after[3]
    assert "callbacks.best_checkpoint.choose=last tests the last" in caplog.text
    lost = after[1]["val/acc_task_0"] - outcome.metrics["test/acc_task_0"]
    assert outcome.metrics["test/forgetting"] == pytest.approx(lost, abs=1e-6)


def test_a_run_that_goes_on_knows_what_was_learned_before(compose_config, tmp_path: Path) -> None:
    # Cut after the first epoch of the third task.
    words = ("data.method=replay", "data.memory=60", "data.num_epochs=10", "scheduler=constant", "test=false")
    words += ("data.passes_per_epoch=2",)
    whole, _ = trained(compose_config, tmp_path / "whole", *words)
    trained(compose_config, tmp_path / "cut", *words, "trainer.max_epochs=5")
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    resumed, _ = trained(compose_config, tmp_path / "cut", *words, f"checkpoint='{last}'")
    assert of(resumed, Forgetting).learned == of(whole, Forgetting).learned
    assert of(resumed, Pictures)._history.rows == of(whole, Pictures)._history.rows
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
