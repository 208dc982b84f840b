"""A training loop for Lightning's Trainer that costs a tenth of Lightning's own, step for step the same.

Lightning spends about 300 microseconds a step on closures, hook dispatch, profiling contexts and result bookkeeping: as
much as a small network's whole arithmetic. ``FastEpochLoop`` keeps what callbacks, checkpoints and schedules rely on:
counters, hooks at batch start and end, ``self.log``, gradient clipping, precision. Whatever it does not cover (several
devices, closures, other hooks, other loaders) runs through Lightning's own loop, unchanged.

It leans on private attributes of pytorch-lightning 2.6, which ``pyproject.toml`` pins;
``tests/unit/training/test_loop.py`` compares the two loops number by number.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities import GradClipAlgorithmType

from fulgurite.training.loop_scope import find_hooks, is_covered


def use_epoch_loop(trainer: pl.Trainer, make: "type[FastEpochLoop]") -> None:
    """Give ``trainer`` an epoch loop of ours, before ``fit``."""
    outer, inner = trainer.fit_loop, trainer.fit_loop.epoch_loop
    trainer.fit_loop = ResumingFitLoop(trainer, outer.min_epochs, outer.max_epochs)
    trainer.fit_loop.epoch_loop = make(trainer, inner.min_steps, inner.max_steps)


class ResumingFitLoop(_FitLoop):
    """Lightning's fit loop, which also hands the loader its saved state when a schedule has asked for its length.

    Lightning does so only as it makes the loader, and ``estimated_stepping_batches`` makes it before the checkpoint is
    read: a run resumed inside an epoch would then start that epoch's batches anew.
    """

    def setup_data(self) -> None:
        """Make the loader, unless it is there, and load its state, unless that is done."""
        super().setup_data()
        self._load_combined_loader_states()


class FastEpochLoop(_TrainingEpochLoop):
    """Lightning's epoch loop with a short ``advance`` for the ordinary case."""

    def on_run_start(self, data_fetcher: Any) -> None:
        """Decide once an epoch which loop runs it, and look up what each step needs."""
        super().on_run_start(data_fetcher)
        self._fast = is_covered(self.trainer)
        if self._fast:
            self._look_up(data_fetcher)

    def _look_up(self, data_fetcher: Any) -> None:
        """Find what each step needs."""
        trainer = self.trainer
        # Lightning sets it to 1 so that processes can be forked; Adam's step then opens NVIDIA's library to ask
        # for GPUs, 35 microseconds each time. One device has nothing to fork.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        # Without a profiler they would only build its labels.
        data_fetcher._start_profiler = data_fetcher._stop_profiler = _do_nothing
        self._batch_start = find_hooks(trainer, "on_train_batch_start")
        self._batch_end = find_hooks(trainer, "on_train_batch_end")
        # The context of plain precision does nothing, in 4 microseconds.
        plugin, is_plain = trainer.precision_plugin, type(trainer.precision_plugin) is Precision
        self._precision: Any = nullcontext if is_plain else plugin.train_step_context
        self._convert: Any = (lambda batch: batch) if is_plain else plugin.convert_input
        self._step_schedules: list[Any] = [
            config for config in trainer.lr_scheduler_configs if config.interval == "step"
        ]

    def advance(self, data_fetcher: Any) -> None:
        """Run one training step."""
        if not self._fast or self._restarting:
            super().advance(data_fetcher)
            return
        progress, batch_idx = self.batch_progress, self.batch_progress.current.ready
        batch, _, _ = next(data_fetcher)
        batch = self._convert(batch)
        progress.is_last_batch = data_fetcher.done
        progress.increment_ready()
        self._start_log(batch)
        self._call("on_train_batch_start", self._batch_start, batch, batch_idx)
        progress.increment_started()
        outputs = self._step(batch, batch_idx)
        progress.increment_processed()
        self._schedule(batch_idx)
        self._call("on_train_batch_end", self._batch_end, outputs, batch, batch_idx)
        self._end_log()

    def on_advance_end(self, data_fetcher: Any) -> None:
        """Validate, flush and stop when it is time; after most batches it is not."""
        if self._fast and not self._is_time():
            self._batches_that_stepped += not self._should_accumulate()
        else:
            super().on_advance_end(data_fetcher)

    def _step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Forward, backward, clip, update; the order of the calls is Lightning's."""
        trainer = self.trainer
        model, optimizer = trainer.lightning_module, trainer.optimizers[0]
        counts = self.automatic_optimization.optim_progress.optimizer
        number, is_update = trainer.accumulate_grad_batches, not self._should_accumulate()
        if is_update:
            counts.step.increment_ready()
        with self._precision():
            outputs = self._call("training_step", [model.training_step], batch, batch_idx)
        loss = outputs["loss"] if number == 1 else outputs["loss"] / number
        if batch_idx % number == 0:
            counts.zero_grad.increment_ready()
            counts.zero_grad.increment_started()
            optimizer.zero_grad()
            counts.zero_grad.increment_completed()
        loss.backward()
        if is_update:
            model.on_before_optimizer_step(optimizer)
            if trainer.gradient_clip_val:
                algorithm = GradClipAlgorithmType(trainer.gradient_clip_algorithm or "norm")
                trainer.precision_plugin.clip_gradients(optimizer, trainer.gradient_clip_val, algorithm)
            optimizer.step()
            counts.step.increment_completed()
        return {**outputs, "loss": loss.detach()}

    def _call(self, name: str, hooks: list[Callable[..., Any]], *args: Any) -> Any:
        """Call hooks; ``self.log`` asks the model for the name of the hook that it is in."""
        # Past nn.Module's __setattr__, which looks for parameters first.
        state = self.trainer.lightning_module.__dict__
        state["_current_fx_name"] = name
        result = None
        for hook in hooks:
            result = hook(*args)
        state["_current_fx_name"] = None
        return result

    def _schedule(self, batch_idx: int) -> None:
        """Step the schedules of steps and, after the last batch, those of epochs."""
        if not self._should_accumulate():
            self._step_schedulers(batch_idx)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def _step_schedulers(self, batch_idx: int) -> None:
        """Step the schedules of steps; those that look at a metric wait for ``on_advance_end``."""
        for config in self._step_schedules:
            if not config.reduce_on_plateau and (batch_idx + 1) % config.frequency == 0:
                self.scheduler_progress.increment_ready()
                config.scheduler.step()
                self.scheduler_progress.increment_completed()

    def _start_log(self, batch: Any) -> None:
        """What the logger connector does as a batch starts."""
        connector, results = self.trainer._logger_connector, self._results
        connector._first_loop_iter = connector._first_loop_iter is None
        results.batch, results.batch_size, results.dataloader_idx = batch, None, None

    def _end_log(self) -> None:
        """What the logger connector does as a batch ends: much when a hook has logged, else nothing."""
        connector, results = self.trainer._logger_connector, self._results
        if all(metric.has_reset for metric in results.values()):
            results.batch = results.batch_size = None
            self.batch_progress.increment_completed()
        else:
            connector.on_batch_end()
            self.batch_progress.increment_completed()
            connector.update_train_step_metrics()

    def _is_time(self) -> bool:
        """Whether there may be something to do between this batch and the next."""
        trainer, progress = self.trainer, self.batch_progress
        counted = progress.total if trainer.check_val_every_n_epoch is None else progress.current
        return (
            self._restarting
            or self._skip_next_val
            or progress.is_last_batch
            or trainer.should_stop
            or trainer.received_sigterm
            or trainer.val_check_batch is None
            or counted.ready % trainer.val_check_batch == 0
            or any(config.reduce_on_plateau for config in self._step_schedules)
        )


def _do_nothing() -> None:
    """In the place of a profiler's start and stop."""
