"""What must be equal for jobs to be computed as one program, and what may differ between them."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fulgurite.fused.content import content, own_tensors
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.reads import attributes
from fulgurite.fused.surroundings import HPARAMS


def signature(loop: FusedEpochLoop) -> tuple[Any, ...]:
    """Equal for loops whose steps can be one program; compare with ``==``."""
    return (*_model(loop.model), *optimizer_kind(loop), *_batches(loop))


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
    own = own_tensors(model)
    described: list[Any] = []
    for name, module in model.named_modules():
        described.append((name, type(module), module.training))
        for key, value in attributes(model, module):
            described.append((name, key, float if isinstance(value, float) else content(value, own)))
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


def optimizer_kind(loop: FusedEpochLoop) -> list[Any]:
    """What may not differ between the optimisers of one program."""
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
