"""What must be equal for jobs to be computed as one program, and what may differ between them."""

import copy
import weakref
from collections import deque
from collections.abc import Container, Mapping, Sequence
from dataclasses import is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.reads import Reads, attributes, is_metric
from fulgurite.fused.surroundings import HPARAMS

# In the place of what is not there.
_MISSING = "missing"


def signature(loop: FusedEpochLoop) -> tuple[Any, ...]:
    """Equal for loops whose steps can be one program; compare with ``==``."""
    return (*_model(loop.model), *_optimizer(loop), *_batches(loop))


def traced_state(loop: FusedEpochLoop, reads: Reads | None = None) -> list[Any]:
    """All that a program of ``loop`` has taken as it is for good, its own tensors by where they are; compare by ``==``.

    A hook between two epochs may change any of it: what a step computes with, what is trained, what mode a layer is in.

    Args:
        loop: of a member.
        reads: what the program's traces have read; attributes that they have not may change. ``None`` for all.
    """
    model = loop.model
    own = _own(model)
    return [
        {str(key): repr(value) for key, value in model.hparams.items() if _counts(reads, key)},
        _attributes_of(model, reads, own),
        [(id(each), each.data_ptr()) for each in (*model.parameters(), *model.buffers())],
        id(loop.optimizer),
        *_structure(model),
        *_optimizer(loop),
    ]


def alike(models: Sequence[pl.LightningModule], lifted: Container[tuple[str, str]], reads: Reads) -> bool:
    """Whether what a trace of one of the models has read is the same in all of them, but for what is lifted."""
    states = [
        {
            **{(HPARAMS, key): repr(value) for key, value in model.hparams.items() if _counts(reads, key)},
            **_attributes_of(model, reads, _own(model)),
        }
        for model in models
    ]
    seen = [{where: value for where, value in state.items() if where not in lifted} for state in states]
    return all(each == seen[0] for each in seen)


def lifted(models: Sequence[pl.LightningModule]) -> dict[tuple[str, str], Tensor]:
    """Numbers that differ between models of one signature: (module's name, attribute) to a tensor of K."""
    values: list[dict[tuple[str, str], Any]] = [_numbers(model) for model in models]
    device = next(models[0].parameters()).device
    dtype = next(models[0].parameters()).dtype
    for each, model in zip(values, models, strict=True):
        each.update({(HPARAMS, str(key)): value for key, value in model.hparams.items()})
    return {
        where: torch.tensor([each[where] for each in values], dtype=dtype, device=device)
        for where in values[0]
        if len({repr(each.get(where)) for each in values}) > 1
        and all(isinstance(each.get(where), float) for each in values)
    }


def differing(models: Sequence[pl.LightningModule]) -> list[str]:
    """Hyper-parameters that differ between models and are not numbers that could be lifted."""
    first = models[0].hparams
    return [
        str(key)
        for key in first
        if len({repr(model.hparams.get(key)) for model in models}) > 1
        and not all(isinstance(model.hparams.get(key), float) for model in models)
    ]


def _model(model: nn.Module) -> list[Any]:
    own = _own(model)
    described = _structure(model)
    for name, module in model.named_modules():
        for key, value in attributes(model, module):
            described.append((name, key, float if isinstance(value, float) else _plain(value, own)))
    return described


def _structure(model: nn.Module) -> list[Any]:
    described: list[Any] = [(name, type(module), module.training) for name, module in model.named_modules()]
    described += [(name, each.shape, each.dtype, each.requires_grad) for name, each in model.named_parameters()]
    described += [(name, each.shape, each.dtype) for name, each in model.named_buffers()]
    return described


def _numbers(model: nn.Module) -> dict[tuple[str, str], float]:
    return {
        (name, key): value
        for name, module in model.named_modules()
        for key, value in attributes(model, module)
        if isinstance(value, float)
    }


