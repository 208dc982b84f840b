"""Members whose batches are spread over ranks: each is an ordinary DDP run of Lightning's in every rank."""

from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn

from fulgurite.errors import is_interrupt
from fulgurite.fused.answers import Answer, Results
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.ranks import Ranks


class SpreadEpochLoop(FusedEpochLoop):
    """The epoch loop of a member on several devices; what it does not compute in a program, DDP does."""

    strategies: ClassVar[tuple[type, ...]] = (DDPStrategy,)

    def why_alone(self) -> str | None:
        """See the base class."""
        if any(isinstance(each, nn.SyncBatchNorm) for each in self.model.modules()):
            return "its batch norm takes its statistics over all devices"
        return super().why_alone()

    def _ask(self) -> Answer | Results:
        """See the base class."""
        _forget_redirection(self.model)
        return super()._ask()


def _forget_redirection(model: pl.LightningModule) -> None:
    """Take away what Lightning leaves when it has led a validation step through DDP: the model's own ``forward``.

    It would look as if a hook had changed the model.
    """
    left = vars(model).get("forward")
    if left is not None and left == type(model).forward.__get__(model):
        del vars(model)["forward"]


def spread(trainer: Any, ranks: Ranks) -> None:
    """Make ``trainer``, which has a ``SpreadEpochLoop``, one of those that ``ranks`` train together."""
    trainer.fit_loop.epoch_loop.ranks = ranks
    trainer.callbacks.append(FailTogether(ranks))


class FailTogether(pl.Callback):
    """Before a job is recorded as failed, makes sure that it has failed in all ranks, and not for want of one.

    Args:
        ranks: who trains it.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Meet the others, or leave them when the user has interrupted this one."""
        if isinstance(exception, SIGTERMException) or is_interrupt(exception):
            self._ranks.leave()
        else:
            self._ranks.meet_failed(exception)
