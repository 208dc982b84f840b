"""The fast loop against Lightning's own: the same numbers in the same order."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop

from fulgurite import build as building
from fulgurite.log import log_to
from fulgurite.models.mlp import MLP
from fulgurite.training.loop import FastEpochLoop

# 12 steps an epoch.
SMALL = (
    "data=quadratic",
    "data.num_points=384",
    "data.batch_size=32",
    "data.passes_per_epoch=1",
    "model=mlp",
    "model.hidden=[8]",
    "trainer=cpu",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=5",
    "logger=csv",
    "callbacks.progress=null",
)


class Recorder(pl.Callback):
    """Writes down each hook it is called in, with what it sees there."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(("epoch start", trainer.current_epoch, trainer.global_step))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(("start", batch_idx, trainer.global_step, float(batch[0].sum())))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        assert not outputs["loss"].requires_grad
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        self.seen.append(("end", batch_idx, trainer.global_step, float(outputs["loss"]), rate, is_last))

    def on_validation_start(self, trainer, pl_module):
        self.seen.append(("validation", trainer.global_step))

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append(("epoch end", trainer.current_epoch, trainer.global_step))


class SaveAt(pl.Callback):
    """Saves a checkpoint in the middle of an epoch."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@dataclass
class Trained:
    weights: dict[str, torch.Tensor]
    counters: dict[str, Any]
    optimizer: dict[str, Any]
    schedules: list[dict[str, Any]]
    metrics: str
    callback_metrics: dict[str, float]
    seen: list[tuple[Any, ...]] = field(default_factory=list)


def train(cfg, folder: Path, *, fast: bool, callbacks=(), model=None) -> Trained:
    """Train with one of the loops, and make sure that it was that one."""
    run = building.build(cfg, epoch_loop=FastEpochLoop if fast else _TrainingEpochLoop)
    folder.mkdir(exist_ok=True)
    recorder = Recorder()
    run.trainer.callbacks = [recorder, *callbacks, *run.trainer.callbacks]
    with log_to(folder):
        run.trainer.fit(model or run.model, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)
    loop = run.trainer.fit_loop.epoch_loop
    assert getattr(loop, "_fast", False) is fast
    assert type(loop) is (FastEpochLoop if fast else _TrainingEpochLoop)
    return Trained(
        weights={name: value.clone() for name, value in run.trainer.lightning_module.state_dict().items()},
        counters=run.trainer.fit_loop.state_dict(),
        optimizer=run.trainer.optimizers[0].state_dict(),
        schedules=[config.scheduler.state_dict() for config in run.trainer.lr_scheduler_configs],
        metrics=(folder / "metrics.csv").read_text(),
        callback_metrics={name: float(value) for name, value in run.trainer.callback_metrics.items()},
        seen=recorder.seen,
    )


def assert_same(one: Trained, other: Trained) -> None:
    assert one.seen == other.seen
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert one.counters == other.counters
    assert one.metrics == other.metrics
    assert one.callback_metrics == other.callback_metrics
    assert one.optimizer["param_groups"] == other.optimizer["param_groups"]
    for number, moments in other.optimizer["state"].items():
        assert all(torch.equal(one.optimizer["state"][number][name], moments[name]) for name in moments)
    for schedule, expected in zip(one.schedules, other.schedules, strict=True):
        assert {k: v for k, v in schedule.items() if k != "lr_lambdas"} == {
            k: v for k, v in expected.items() if k != "lr_lambdas"
        }


@pytest.fixture
def both(compose_config, tmp_path):
    """Train the same config with the fast loop and with Lightning's."""

    def run(*overrides: str, callbacks=lambda: (), model=lambda: None) -> tuple[Trained, Trained]:
        trained = []
        for fast in (True, False):
            folder = tmp_path / ("fast" if fast else "slow")
            cfg = compose_config(*SMALL, *overrides, folder=folder)
            trained.append(train(cfg, folder, fast=fast, callbacks=callbacks(), model=model()))
        return trained[0], trained[1]

    return run


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param([], id="plain"),
        pytest.param(["model.dropout=0.5", "seed=3"], id="dropout"),
        pytest.param(["trainer.gradient_clip_val=0.1"], id="clip by norm"),
        pytest.param(["trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"], id="clip by value"),
        pytest.param(["scheduler=constant"], id="no schedule"),
        pytest.param(["trainer.accumulate_grad_batches=2", "model.dropout=0.5"], id="accumulation"),
        pytest.param(["trainer.accumulate_grad_batches=5", "trainer.gradient_clip_val=0.1"], id="accumulation, odd"),
        pytest.param(["trainer.accumulate_grad_batches=3", "trainer.max_steps=7"], id="accumulation, steps"),
        pytest.param(["scheduler=plateau", "scheduler.patience=0"], id="plateau"),
        pytest.param(["trainer.max_steps=17"], id="max_steps"),
        pytest.param(["trainer.limit_train_batches=5"], id="limit_train_batches"),
        pytest.param(["trainer.val_check_interval=4"], id="validation every 4 steps"),
        pytest.param(["trainer.val_check_interval=5", "trainer.check_val_every_n_epoch=null"], id="over epochs"),
        pytest.param(["trainer.check_val_every_n_epoch=2"], id="validation every 2 epochs"),
        pytest.param(["trainer.precision=bf16-mixed"], id="bf16"),
        pytest.param(["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=1e-6"], id="sgd"),
    ],
)
def test_the_two_loops_train_log_and_count_the_same(both, overrides):
    assert_same(*both(*overrides))


