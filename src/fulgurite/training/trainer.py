"""Lightning's Trainer, with errors that say what to type."""

from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from fulgurite.errors import ConfigError, check_int


class Trainer(pl.Trainer):
    """Lightning's Trainer, which refuses a device that is not there in words of the config.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``.
        devices: how many devices, or -1 for all.
        max_epochs: epochs to train, at least 1; ``null`` when ``max_steps`` or -1 says when to stop.
        options: see Lightning's ``Trainer``.

    Raises:
        ConfigError: when there is no such device, not as many of them, or no epoch to train.
    """

    def __init__(self, accelerator: str, devices: int | str, max_epochs: int | None, **options: Any) -> None:
        if max_epochs not in (None, -1):
            check_int("max_epochs", max_epochs)
        _check_accelerator(accelerator)
        try:
            super().__init__(accelerator=accelerator, devices=devices, max_epochs=max_epochs, **options)
        except MisconfigurationException as error:
            raise ConfigError(f"trainer.accelerator={accelerator} with trainer.devices={devices}: {error}") from error


def _check_accelerator(name: str) -> None:
    """Refuse an accelerator that this machine does not have; a name that Lightning does not know is left to it."""
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"cuda": has_cuda, "mps": has_mps, "gpu": has_cuda or has_mps}
    if not there.get(name, True):
        here = ", ".join(["cpu", *(known for known, is_there in there.items() if is_there)])
        raise ConfigError(f"trainer.accelerator={name}: this machine has no such device, only {here}; use trainer=auto")
