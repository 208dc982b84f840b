"""A run that goes on from a checkpoint must have the optimiser and the kind of schedule that the checkpoint is of."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from fulgurite.errors import RunFolderError

_KEY = "optimised_by"


class SameOptimizer(Callback):
    """Notes classes in each checkpoint, and compares them before another run takes the state of their objects over.

    A state brings its hyperparameters with it: an SGD with those of an AdamW fails in its first step, for want of a
    momentum, and an Adam with those of an AdamW trains on without a word. Of schedules it is the class that counts:
    those of one class, such as cosine and step, go on from the number of the step alone.
    """

    def __init__(self) -> None:
        self._noted: dict[str, list[str]] = {}
        self._keys: list[set[str]] = []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the classes."""
        checkpoint[_KEY] = _classes(trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what was noted, and the names of the hyperparameters for a checkpoint without notes."""
        self._noted = checkpoint.get(_KEY, {})
        self._keys = [set(state["param_groups"][0]) for state in checkpoint.get("optimizer_states", [])]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare; the checkpoint has been read, and the states of optimisers and schedules are not yet taken over.

        Raises:
            RunFolderError: when a class is another.
        """
        for group, own in _classes(trainer).items():
            there = self._noted.get(group, own)
            if there != own:
                raise _other(trainer.ckpt_path, group, _listed(there), own)
        for optimizer, keys in zip(trainer.optimizers, self._keys, strict=False):
            # A newer torch may know more of them, never fewer.
            if unknown := sorted(keys - set(optimizer.param_groups[0]) - {"initial_lr"}):
                raise _other(trainer.ckpt_path, "optimizer", f"one with {', '.join(unknown)}", [_name(optimizer)])


def _classes(trainer: pl.Trainer) -> dict[str, list[str]]:
    """By config group."""
    return {
        "optimizer": [_name(each) for each in trainer.optimizers],
        "scheduler": [_name(each.scheduler) for each in trainer.lr_scheduler_configs],
    }


def _other(path: object, group: str, there: str, own: Sequence[str]) -> RunFolderError:
    return RunFolderError(
        f"the {group} of the checkpoint {path} is {there}, and that of the config is {_listed(own)}; "
        f"use the {group}= of the run that wrote it, or train without checkpoint="
    )


def _name(one: object) -> str:
    return type(one).__name__


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
