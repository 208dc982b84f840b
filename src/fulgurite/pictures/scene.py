"""What pictures look at, and how to look without leaving a trace.

Shapes: N samples, B batch, C classes, S one sample as the model sees it.
"""

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from fulgurite.data.in_memory import InMemoryData
from fulgurite.models.supervised import Supervised
from fulgurite.pictures.history import History
from fulgurite.pictures.seen import Seen
from fulgurite.spec import DataSpec


@dataclass(frozen=True)
class Scene:
    """A run after an epoch.

    Attributes:
        trainer: of the run.
        model: what is trained.
        seen: the last validation.
        epochs: completed.
        history: metrics of each of them.
    """

    trainer: pl.Trainer
    model: pl.LightningModule
    seen: Seen
    epochs: int
    history: History = field(default_factory=History)

    @property
    def data(self) -> InMemoryData | None:
        """The data, when it is one of ours."""
        return _data_of(self.trainer)

    @property
    def spec(self) -> DataSpec | None:
        """Sizes and task of the data, when it is one of ours."""
        return spec_of(self.trainer)

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


def spec_of(trainer: pl.Trainer) -> DataSpec | None:
    """Sizes and task of a run's data, when it is one of ours."""
    data = _data_of(trainer)
    return None if data is None else data.spec


def _data_of(trainer: pl.Trainer) -> InMemoryData | None:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, InMemoryData) else None


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
