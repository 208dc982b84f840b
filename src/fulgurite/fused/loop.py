"""The epoch loop of a member: it asks for many steps at once, and accounts for them as if it had made each."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fulgurite.data.batches import BatchLoader
from fulgurite.fused.answers import Answer, Results
from fulgurite.fused.device import Clock, global_state, set_global_state
from fulgurite.fused.member import Member, current_member
from fulgurite.fused.memory import Kept
from fulgurite.fused.ranks import Ranks
from fulgurite.fused.replay import Replay
from fulgurite.fused.scope import why_alone
from fulgurite.fused.stacked_optimizer import Rates
from fulgurite.models.gradient_norm import is_shown
from fulgurite.models.supervised import Supervised
from fulgurite.randomness import Stream, derive_seed
from fulgurite.training.loop import FastEpochLoop
from fulgurite.training.loop_scope import why_special


class FusedEpochLoop(FastEpochLoop):
    """An epoch loop whose training steps are computed elsewhere, together with those of other members.

    The group reads what it needs from here and calls ``take_rates``; ``advance`` then goes on with the results.
    Everything between training steps (validation, callbacks, checkpoints, logs) is the solo run's.
    """

    # Of Lightning's trainers whose steps can be computed here.
    strategies: ClassVar[tuple[type, ...]] = (SingleDeviceStrategy,)
    # Processes that make the same steps with other parts of the batches.
    ranks = Ranks()
    # Whether it has been told to make its steps itself.
    _alone = False
    # Seconds of the last step that it made itself.
    step_s = 0.0
    # Its part of the seconds that its steps have taken elsewhere.
    shared_s = 0.0
    # Bytes that the first of those kept for its backward pass.
    kept_bytes: int | None = None
    _replay: Replay | None = None

    def on_run_start(self, data_fetcher: Any) -> None:
        """Look up what does not change within an epoch."""
        super().on_run_start(data_fetcher)
        self.generator = torch.Generator(self.trainer.strategy.root_device)
        self._member: Member | None = current_member()
        self._has_passed = False
        self._special = why_special(self.trainer, self.strategies)
        if self._special is None:
            self._look_up(data_fetcher)

    def why_alone(self) -> str | None:
        """Why this job's steps cannot be computed with others'; ``None`` when they can."""
        if self._special is not None:
            return self._special
        return why_alone(self.trainer, [*self._batch_start, *self._batch_end], self._looks_at_each_batch)

    def _looks_at_each_batch(self, callback: Any) -> bool:
        """Whether a callback with a hook for batches must see each of them."""
        return True

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask for steps."""
        return self._member is not None

    @property
    def model(self) -> pl.LightningModule:
        """What is trained."""
        return self.trainer.lightning_module

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The one optimiser."""
        return self.trainer.optimizers[0]

    @property
    def loader(self) -> BatchLoader:
        """Where the batches come from."""
        return self.trainer.train_dataloader  # type: ignore[return-value]

    @property
    def accumulated(self) -> int:
        """Batches whose gradients are added up before an update."""
        return self.trainer.accumulate_grad_batches

    def updates(self, number: int) -> list[bool]:
        """Whether each of the next ``number`` batches, none of them in another epoch, ends in an update."""
        first, last = self.batch_progress.current.ready + 1, self.trainer.num_training_batches
        return [ready % self.accumulated == 0 or ready == last for ready in range(first, first + number)]

    def shown_update(self, number: int) -> int | None:
        """Which of the next ``number`` steps makes an update whose gradient a log shows; only the last one may."""
        last = max((step for step, is_update in enumerate(self.updates(number)) if is_update), default=None)
        if last is None or not isinstance(self.model, Supervised):
            return None
        return last if is_shown(self.trainer, self.batch_progress.total.ready + last + 1) else None

    def advance(self, data_fetcher: Any) -> None:
        """Ask for steps, and account for those that were made elsewhere."""
        if self._alone or not self.asks or self._restarting:
            if self._member is not None and self._member.is_interrupted:
                # Lightning handles Ctrl-C itself in the main thread only; this it lets through.
                raise SIGTERMException
            super().advance(data_fetcher)
            return
        device = self.generator.device
        self.generator.set_state(global_state(device))
        started = time.perf_counter()
        answer = self._ask()
        self._leave_out(time.perf_counter() - started, answer)
        if isinstance(answer, Results):
            set_global_state(device, self.generator.get_state())
            self._account(data_fetcher, answer)
        else:
            self._alone = answer is Answer.ALONE
            self._make_step(data_fetcher)

    def _leave_out(self, waited_s: float, answer: Answer | Results) -> None:
        """Have nobody who takes this member's time count what others had of it while it waited for an answer."""
        own_s = answer.seconds if isinstance(answer, Results) else 0.0
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if hasattr(callback, "leave_out"):
                callback.leave_out(waited_s - own_s)

    def _make_step(self, data_fetcher: Any) -> None:
        """Make a step as a solo run does, and take its time; of the first of them, what it keeps, too."""
        if self._has_passed:
            # Steps were made past the iterator; a new one goes on where they ended.
            iter(data_fetcher)
            data_fetcher.fetched = self.batch_progress.current.ready
            self._has_passed = False
        clock = Clock(self.generator.device)
        with Kept(self.model) if self.kept_bytes is None else nullcontext() as kept:
            super().advance(data_fetcher)
        clock.mark()
        self.step_s = clock.median_s()
        if kept is not None:
            self.kept_bytes = kept.num_bytes

    def _ask(self) -> Answer | Results:
        assert self._member is not None
        return self._member.ask(self)

    def take_rates(self, read: Callable[[], Rates], number: int) -> list[Rates]:
        """What ``read`` gives before each of the next steps; the schedules are stepped past them."""
        rates = []
        for batch_idx, is_update in enumerate(self.updates(number), self.batch_progress.current.ready):
            rates.append(read())
            if is_update:
                self._step_schedulers(batch_idx)
        return rates

    def _account(self, data_fetcher: Any, results: Results) -> None:
        """Do at once what the solo loop does in as many turns; the batches went past Lightning's ``data_fetcher``."""
        number = len(results.losses)
        num_updates = sum(self.updates(number))
        num_begun = sum((self.batch_progress.current.ready + each) % self.accumulated == 0 for each in range(number))
        self._has_passed = True
        data_fetcher.fetched += number
        counts = self.automatic_optimization.optim_progress.optimizer
        for progress, count in (
            (self.batch_progress, number),
            (counts.step, num_updates),
            (counts.zero_grad, num_begun),
        ):
            _add(progress.total, count)
            _add(progress.current, count)
        self.batch_progress.is_last_batch = self._num_ready_batches_reached()
        if self.batch_progress.is_last_batch:
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        # The last of them is counted as the turn ends.
        self._batches_that_stepped += num_updates - (not self._should_accumulate())
        self._replay = self._replay or Replay(self.model)
        self._replay(results)

    def seed_step(self, ahead: int) -> None:
        """Prepare ``generator`` for what the step after ``ahead`` others draws, as the solo run would be."""
        if isinstance(self.model, Supervised):
            # As ``Supervised.on_train_batch_start`` does; other models go on drawing from one generator.
            number = self.batch_progress.total.ready + ahead
            self.generator.manual_seed(derive_seed(self.model.seed, Stream.STEP, number, self.trainer.global_rank))


def _add(tracker: Any, number: int) -> None:
    """Count ``number`` more in each stage of one of Lightning's trackers."""
    for stage in vars(tracker):
        setattr(tracker, stage, getattr(tracker, stage) + number)
