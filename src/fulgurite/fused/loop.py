"""The epoch loop of a member: it asks for many steps at once, and accounts for them as if it had made each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.fused.member import Member, current_member
from fulgurite.fused.optimizers import Rates
from fulgurite.models.supervised import Supervised
from fulgurite.training.loop import FastEpochLoop

# Steps between two hand-overs at most: outputs of all of them are kept until then.
_MOST_STEPS = 128


class FusedEpochLoop(FastEpochLoop):
    """An epoch loop whose training steps are computed elsewhere, together with those of other members.

    The group reads what it needs from here and calls ``take_rates``; ``advance`` then goes on with the results.
    Everything between training steps (validation, callbacks, checkpoints, logs) is the solo run's.
    """

    def on_run_start(self, data_fetcher: Any) -> None:
        """Look up what does not change within an epoch."""
        super().on_run_start(data_fetcher)
        self._member: Member | None = current_member()

    def why_alone(self) -> str | None:
        """Why this job's steps cannot be computed with others'; ``None`` when they can."""
        if not self._fast:
            return "its trainer, model or callbacks look into single steps"
        if self.trainer.val_check_batch is None:
            return "trainer.val_check_interval is a time"
        for callback in self.trainer.callbacks:
            if any(hook.func.__self__ is callback for hook in self._hooks if isinstance(hook, partial)):
                return f"its callback {type(callback).__name__} looks at each batch"
        return None

    @property
    def _hooks(self) -> list[Any]:
        return [*self._batch_start, *self._batch_end]

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
        trainer, progress = self.trainer, self.batch_progress
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

    def advance(self, data_fetcher: Any) -> None:
        """Ask for steps, and account for those that were made; alone, where there is nobody to ask."""
        results = None if self._restarting or self._member is None else self._member.ask(self)
        if results is None:
            super().advance(data_fetcher)
        else:
            self._account(data_fetcher, *results)

    def take_rates(self, read: Callable[[], Rates], number: int) -> list[Rates]:
        """What ``read`` gives before each of the next steps; the schedules are stepped past them."""
        rates = []
        for batch_idx in range(self.batch_progress.current.ready, self.batch_progress.current.ready + number):
            rates.append(read())
            self._step_schedulers(batch_idx)
        return rates

    def _account(self, data_fetcher: Any, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Do at once what the solo loop does in as many turns.

        Args:
            data_fetcher: Lightning's, past which the batches went.
            losses: of N steps.
            outputs: N x B x C.
            targets: N x B, or N x B x C.
        """
        number = len(losses)
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
        self.model.collect_training(losses.mean(), outputs.flatten(0, 1), targets.flatten(0, 1))
        self.model.log_step(losses[-1])


def _add(tracker: Any, number: int) -> None:
    """Count ``number`` more in each stage of one of Lightning's trackers."""
    for stage in vars(tracker):
        setattr(tracker, stage, getattr(tracker, stage) + number)


def _until_next(count: int, every: float) -> int:
    """Steps from ``count`` steps done to the next multiple."""
    return int(every - count % every)