def _attributes_of(model: nn.Module, reads: Reads | None, own: Mapping[int, int]) -> dict[tuple[str, str], Any]:
    """Attributes that were read, those that are not there and the class's included; all there are for ``None``."""
    if reads is None or reads.all:
        return {
            (name, key): _plain(value, own)
            for name, module in model.named_modules()
            for key, value in attributes(model, module)
        }
    modules = dict(model.named_modules())
    found = {}
    for name, key in reads.attributes:
        module = modules.get(name)
        if module is None or is_metric(module):
            continue
        held = vars(module)
        value = held[key] if key in held else getattr(type(module), key, _MISSING)
        found[name, key] = _plain(value, own)
    return found


def _counts(reads: Reads | None, key: str) -> bool:
    return reads is None or reads.all or key in reads.hparams


def _own(model: nn.Module) -> dict[int, int]:
    """Which of a model's own tensors one is, by its id."""
    return {id(each): number for number, each in enumerate((*model.parameters(), *model.buffers()))}


def _plain(value: Any, own: Mapping[int, int], depth: int = 4) -> Any:
    """``value`` as something that ``==`` compares by content, and that stays when ``value`` is changed in place.

    Args:
        value: of an attribute.
        own: ids of the model's parameters and buffers, whose content is compared elsewhere.
        depth: how deep to look into objects.
    """
    if isinstance(value, torch.Tensor):
        return ("own", own[id(value)]) if id(value) in own else (value.shape, value.dtype, _bytes(value))
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype, value.tobytes())
    if isinstance(value, dict):
        return [(key, _plain(each, own, depth)) for key, each in value.items()]
    if isinstance(value, list | tuple | deque):
        return [_plain(each, own, depth) for each in value]
    if isinstance(value, set | bytearray):
        return copy.copy(value)
    if isinstance(value, weakref.ref):
        return _plain(value(), own, depth)
    is_plain = type(value).__eq__ is object.__eq__ or is_dataclass(value) or isinstance(value, SimpleNamespace)
    if is_plain and depth and not callable(value) and hasattr(value, "__dict__"):
        return (type(value), _plain(vars(value), own, depth - 1))
    return value


def _bytes(value: Tensor) -> bytes:
    """The content of a tensor; numpy knows no bfloat16."""
    return value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes()


def _optimizer(loop: FusedEpochLoop) -> list[Any]:
    names = {id(parameter): name for name, parameter in loop.model.named_parameters()}
    described: list[Any] = [type(loop.optimizer)]
    for group in loop.optimizer.param_groups:
        described.append([names.get(id(parameter)) for parameter in group["params"]])
        # What schedules keep there is theirs.
        for key in loop.optimizer.defaults:
            # Whether there is momentum at all decides which state is kept.
            described.append((key, bool(group[key]) if key == "momentum" else _kind(group[key])))
    return described


def _kind(value: Any) -> Any:
    """A type for what may differ; the value itself for what may not."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return float if isinstance(value, int | float) else type(value)


def _batches(loop: FusedEpochLoop) -> list[Any]:
    trainer, loader = loop.trainer, loop.loader
    return [
        loader.batch_size,
        loader.sample_shape,
        loader.x.dtype,
        loader.x.device,
        loader.drop_last,
        len(loader.x),
        _place_of_short_batch(loop),
        type(trainer.precision_plugin),
        trainer.gradient_clip_val is None,
        trainer.gradient_clip_algorithm,
        loop.accumulated,
        # Updates must fall on the same steps.
        (loop.batch_progress.current.ready, trainer.num_training_batches) if loop.accumulated > 1 else None,
    ]


def _place_of_short_batch(loop: FusedEpochLoop) -> tuple[int, int] | None:
    """Where each pass has a smaller last batch, jobs must reach it in the same step: their place, of how many."""
    loader = loop.loader
    if loader.drop_last or not len(loader.x) % loader.batch_size:
        return None
    return loop.batch_progress.current.ready, int(loop.trainer.num_training_batches)
