"""How long the gradient of an update is: the curve ``grad_norm``, which the recipe logs beside the loss."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor
from torch.nn.utils import get_total_norm


def is_shown(trainer: Any, number: int) -> bool:
    """Whether a log may come between an update and the next, so that it shows the gradient of this one.

    Args:
        trainer: of the run.
        number: of the batch that the update is made after, counted from 1 over the run.
    """
    every = trainer.log_every_n_steps
    return every > 0 and -number % every < trainer.accumulate_grad_batches


def gradient_norm(model: pl.LightningModule, optimizer: torch.optim.Optimizer) -> Tensor | None:
    """L2 norm of the gradient over all parameters as it lies there, a scalar on their device; nobody waits for it.

    ``None`` where that would be something else: LBFGS looks at several gradients in an update, whoever optimises by
    hand may have several optimisers, and other strategies than DDP (FSDP, say) leave each rank a part.
    """
    is_whole = isinstance(model.trainer.strategy, SingleDeviceStrategy | DDPStrategy)
    if not is_whole or not model.automatic_optimization or isinstance(optimizer, torch.optim.LBFGS):
        return None
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    return get_total_norm(gradients) if gradients else None
