"""What runs of Boltzmann machines ask of their data, and measure.

Shapes: B batch, V visible units.
"""

import pytorch_lightning as pl
import torch
from torch import Tensor

from fulgurite.errors import DataError
from fulgurite.models.boltzmann import BoltzmannMachine

# Samples that a machine begins with, and those that free energies are averaged over.
_NUM_FIRST, _NUM_COMPARED = 10_000, 1000


def measured(machine: BoltzmannMachine, v: Tensor) -> dict[str, Tensor]:
    """Mean ``reconstruction`` and ``pseudo_likelihood`` of samples B x V."""
    return {name: getattr(machine, name)(v).mean() for name in ("reconstruction", "pseudo_likelihood")}


def first_samples(model: pl.LightningModule) -> Tensor | None:
    """Training samples that a machine may begin with, B x V; ``None`` for a data module that is none of ours."""
    return _samples(model, "train", _NUM_FIRST)


@torch.no_grad()
def free_energy_gap(machine: BoltzmannMachine, model: pl.LightningModule) -> Tensor | None:
    """Mean free energy of validation samples less that of as many training samples, in nats.

    About 0 at first; it grows where the machine learns its samples by heart (Hinton's guide, section 6).

    Args:
        machine: reads flattened samples.
        model: the machine's, in training; ``None`` for a data module that is none of ours.
    """
    val, train = (_samples(model, name, _NUM_COMPARED) for name in ("val", "train"))
    if val is None or train is None:
        return None
    return machine.free_energy(val).mean() - machine.free_energy(train).mean()


def _samples(model: pl.LightningModule, part: str, number: int) -> Tensor | None:
    data = model.trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(data, "part"):
        return None
    return data.encode(data.part(part).x[:number]).flatten(1).to(next(model.parameters()).dtype)


def check_probabilities(x: Tensor, model: str) -> None:
    """Refuse samples that are no probabilities of binary units.

    Raises:
        DataError: with their range and what to do.
    """
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"model={model} reads numbers from 0 to 1, the probabilities of binary units, and these go from {low:.3g} "
            f"to {high:.3g}; use data.scaling=unit"
        )
