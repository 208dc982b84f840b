"""What pictures look at, and how to look without leaving a trace.

Shapes: N samples, B batch, C classes, S one sample as the model sees it.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from fulgurite.data.in_memory import InMemoryData
from fulgurite.models.supervised import Supervised
from fulgurite.spec import DataSpec

# Samples that are kept of each validation batch, and of how many batches: batches may be small, and images large.
NUM_WORST, _MOST_BATCHES = 25, 8


@dataclass(frozen=True)
class Wrong:
    """Samples that were taken for another class, the surest first: B of them.

    Attributes:
        x: B x S.
        label: B, the true classes.
        guess: B, the classes they were taken for.
        share: B, the probabilities of the guesses.
    """

    x: Tensor
    label: Tensor
    guess: Tensor
    share: Tensor

    def surest(self) -> "Wrong":
        """The surest, of those that are wrong if there are enough; copies, in the place of whole batches."""
        order = self.share.where(self.guess != self.label, -1.0).topk(min(NUM_WORST, len(self.label))).indices
        return Wrong(*(getattr(self, name)[order] for name in _FIELDS))


_FIELDS = ("x", "label", "guess", "share")


def _joined(parts: Sequence[Wrong]) -> Wrong:
    return Wrong(*(torch.cat([getattr(each, name) for each in parts]) for name in _FIELDS))


class Seen:
    """Outputs of a validation of classes, collected as its batches pass by; on the device until they are asked for.

    Args:
        epochs: completed with this validation.
    """

    def __init__(self, epochs: int = 0) -> None:
        self.epochs = epochs
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._worst: list[Wrong] = []

    def add(self, batch: Any, outputs: Any) -> None:
        """Keep a batch, if it is one of ours: (x, class numbers) with scores as ``output``."""
        scores: Any = outputs.get("output") if isinstance(outputs, Mapping) else None
        pair: Any = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (None, None)
        x, y = pair
        if not _are_of_classes(x, y, scores):
            return
        self._outputs.append(scores)
        self._targets.append(y)
        share, guess = scores.float().softmax(dim=1).max(dim=1)
        self._worst.append(Wrong(x, y, guess, share).surest())
        if len(self._worst) == _MOST_BATCHES:
            self._worst = [_joined(self._worst).surest()]

    def __len__(self) -> int:
        return sum(map(len, self._targets))

    def outputs(self) -> tuple[Tensor, Tensor]:
        """Scores N x C and classes N, on the CPU."""
        return torch.cat(self._outputs).float().cpu(), torch.cat(self._targets).cpu()

    def counts(self) -> np.ndarray:
        """How often each class (row) was taken for each (column), C x C."""
        scores, y = self.outputs()
        number = scores.shape[1]
        return torch.bincount(y * number + scores.argmax(dim=1), minlength=number**2).view(number, number).numpy()

    def worst(self) -> Wrong:
        """The most wrong of all, on the CPU; none where all were right."""
        found = _joined(self._worst)
        order = found.share.where(found.guess != found.label, -1.0).argsort(descending=True, stable=True)
        order = order[: min(NUM_WORST, int((found.guess != found.label).sum()))]
        return Wrong(*(getattr(found, name)[order].cpu() for name in _FIELDS))


def _are_of_classes(x: Any, y: Any, scores: Any) -> bool:
    """Whether these are samples, the class of each, and scores of two classes or more; other modules have others."""
    if not all(isinstance(each, Tensor) for each in (x, y, scores)) or y.dtype != torch.int64 or y.dim() != 1:
        return False
    return scores.dim() == 2 and scores.shape[1] > 1 and len(x) == len(y) == len(scores)


@dataclass(frozen=True)
class Scene:
    """A run after an epoch.

    Attributes:
        trainer: of the run.
        model: what is trained.
        seen: the last validation.
        epochs: completed.
    """

    trainer: pl.Trainer
    model: pl.LightningModule
    seen: Seen
    epochs: int

    @property
    def data(self) -> InMemoryData | None:
        """The data, when it is one of ours."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        return data if isinstance(data, InMemoryData) else None

    @property
    def spec(self) -> DataSpec | None:
        """Sizes and task of the data, when it is one of ours."""
        return None if self.data is None else self.data.spec

    @property
    def is_whole(self) -> bool:
        """Whether this process holds the whole model."""
        return type(self.trainer.strategy) in (SingleDeviceStrategy, DDPStrategy)

    @property
    def is_callable(self) -> bool:
        """Whether this process alone may call the model on samples of ``data``."""
        return self.is_whole and self.data is not None and isinstance(self.model, Supervised)

    def encode(self, x: Tensor) -> Tensor:
        """Raw samples as the model sees them."""
        assert self.data is not None
        parameter = next(self.model.parameters())
        return self.data.encode(x.to(parameter.device)).to(parameter.dtype)

    def predict(self, x: Tensor) -> Tensor:
        """What the model says to raw samples (B x C), on the CPU."""
        return self.model(self.encode(x)).float().cpu()


def epochs_of(trainer: pl.Trainer) -> int:
    """Epochs completed."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return progress.processed


def part_done(trainer: pl.Trainer) -> float:
    """The part of the run that is done, in [0, 1]; 1 when its end is not known."""
    last = last_epoch(trainer)
    return 1.0 if last is None else min(1.0, epochs_of(trainer) / last)


def last_epoch(trainer: pl.Trainer) -> int | None:
    """The epoch that the run ends with, counted from 1; ``None`` when it goes on until something stops it.

    Known from the start of training on: ``max_steps`` is so many epochs as the loader has batches for.
    """
    steps = math.ceil(min(trainer.num_training_batches, trainer.max_steps) / trainer.accumulate_grad_batches)
    by_steps = math.ceil(trainer.max_steps / max(1, steps))
    ends = [each for each in (trainer.max_epochs or -1, by_steps) if each > 0]
    return min(ends, default=None)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Let a model be called, in evaluation mode and without gradients, and leave everything as it was.

    That is: the mode of each layer, and the states of the generators of torch, numpy and Python.
    """
    modes = [(each, each.training) for each in model.modules()]
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_device = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    try:
        with torch.no_grad(), _as_written(model):
            model.eval()
            yield
    finally:
        for each, training in modes:
            each.training = training
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        if on_device is not None:
            torch.cuda.set_rng_state(on_device)


@contextmanager
def _as_written(model: nn.Module) -> Iterator[None]:
    """Take what ``torch.compile`` has made out of a model, and put it back.

    Another batch size would compile it anew, and it cannot be traced for the graph.
    """
    with ExitStack() as stack:
        for module in list(model.modules()):
            own = vars(module)
            # Of module.compile(), and of Lightning's compiled models.
            for key in ("_compiled_call_impl", *(["forward"] if own.get("_compiler_ctx") else [])):
                if own.get(key) is not None:
                    stack.callback(own.__setitem__, key, own[key])
                    own.pop(key)
            for name, child in module.named_children():
                original = child._modules.get("_orig_mod")
                if original is not None:
                    stack.callback(module._modules.__setitem__, name, child)
                    module._modules[name] = original
        yield
