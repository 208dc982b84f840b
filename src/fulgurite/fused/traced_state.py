"""What a traced program has taken as it was, for good."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from torch import nn

from fulgurite.fused.content import content, own_tensors
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.reads import Reads, attributes, is_metric
from fulgurite.fused.signature import optimizer_kind
from fulgurite.fused.surroundings import HPARAMS

# In the place of what is not there.
_MISSING = "missing"
# Where torch keeps what is called round a module.
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def traced_state(loop: FusedEpochLoop, reads: Reads | None = None) -> list[Any]:
    """All that a program of ``loop`` has taken as it is for good, its own tensors by where they are; compare by ``==``.

    A hook between two epochs may change any of it: what a step computes with, what is trained, what mode a layer is in.

    Args:
        loop: of a member.
        reads: what the program's traces have read; attributes that they have not may change. ``None`` for all.
    """
    model = loop.model
    modules = dict(model.named_modules())
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return [
        _hparams(model, reads),
        _attributes(modules, reads, own_tensors(model)),
        [(name, type(module), module.training, _hooks(module)) for name, module in modules.items()],
        [(name, id(each), each.data_ptr(), each.shape, each.dtype, each.requires_grad) for name, each in own.items()],
        id(loop.optimizer),
        optimizer_kind(loop),
    ]


def alike(models: Sequence[pl.LightningModule], lifted: Container[tuple[str, str]], reads: Reads) -> bool:
    """Whether what a trace of one of the models has read is the same in all of them, but for what is lifted."""
    states = []
    for model in models:
        read = _attributes(dict(model.named_modules()), reads, own_tensors(model))
        read |= {(HPARAMS, key): value for key, value in _hparams(model, reads).items()}
        states.append({where: value for where, value in read.items() if where not in lifted})
    return all(each == states[0] for each in states)


def _hparams(model: pl.LightningModule, reads: Reads | None) -> dict[str, str]:
    return {
        str(key): repr(value)
        for key, value in model.hparams.items()
        if reads is None or reads.all or key in reads.hparams
    }


def _attributes(
    modules: Mapping[str, nn.Module], reads: Reads | None, own: Mapping[int, int]
) -> dict[tuple[str, str], Any]:
    """Attributes that were read, those that are not there and the class's included; all there are for ``None``."""
    if reads is None or reads.all:
        return {
            (name, key): content(value, own)
            for name, module in modules.items()
            for key, value in attributes(modules[""], module)
        }
    found = {}
    for name, key in reads.attributes:
        module = modules.get(name)
        if module is None or is_metric(module):
            continue
        held = vars(module)
        found[name, key] = content(held[key], own) if key in held else _of_class(type(module), key, own)
    return found


def _hooks(module: nn.Module) -> list[int]:
    """What is called round the forward or backward of a module."""
    held = vars(module)
    return [id(hook) for kind in _HOOKS for hook in held[kind].values()]


def _of_class(kind: type, key: str, own: Mapping[int, int]) -> Any:
    value = getattr(kind, key, _MISSING)
    return value if callable(value) else content(value, own)
