"""Several processes that train one run must have been given one config."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import distributed

from fulgurite.errors import ConfigError

# Hexadecimal digits that a 64-bit integer holds for certain.
_DIGITS = 15


class SameConfig(Callback):
    """Compares the fingerprints of all processes of a run before its first step.

    Lightning starts the other processes by typing the command again; what comes of that may depend on the process, and
    gradients of different runs would be averaged without a word.

    Args:
        fingerprint: of the config of this process, in hexadecimal.
    """

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare them, as soon as the processes know each other.

        Raises:
            ConfigError: in each process, when there are two that differ.
        """
        if not distributed.is_initialized():
            return
        own = torch.tensor(int(self._fingerprint[:_DIGITS], 16), device=trainer.strategy.root_device)
        of_all = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(of_all, own)
        found = [int(each) for each in of_all]
        other = next((rank for rank, each in enumerate(found) if each != found[0]), None)
        if other is not None:
            raise ConfigError(
                f"all processes of a run must have the same config, got {found[0]:0{_DIGITS}x} in process 0 and "
                f"{found[other]:0{_DIGITS}x} in process {other} (fingerprints); leave out what depends on the process, "
                "such as ${oc.env:LOCAL_RANK}, a random number or the time"
            )


def check_same_config(trainer: pl.Trainer, fingerprint: str) -> None:
    """Have it done before the hooks of all other callbacks, which may talk to each other, too."""
    if trainer.world_size > 1:
        trainer.callbacks.insert(0, SameConfig(fingerprint))  # type: ignore[attr-defined]
