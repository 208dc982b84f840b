"""A job taken to its first training steps and no further: what it is, what it takes, and with whom it can train."""

import time
from typing import Any

import torch
from pytorch_lightning import Callback

from fulgurite.build import build
from fulgurite.fused.answers import Answer
from fulgurite.fused.horizon import num_left
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.member import Member
from fulgurite.plan.jobs import Job


class _EnoughError(Exception):
    """Ends a job that has shown what was to be seen."""


class _ValidationClock(Callback):
    """Times the validation batches that Lightning tries before training."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._started = 0.0

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_validation_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """Stop."""
        synchronize(trainer.strategy.root_device)
        self.times.append(time.perf_counter() - self._started)


class Trial:
    """A job in a thread of its own, which has made one training step and waits before the next.

    Args:
        job: is built here.
        loaded: where trials keep the data that they have loaded, to share it.

    Attributes:
        loop: its epoch loop; there is none when it ended before the first step.
        setup_s: seconds from nothing to the first training step, the tried validation apart.
        first_s: seconds of the first training step, which is slower than all others.
        num_steps: training steps of the whole run.
        validation_s: seconds of all validations of the run and of its test, which is taken for another validation.
    """

    def __init__(self, job: Job, loaded: dict[str, Any]) -> None:
        self.job = job
        self._loaded = loaded
        self._clock = _ValidationClock()
        self.loop: Any = None
        self.num_steps, self.validation_s, self.first_s = 0, 0.0, 0.0
        self.member = Member(self._run, str(job.number))
        started = time.perf_counter()
        self.member.resume()
        self.setup_s = time.perf_counter() - started - sum(self._clock.times)
        if self.is_waiting:
            self.loop = self.member.request
            self.num_steps = num_left(self.loop)
            self.validation_s = self._validation_s()
            self.first_s = self.step()

    @property
    def error(self) -> BaseException | None:
        """What the job has raised."""
        return self.member.error

    @property
    def is_waiting(self) -> bool:
        """Whether it has not ended, by itself or by an error."""
        return self.member.request is not None

    def step(self) -> float:
        """Make one step alone; seconds."""
        loop = self.loop
        started = time.perf_counter()
        self.member.resume(Answer.STEP)
        device = loop.model.device
        synchronize(device)
        # The loop's own time leaves out what goes on between two steps.
        return loop.step_s if device.type == "cpu" else time.perf_counter() - started

    def end(self) -> None:
        """End it here."""
        while self.is_waiting:
            self.member.resume(_EnoughError())

    def _run(self) -> None:
        cfg = self.job.config.copy()
        if "progress" in cfg.callbacks:
            cfg.callbacks.progress = None
        run = build(cfg, epoch_loop=FusedEpochLoop, loaded=self._loaded)
        # Nothing of it is to be kept, by a server least of all.
        run.trainer.loggers = []
        run.trainer.callbacks.append(self._clock)  # type: ignore[attr-defined]
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)

    def _validation_s(self) -> float:
        trainer: Any = self.loop.trainer
        if not self._clock.times:
            return 0.0
        every = trainer.val_check_batch or trainer.num_training_batches
        passes = self.num_steps // (every * (trainer.check_val_every_n_epoch or 1)) + bool(self.job.config.test)
        return float(min(self._clock.times) * sum(trainer.num_val_batches) * passes)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was told."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)
