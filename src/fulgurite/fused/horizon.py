"""How many steps a member can make before something happens between two of them, and how many it has left."""

import math
from typing import Any

from fulgurite.fused.loop import FusedEpochLoop

# Steps between two hand-overs at most: outputs of all of them are kept until then.
_MOST_STEPS = 128


def num_wanted(loop: FusedEpochLoop) -> int:
    """Steps until something happens between two of them: a log, a validation, the end."""
    trainer: Any = loop.trainer
    progress = loop.batch_progress
    ahead = [
        _MOST_STEPS,
        trainer.num_training_batches - progress.current.ready,
        _until_next(progress.total.ready, trainer.log_every_n_steps or _MOST_STEPS),
        _until_short_batch(loop),
    ]
    if trainer.max_steps != -1:
        until_update = _until_next(progress.current.ready, loop.accumulated)
        ahead.append(until_update + (trainer.max_steps - loop.global_step - 1) * loop.accumulated)
    if trainer.val_check_batch != float("inf"):
        counted = progress.total if trainer.check_val_every_n_epoch is None else progress.current
        ahead.append(_until_next(counted.ready, trainer.val_check_batch))
    return int(max(1, min(ahead)))


def num_left(loop: FusedEpochLoop) -> int:
    """Steps until the end of training, if nothing stops it early."""
    trainer = loop.trainer
    of_epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * trainer.num_training_batches
    of_updates = math.inf if trainer.max_steps == -1 else trainer.max_steps * loop.accumulated
    return int(min(of_epochs, of_updates, 1e9) - loop.batch_progress.total.ready)


def _until_short_batch(loop: FusedEpochLoop) -> float:
    """Steps until the smaller last batch of a pass, whose step is made by itself."""
    size, number = loop.loader.batch_size, len(loop.loader.x)
    if loop.loader.drop_last or not number % size:
        return math.inf
    return number // size - loop.batch_progress.current.ready % (number // size + 1)


def _until_next(count: int, every: float) -> int:
    """Steps from ``count`` steps done to the next multiple."""
    return int(every - count % every)
