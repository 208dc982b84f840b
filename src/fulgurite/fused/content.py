"""The content of an attribute, to be compared with that of another, or with its own at another time."""

import copy
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_IMMUTABLE = (bool, int, float, str, type(None))


def content(value: Any, own: Mapping[int, int], depth: int = 4) -> Any:
    """``value`` as something that ``==`` compares by content, and that stays when ``value`` is changed in place.

    Functions and other objects that can be called, and those that say themselves what is equal, are what they are.

    Args:
        value: of an attribute.
        own: of ``own_tensors``, whose content is compared elsewhere.
        depth: how deep to look into objects.
    """
    if type(value) in _IMMUTABLE:
        return value
    if isinstance(value, Tensor):
        return ("own", own[id(value)]) if id(value) in own else (value.shape, value.dtype, _bytes(value))
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype, value.tobytes())
    if isinstance(value, dict):
        return [(key, content(each, own, depth)) for key, each in value.items()]
    if isinstance(value, list | tuple | deque):
        return [content(each, own, depth) for each in value]
    if isinstance(value, set | bytearray):
        return copy.copy(value)
    if isinstance(value, weakref.ref):
        return content(value(), own, depth)
    is_plain = type(value).__eq__ is object.__eq__ or is_dataclass(value) or isinstance(value, SimpleNamespace)
    if is_plain and depth and not callable(value) and hasattr(value, "__dict__"):
        return (type(value), content(vars(value), own, depth - 1))
    return value


def own_tensors(model: nn.Module) -> dict[int, int]:
    """Which of a model's parameters and buffers a tensor is, by its id."""
    return {id(each): number for number, each in enumerate((*model.parameters(), *model.buffers()))}


def _bytes(value: Tensor) -> bytes:
    """The content of a tensor; numpy knows no bfloat16."""
    return value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes()
