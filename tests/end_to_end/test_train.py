"""`python train.py` as a person types it: what it prints, what it leaves, and that it repeats itself."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fulgurite.job import run_job
from fulgurite.result import read_result
from fulgurite.training.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]
SHORT = ("model=cnn", "model.channels=[4,8]", "model.dropout=0.2", "augmentation=affine", "data.train_subset=1024")


def train(output_root: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *SHORT, "trainer.max_epochs=2", *overrides]
    return subprocess.run(
        [*command, f"output_root={output_root}"], cwd=output_root, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    root = tmp_path_factory.mktemp("outputs")
    done = train(root)
    assert done.returncode == 0, done.stderr
    return done, next((root / "mnist").iterdir())


def test_a_normal_run_prints_no_warning(finished):
    done, _ = finished
    assert done.stderr == ""
    assert "arn" not in done.stdout


def test_a_run_prints_its_epochs_its_results_and_what_to_type_next(finished):
    done, folder = finished
    assert done.stdout.count("epoch ") >= 2
    test_accuracy = read_result(folder).metrics["test/acc"]
    assert f"{test_accuracy:.4f}"[:5] in done.stdout
    for command in ("fulgurite eval", "fulgurite predict", "fulgurite board", "Best checkpoint: "):
        assert command in done.stdout


def test_the_run_folder_holds_all_that_it_promises(finished):
    _, folder = finished
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"result.json", "metrics.csv", "train.log", ".hydra/config.yaml", ".hydra/overrides.yaml"} <= names
    assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= names
    assert any("tfevents" in name for name in names)
    assert not any(character in name for name in [folder.name, *names] for character in "=,")


def test_tensorboard_reads_the_curves_against_epochs(finished):
    _, folder = finished
    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()["scalars"]
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/acc"} <= set(tags)
    assert "epoch" not in tags
    assert "hp_metric" not in tags
    assert [event.step for event in events.Scalars("val/acc")] == [1, 2]
    best = read_result(folder).metrics["val/acc"]
    assert max(event.value for event in events.Scalars("val/acc")) == pytest.approx(best, abs=1e-6)


def test_the_csv_holds_one_validation_row_an_epoch(finished):
    _, folder = finished
    with (folder / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/acc"]]
    assert len(rows) == 2


def test_the_same_command_twice_gives_bitwise_equal_weights(finished, tmp_path: Path):
    _, folder = finished
    assert train(tmp_path).returncode == 0
    again = next((tmp_path / "mnist").iterdir())
    weights, repeated = (load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (folder, again))
    assert weights.keys() == repeated.keys()
    assert all(torch.equal(weights[name], repeated[name]) for name in weights)
    assert read_result(folder).metrics == read_result(again).metrics
    assert read_result(folder).fingerprint == read_result(again).fingerprint


def test_a_run_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(compose_config, tmp_path: Path):
    def trained(name: str, *overrides: str) -> Path:
        options = (*SHORT, "scheduler=constant", "trainer.max_epochs=3", "logger=none", *overrides)
        run_job(compose_config(*options, folder=tmp_path / name), [])
        return tmp_path / name / "checkpoints" / "last.ckpt"

    whole = trained("whole")
    resumed = trained("resumed", f"checkpoint='{trained('stopped', 'trainer.max_epochs=1')}'")
    weights, weights_resumed = (load_checkpoint(path)["state_dict"] for path in (whole, resumed))
    assert all(torch.equal(weights[name], weights_resumed[name]) for name in weights)
