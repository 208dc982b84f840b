"""What must be equal for jobs to be computed as one program, and what may differ between them."""

import weakref
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.surroundings import HPARAMS
from fulgurite.models.scores import Scores

# What torch and Lightning keep on a module for themselves.
_BOOKKEEPING = frozenset(vars(nn.Module()))
_LIGHTNINGS_OWN = frozenset({*vars(pl.LightningModule()), "_hparams", "_hparams_name", "_hparams_initial"})


def signature(loop: FusedEpochLoop) -> tuple[Any, ...]:
    """Equal for loops whose steps can be one program; compare with ``==``."""
    return (*_model(loop.model), *_optimizer(loop), *_batches(loop))


def traced_state(loop: FusedEpochLoop) -> list[Any]:
    """All that a program of ``loop`` has taken as it is for good, its own tensors by where they are; compare by ``==``.

    A hook between two epochs may change any of it: what a step computes with, what is trained, what mode a layer is in.
    """
    model = loop.model
    own = [*model.parameters(), *model.buffers()]
    hparams = {str(key): repr(value) for key, value in model.hparams.items()}
    return [
        hparams,
        _numbers(model),
        [(id(each), each.data_ptr()) for each in own],
        id(loop.optimizer),
        *_model(model),
        *_optimizer(loop),
    ]


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
    own = {id(each) for each in (*model.parameters(), *model.buffers())}
    described: list[Any] = []
    for name, module in model.named_modules():
        described.append((name, type(module), module.training))
        for key, value in _attributes(model, module):
            described.append((name, key, float if isinstance(value, float) else _plain(value, own)))
    described += [(name, each.shape, each.dtype, each.requires_grad) for name, each in model.named_parameters()]
    described += [(name, each.shape, each.dtype) for name, each in model.named_buffers()]
    return described


def _numbers(model: nn.Module) -> dict[tuple[str, str], float]:
    return {
        (name, key): value
        for name, module in model.named_modules()
        for key, value in _attributes(model, module)
        if isinstance(value, float)
    }


def _attributes(model: nn.Module, module: nn.Module) -> list[tuple[str, Any]]:
    """Attributes of a module that a step may compute with."""
    if isinstance(module, Metric | MetricCollection | Scores):
        return []
    left_out = _LIGHTNINGS_OWN.union(getattr(model, "not_in_step", ())) if module is model else ()
    return [(key, value) for key, value in vars(module).items() if key not in _BOOKKEEPING and key not in left_out]


def _plain(value: Any, own: set[int], depth: int = 4) -> Any:
    """``value`` as something that ``==`` compares by content.

    Args:
        value: of an attribute.
        own: ids of the model's parameters and buffers, which are compared elsewhere.
        depth: how deep to look into objects.
    """
    if isinstance(value, torch.Tensor):
        return "own" if id(value) in own else (value.shape, value.dtype, _bytes(value))
    if isinstance(value, dict):
        return [(key, _plain(each, own, depth)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(each, own, depth) for each in value]
    if isinstance(value, weakref.ref):
        return _plain(value(), own, depth)
    if type(value).__eq__ is object.__eq__ and depth and not callable(value) and hasattr(value, "__dict__"):
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