class LoggingMLP(MLP):
    """Logs in each step, as a model written after Lightning's own documentation does."""

    def training_step(self, batch, batch_idx):
        outputs = super().training_step(batch, batch_idx)
        self.log("mine", outputs["loss"], on_step=True, on_epoch=True, batch_size=len(batch[0]))
        return outputs


class LoggingCallback(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.log("theirs", float(batch_idx), on_step=False, on_epoch=True, batch_size=1)


def make_logging_model() -> LoggingMLP:
    torch.manual_seed(0)
    spec = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/mae", "mode": "min"}
    return LoggingMLP(spec, hidden=[8])


def test_what_a_model_and_a_callback_log_in_a_step_arrives_the_same(both):
    fast, slow = both(callbacks=lambda: [LoggingCallback()], model=make_logging_model)
    assert fast.callback_metrics["theirs"] == pytest.approx(5.5), "mean of the batch numbers 0 to 11"
    assert "mine_step" in fast.metrics.splitlines()[0]
    assert_same(fast, slow)


class MixedSchedules(MLP):
    """A schedule of another frequency and one that looks at a metric after each step."""

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        if self.hparams["hidden"] == [7]:
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1.0)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plateau, "interval": "step", "monitor": "val/loss", "frequency": 5},
            }
        third = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        each_epoch = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        return [optimizer], [{"scheduler": third, "interval": "step", "frequency": 3}, each_epoch]


@pytest.mark.parametrize("hidden", [7, 8], ids=["plateau by step", "every third step and each epoch"])
def test_schedules_of_every_kind_step_at_the_same_time(both, hidden):
    def make():
        torch.manual_seed(0)
        spec = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/mae", "mode": "min"}
        return MixedSchedules(spec, hidden=[hidden])

    fast, slow = both("scheduler=constant", "trainer.val_check_interval=4", model=make)
    rates = {seen[4] for seen in fast.seen if seen[0] == "end"}
    assert len(rates) > 2
    assert_same(fast, slow)


class StopAt(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.global_step >= 17


def test_a_callback_stops_training_in_the_middle_of_an_epoch(both):
    fast, slow = both(callbacks=lambda: [StopAt()])
    assert [seen[2] for seen in fast.seen if seen[0] == "end"] == list(range(1, 18))
    assert_same(fast, slow)


@pytest.mark.parametrize("step", [5, 12, 17], ids=["first epoch", "end of an epoch", "second epoch"])
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_resumed_from_a_checkpoint_inside_an_epoch_ends_as_the_whole_run(compose_config, tmp_path, step):
    ends = {}
    for fast in (True, False):
        path = tmp_path / f"{fast}.ckpt"
        whole, rest = tmp_path / f"whole{fast}", tmp_path / f"rest{fast}"
        ends["whole", fast] = train(
            compose_config(*SMALL, "model.dropout=0.5", folder=whole),
            whole,
            fast=fast,
            callbacks=[SaveAt(path, step)],
        )
        cfg = compose_config(*SMALL, "model.dropout=0.5", f"checkpoint={path}", folder=rest)
        ends["rest", fast] = train(cfg, rest, fast=fast)
    whole_end, rest_end = ends["whole", True], ends["rest", True]
    assert all(torch.equal(whole_end.weights[name], rest_end.weights[name]) for name in whole_end.weights)
    ends_of_batches = [seen for seen in whole_end.seen if seen[0] == "end"]
    assert ends_of_batches[step:] == [seen for seen in rest_end.seen if seen[0] == "end"]
    assert_same(ends["whole", True], ends["whole", False])
    assert_same(ends["rest", True], ends["rest", False])


class GradientHook(pl.Callback):
    def on_after_backward(self, trainer, pl_module):
        pass


class StepHook(MLP):
    def optimizer_step(self, *args, **kwargs):
        super().optimizer_step(*args, **kwargs)


def make_step_hook() -> StepHook:
    spec = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/mae", "mode": "min"}
    return StepHook(spec, hidden=[8])


@pytest.mark.parametrize(
    ("overrides", "callbacks", "model"),
    [
        (["optimizer=lbfgs", "scheduler=constant", "data.batch_size=null"], [], None),
        ([], [GradientHook()], None),
        ([], [], make_step_hook),
        (["trainer.detect_anomaly=true"], [], None),
    ],
    ids=["closures", "callback's hook", "model's hook", "anomaly detection"],
)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_the_fast_loop_does_not_cover_runs_through_lightnings(
    compose_config, tmp_path, overrides, callbacks, model
):
    run = building.build(compose_config(*SMALL, "trainer.log_every_n_steps=1", "trainer.max_epochs=1", *overrides))
    run.trainer.callbacks += callbacks
    with log_to(tmp_path):
        run.trainer.fit(model() if model else run.model, datamodule=run.data)
    assert run.trainer.fit_loop.epoch_loop._fast is False
    assert run.trainer.global_step > 0
