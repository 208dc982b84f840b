import json
import logging
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl

from fulgurite.errors import ConfigError, RunFolderError
from fulgurite.job import run_job
from fulgurite.result import read_result

TINY = ("model=mlp", "model.hidden=[16]", "data.train_subset=512", "trainer.max_epochs=2", "logger=none")


def test_a_finished_job_records_what_it_did(compose_config, tmp_path: Path):
    result = run_job(compose_config(*TINY, "data.batch_size=64"), ["model=mlp"])
    assert result == read_result(tmp_path) or result.seconds == 0
    recorded = read_result(tmp_path)
    assert recorded.status == "finished"
    assert recorded.epochs == 2
    assert recorded.overrides == ["model=mlp"]
    assert recorded.objective.value == recorded.metrics["val/acc"]
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc"} <= recorded.metrics.keys()
    assert recorded.seconds > 0
    assert recorded.samples_per_s > 0
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_refused_value_is_recorded_and_named(compose_config, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"model.dropout must be in \[0, 1\), got 1.5"):
        run_job(compose_config(*TINY, "model.dropout=1.5"), [])
    recorded = read_result(tmp_path)
    assert recorded.status == "failed"
    assert recorded.error.type == "ConfigError"
    assert "got 1.5" in recorded.error.message


def test_a_bug_is_recorded_and_its_traceback_logged(compose_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(self, batch, batch_idx):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("fulgurite.models.supervised.Supervised.training_step", broken)
    with pytest.raises(ZeroDivisionError):
        run_job(compose_config(*TINY), [])
    assert read_result(tmp_path).error.message == "a bug"
    assert "Traceback" in (tmp_path / "train.log").read_text()


def test_a_checkpoint_of_another_model_is_no_bug(compose_config, tmp_path: Path):
    words = ("data=iris", "model=mlp", "model.norm=none", "trainer.max_epochs=1", "trainer=cpu", "logger=none")
    first = compose_config(*words, "model.hidden=[3]", folder=tmp_path / "first")
    run_job(first, [])
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    other = compose_config(*words, "model.hidden=[4]", f"checkpoint='{last}'", folder=tmp_path / "other")
    with pytest.raises(RunFolderError, match=r"last\.ckpt is the checkpoint of another model \(size mismatch for net"):
        run_job(other, [])


def test_an_interrupted_job_says_so_and_ctrl_c_works_after_it(
    compose_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(self, batch, batch_idx):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("fulgurite.models.supervised.Supervised.training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_job(compose_config(*TINY), [])
    assert read_result(tmp_path).status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_lost_loss_stops_the_run_after_its_epoch(compose_config, tmp_path: Path):
    cfg = compose_config(*TINY, "optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.max_epochs=9")
    assert run_job(cfg, []).status == "diverged"
    recorded = read_result(tmp_path)
    assert recorded.epochs == 1
    assert recorded.error.type == "Diverged"
    assert "test/acc" not in recorded.metrics
    json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_an_unknown_objective_is_refused_before_training(compose_config, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"objective.metric must be one of val/acc, val/loss; got 'val/accuracy'"):
        run_job(compose_config(*TINY, "objective.metric=val/accuracy"), [])
    assert not (tmp_path / "checkpoints").exists()


def test_without_validation_the_last_weights_are_tested(compose_config, tmp_path: Path):
    result = run_job(compose_config(*TINY, "trainer.limit_val_batches=0"), [])
    assert result.objective.value is None
    assert result.metrics["test/acc"] > 0.3


def test_a_job_leaves_the_loggers_as_it_found_them(compose_config):
    handlers = list(logging.getLogger().handlers)
    run_job(compose_config(*TINY), [])
    assert logging.getLogger().handlers == handlers


def test_seed_zero_is_a_seed(compose_config, tmp_path: Path):
    first = run_job(compose_config(*TINY, "seed=0", folder=tmp_path / "a"), []).metrics
    again = run_job(compose_config(*TINY, "seed=0", folder=tmp_path / "b"), []).metrics
    other = run_job(compose_config(*TINY, "seed=1", folder=tmp_path / "c"), []).metrics
    assert first == again
    assert first != other


def test_accumulating_gradients_leaves_the_training_loss_what_it_is(compose_config, tmp_path: Path):
    frozen = (*TINY, "data.batch_size=64", "optimizer=sgd", "optimizer.lr=1e-12", "trainer.max_epochs=1")
    one = run_job(compose_config(*frozen, folder=tmp_path / "one"), []).metrics["train/loss"]
    four = run_job(compose_config(*frozen, "trainer.accumulate_grad_batches=4", folder=tmp_path / "four"), []).metrics[
        "train/loss"
    ]
    assert four == pytest.approx(one, rel=1e-5)


def test_a_model_without_a_test_step_is_not_tested(compose_config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fulgurite.models.supervised.Supervised.test_step", pl.LightningModule.test_step)
    result = run_job(compose_config(*TINY), [])
    assert result.status == "finished"
    assert not any(name.startswith("test/") for name in result.metrics)


def test_a_folder_that_is_used_again_shows_nothing_of_the_run_before(compose_config, tmp_path: Path):
    """Neither two runs' curves as one in TensorBoard, nor the confusion matrix of another model in a report."""
    words = (*TINY[:-1], "trainer.max_epochs=1", "data.num_val=200", "test=false")
    all_of_them = ("callbacks=pictures", "callbacks.pictures.graph=false")
    run_job(compose_config(*words, *all_of_them), [])
    # Of Lightning's logger, which numbers them.
    before = {path for path in tmp_path.glob("events*") if path.suffix[1:].isdigit()}
    assert before
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".json", ".png"}
    assert (tmp_path / "projector_config.pbtxt").exists()
    run_job(compose_config(*words, "callbacks.pictures.enabled=false"), [])
    assert list((tmp_path / "figures").iterdir()) == []
    assert not before & set(tmp_path.glob("events*"))
    assert not list(tmp_path.glob("projector_config.pbtxt")) + list(tmp_path.rglob("sprite.png"))
