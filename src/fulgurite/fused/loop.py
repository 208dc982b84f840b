"""The epoch loop of a member: it asks for many steps at once, and accounts for them as if it had made each."""

import math
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, ClassVar, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.fused.device import Clock, global_state, set_global_state
from fulgurite.fused.member import Member, current_member
from fulgurite.fused.memory import Kept
from fulgurite.fused.ranks import Ranks
from fulgurite.fused.records import Call, Replay
from fulgurite.fused.stacked_optimizer import Rates
from fulgurite.models.supervised import Supervised
from fulgurite.randomness import Stream, derive_seed
from fulgurite.training.loop import FastEpochLoop
from fulgurite.training.loop_scope import why_special

# Steps between two hand-overs at most: outputs of all of them are kept until then.
_MOST_STEPS = 128


class Answer(Enum):
    """What a member may be told instead of results."""

    STEP = auto()  # make one step yourself, then ask again
    ALONE = auto()  # make all further steps yourself


class Results(NamedTuple):
    """Of N steps of one member.

    Attributes:
        losses: N.
        outputs: N x B x C; ``None`` for a model that hands none out.
        targets: N x B or N x B x C.
        calls: what each step logged and measured.
        recorded: what it did so with, N x ... each.
    """

    losses: Tensor
    outputs: Tensor | None
    targets: Tensor
    calls: Sequence[Call]
    recorded: Sequence[Tensor]


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
        if self.trainer.val_check_batch is None:
            return "trainer.val_check_interval is a time"
        if any(isinstance(each, GradientAccumulationScheduler) for each in self.trainer.callbacks):  # type: ignore[attr-defined]
            return "it accumulates gradients over a number of batches that changes"
        if self.accumulated > 1 and not isinstance(self.model, Supervised):
            return "it accumulates gradients, and its step may log"
        if reason := _gradient_hook(self.model):
            return reason
        # Callbacks' hooks are bound to trainer and model, the model's own are not.
        hooks = [*self._batch_start, *self._batch_end]
        for hook in hooks:
            if isinstance(hook, partial):
                callback: Any = hook.func.__self__  # type: ignore[attr-defined]
                if self._looks_at_each_batch(callback):
                    return f"its callback {type(callback).__name__} looks at each batch"
            elif not isinstance(self.model, Supervised):
                return "its model has a hook on_train_batch_end"
        return None

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

    def num_wanted(self) -> int:
        """Steps until something happens between two of them: a log, a validation, the end."""
        trainer: Any = self.trainer
        progress = self.batch_progress
        ahead = [
            _MOST_STEPS,
            trainer.num_training_batches - progress.current.ready,
            _until_next(progress.total.ready, trainer.log_every_n_steps),
            self._until_short_batch(),
        ]
        if trainer.max_steps != -1:
            until_update = _until_next(progress.current.ready, self.accumulated)
            ahead.append(until_update + (trainer.max_steps - self.global_step - 1) * self.accumulated)
        if trainer.val_check_batch != float("inf"):
            counted = progress.total if trainer.check_val_every_n_epoch is None else progress.current
            ahead.append(_until_next(counted.ready, trainer.val_check_batch))
        return int(max(1, min(ahead)))

    def _until_short_batch(self) -> float:
        """Steps until the smaller last batch of a pass, whose step is made by itself."""
        size, number = self.loader.batch_size, len(self.loader.x)
        if self.loader.drop_last or not number % size:
            return math.inf
        return number // size - self.batch_progress.current.ready % (number // size + 1)

    def score(self) -> float:
        """The latest value of what its checkpoints are chosen by, larger for better."""
        checkpoints: list[Any] = self.trainer.checkpoint_callbacks
        watching = [each for each in checkpoints if each.monitor is not None]
        value = watching[0].current_score if watching else None
        if value is None or not math.isfinite(value):
            return -math.inf
        return float(value) if watching[0].mode == "max" else -float(value)

    def num_left(self) -> int:
        """Steps until the end of training, if nothing stops it early."""
        trainer = self.trainer
        of_epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * trainer.num_training_batches
        of_steps = math.inf if trainer.max_steps == -1 else trainer.max_steps
        return int(min(of_epochs, of_steps, 1e9) - self.batch_progress.total.ready)

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
        answer = self._ask()
        if isinstance(answer, Results):
            set_global_state(device, self.generator.get_state())
            self._account(data_fetcher, answer)
            return
        self._alone = answer is Answer.ALONE
        if self._has_passed:
            # Steps were made past the iterator; a new one goes on where they ended.
            iter(data_fetcher)
            data_fetcher.fetched = self.batch_progress.current.ready
            self._has_passed = False
        clock = Clock(device)
        if self.kept_bytes is None:
            with Kept(self.model) as kept:
                super().advance(data_fetcher)
            self.kept_bytes = kept.num_bytes
        else:
            super().advance(data_fetcher)
        clock.mark()
        self.step_s = clock.median_s()

    def _ask(self) -> Any:
        """An ``Answer``, or ``Results``."""
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

    def _account(self, data_fetcher: Any, results: "Results") -> None:
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
        self._log(results)

    def _log(self, results: Results) -> None:
        """Log and measure what the steps would have."""
        connector: Any = self.trainer._logger_connector
        is_first = connector._first_loop_iter is None
        if isinstance(self.model, Supervised) and results.outputs is not None:
            self.model.collect_training(
                results.losses.mean(), results.outputs.flatten(0, 1), results.targets.flatten(0, 1)
            )
            self.model.log_step(results.losses[-1])
        if results.calls:
            # At the first batch of an epoch, ``self.log`` forgets the epoch before.
            connector._first_loop_iter = is_first
            self._replay = self._replay or Replay(self.model)
            self._replay(results.calls, results.recorded, results.targets.shape[1])
            connector._first_loop_iter = is_first and len(results.losses) == 1
            connector.on_batch_end()
            connector.update_train_step_metrics()
        connector._first_loop_iter = is_first and len(results.losses) == 1

    def seed_step(self, ahead: int) -> None:
        """Prepare ``generator`` for what the step after ``ahead`` others draws, as the solo run would be."""
        if isinstance(self.model, Supervised):
            # As ``Supervised.on_train_batch_start`` does; other models go on drawing from one generator.
            number = self.batch_progress.total.ready + ahead
            self.generator.manual_seed(derive_seed(self.model.seed, Stream.STEP, number, self.trainer.global_rank))


def _gradient_hook(model: pl.LightningModule) -> str | None:
    """Whose gradient a hook looks at, in words: gradients of a program pass it by."""
    for name, parameter in model.named_parameters():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            return f"its parameter {name} has a hook for its gradient"
    for name, module in model.named_modules():
        if module._backward_hooks or module._backward_pre_hooks:
            return f"its layer {name or type(module).__name__} has a hook for gradients"
    return None


def _add(tracker: Any, number: int) -> None:
    """Count ``number`` more in each stage of one of Lightning's trackers."""
    for stage in vars(tracker):
        setattr(tracker, stage, getattr(tracker, stage) + number)


def _until_next(count: int, every: float) -> int:
    """Steps from ``count`` steps done to the next multiple."""
    return int(every - count % every)
