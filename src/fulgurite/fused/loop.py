"""The epoch loop of a member: it asks for many steps at once, and accounts for them as if it had made each."""

import math
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.fused.member import Member, current_member
from fulgurite.fused.optimizers import Rates
from fulgurite.models.supervised import Supervised
from fulgurite.training.loop import FastEpochLoop

# Steps between two hand-overs at most: outputs of all of them are kept until then.
_MOST_STEPS = 128


class Answer(Enum):
    """What a member may be told instead of results."""

    STEP = auto()  # make one step yourself, then ask again
    ALONE = auto()  # make all further steps yourself


class Results(NamedTuple):
    """Of N steps of one member: losses N, outputs N x B x C, targets N x B or N x B x C."""

    losses: Tensor
    outputs: Tensor
    targets: Tensor


class FusedEpochLoop(FastEpochLoop):
    """An epoch loop whose training steps are computed elsewhere, together with those of other members.

    The group reads what it needs from here and calls ``take_rates``; ``advance`` then goes on with the results.
    Everything between training steps (validation, callbacks, checkpoints, logs) is the solo run's.
    """

    # Whether it has been told to make its steps itself.
    _alone = False
    # Seconds of the last step that it made itself.
    step_s = 0.0

    def on_run_start(self, data_fetcher: Any) -> None:
        """Look up what does not change within an epoch."""
        super().on_run_start(data_fetcher)
        self._member: Member | None = current_member()
        self._has_passed = False

    def why_alone(self) -> str | None:
        """Why this job's steps cannot be computed with others'; ``None`` when they can."""
        if not self._fast:
            return "its trainer, model or callbacks look into single steps"
        if self.trainer.val_check_batch is None:
            return "trainer.val_check_interval is a time"
        # Callbacks' hooks are bound to trainer and model, the model's own are not.
        watching = [hook for hook in (*self._batch_start, *self._batch_end) if isinstance(hook, partial)]
        if watching:
            return f"its callback {type(watching[0].func.__self__).__name__} looks at each batch"
        return None

    @property
    def model(self) -> Supervised:
        """What is trained."""
        return self.trainer.lightning_module  # type: ignore[return-value]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The one optimiser."""
        return self.trainer.optimizers[0]

    @property
    def loader(self) -> BatchLoader:
        """Where the batches come from."""
        return self.trainer.train_dataloader  # type: ignore[return-value]

    def num_wanted(self) -> int:
        """Steps until something happens between two of them: a log, a validation, the end."""
        trainer: Any = self.trainer
        progress = self.batch_progress
        ahead = [
            _MOST_STEPS,
            trainer.num_training_batches - progress.current.ready,
            _until_next(progress.total.ready, trainer.log_every_n_steps),
        ]
        if trainer.max_steps != -1:
            ahead.append(trainer.max_steps - self.global_step)
        if trainer.val_check_batch != float("inf"):
            counted = progress.total if trainer.check_val_every_n_epoch is None else progress.current
            ahead.append(_until_next(counted.ready, trainer.val_check_batch))
        return int(max(1, min(ahead)))

    def num_left(self) -> int:
        """Steps until the end of training, if nothing stops it early."""
        trainer = self.trainer
        of_epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * trainer.num_training_batches
        of_steps = math.inf if trainer.max_steps == -1 else trainer.max_steps
        return int(min(of_epochs, of_steps, 1e9) - self.batch_progress.total.ready)

    def advance(self, data_fetcher: Any) -> None:
        """Ask for steps, and account for those that were made elsewhere."""
        if self._alone or self._member is None or self._restarting:
            super().advance(data_fetcher)
            return
        answer = self._member.ask(self)
        if isinstance(answer, Results):
            self._account(data_fetcher, answer)
            return
        self._alone = answer is Answer.ALONE
        if self._has_passed:
            # Steps were made past the iterator; a new one goes on where they ended.
            iter(data_fetcher)
            data_fetcher.fetched = self.batch_progress.current.ready
            self._has_passed = False
        started = time.perf_counter()
        super().advance(data_fetcher)
        self.step_s = time.perf_counter() - started

    def take_rates(self, read: Callable[[], Rates], number: int) -> list[Rates]:
        """What ``read`` gives before each of the next steps; the schedules are stepped past them."""
        rates = []
        for batch_idx in range(self.batch_progress.current.ready, self.batch_progress.current.ready + number):
            rates.append(read())
            self._step_schedulers(batch_idx)
        return rates

    def _account(self, data_fetcher: Any, results: "Results") -> None:
        """Do at once what the solo loop does in as many turns; the batches went past Lightning's ``data_fetcher``."""
        number = len(results.losses)
        self._has_passed = True
        data_fetcher.fetched += number
        connector = self.trainer._logger_connector
        connector._first_loop_iter = connector._first_loop_iter is None and number == 1
        counts = self.automatic_optimization.optim_progress.optimizer
        for progress in (self.batch_progress, counts.step, counts.zero_grad):
            _add(progress.total, number)
            _add(progress.current, number)
        self.batch_progress.is_last_batch = self._num_ready_batches_reached()
        if self.batch_progress.is_last_batch:
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        # The last of them is counted as the turn ends.
        self._batches_that_stepped += number - 1
        self.model.collect_training(results.losses.mean(), results.outputs.flatten(0, 1), results.targets.flatten(0, 1))
        self.model.log_step(results.losses[-1])


def _add(tracker: Any, number: int) -> None:
    """Count ``number`` more in each stage of one of Lightning's trackers."""
    for stage in vars(tracker):
        setattr(tracker, stage, getattr(tracker, stage) + number)


def _until_next(count: int, every: float) -> int:
    """Steps from ``count`` steps done to the next multiple."""
    return int(every - count % every)
