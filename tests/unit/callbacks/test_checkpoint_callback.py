import csv
from pathlib import Path

import pytest

from fulgurite.build import build
from fulgurite.callbacks.checkpoint import BestCheckpoint
from fulgurite.errors import ConfigError
from fulgurite.fit import fit
from fulgurite.log import log_to
from fulgurite.training.checkpoint import load_checkpoint

# A high constant learning rate: the best epoch is not the last.
UNSTEADY = (
    "model=linear",
    "data.train_subset=256",
    "data.batch_size=16",
    "trainer.max_epochs=5",
    "optimizer.lr=0.3",
    "scheduler=constant",
    "logger=csv",
)


def test_the_recorded_metrics_are_those_of_the_best_epoch(compose_config, tmp_path: Path):
    with log_to(tmp_path):
        outcome = fit(build(compose_config(*UNSTEADY)))
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/acc"]]
    best = max(rows, key=lambda row: float(row["val/acc"]))
    assert best is not rows[-1], "the test needs a run whose last epoch is not its best"
    assert outcome.metrics["val/acc"] == float(best["val/acc"])
    assert outcome.metrics["val/loss"] == float(best["val/loss"])
    assert outcome.objective == float(best["val/acc"])


def test_best_and_last_are_the_epochs_that_they_say(compose_config, tmp_path: Path):
    with log_to(tmp_path):
        fit(build(compose_config(*UNSTEADY)))
    with (tmp_path / "metrics.csv").open() as file:
        accuracies = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["epoch"] == 4
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == accuracies.index(max(accuracies))


def test_the_last_epoch_is_taken_for_the_best_where_that_is_chosen(compose_config, tmp_path: Path):
    with log_to(tmp_path):
        outcome = fit(build(compose_config(*UNSTEADY, "callbacks.best_checkpoint.choose=last")))
    with (tmp_path / "metrics.csv").open() as file:
        accuracies = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert max(accuracies) != accuracies[-1], "the test needs a run whose last epoch is not its best"
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 4
    assert outcome.objective == outcome.metrics["val/acc"] == accuracies[-1]


def test_another_choice_than_best_or_last_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="choose must be one of best, last; got 'first'"):
        BestCheckpoint(str(tmp_path), "val/acc", "max", choose="first")
