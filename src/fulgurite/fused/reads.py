"""Which attributes and hyper-parameters a training step reads while it is traced.

A trace has taken for good what the step has read, and nothing else: only that need stay as it is. Attributes are looked
up by ``nn.Module.__getattribute__``. Where one cannot tell what was read (``vars(self)``, a copy of the module, all of
``self.hparams``), everything counts as read. A step that asks ``object.__getattribute__`` passes by.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.nn.modules import module as torchs_own
from torchmetrics import Metric, MetricCollection

from fulgurite.models.scores import Scores

# What torch and Lightning keep on a module for themselves.
_BOOKKEEPING = frozenset(vars(nn.Module()))
_LIGHTNINGS_OWN = frozenset({*vars(pl.LightningModule()), "_hparams", "_hparams_name", "_hparams_initial"})
# Asked for by whoever wants all attributes: by ``vars``, by ``copy``, by ``pickle``.
_OF_ALL = frozenset({"__dict__", "__getstate__", "__reduce__", "__reduce_ex__", "__deepcopy__", "__copy__", "__dir__"})
# Code that looks into ``__dict__`` for one attribute, whose name was looked up before, or is set.
_OF_ONE = {
    (torchs_own.__name__, "__getattr__"),
    (torchs_own.__name__, "__setattr__"),
    (torchs_own.__name__, "__delattr__"),
    (functools.__name__, "__get__"),
    ("fulgurite.fused.surroundings", "set_attribute"),
}


class Reads:
    """What traced steps of one model have read.

    Attributes:
        attributes: (module's name, attribute), also such as were not there.
        hparams: keys of hyper-parameters, also such as were not there.
        all: there was a read of which one cannot tell what it took.
    """

    def __init__(self) -> None:
        self.attributes: set[tuple[str, str]] = set()
        self.hparams: set[str] = set()
        self.all = False

    @property
    def number(self) -> int:
        """Grows with each read of something new."""
        return len(self.attributes) + len(self.hparams) + self.all

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Note what is read of ``model`` and its modules while the context lasts."""
        look_up = self._noting({id(module): name for name, module in model.named_modules()})
        of_somebody = vars(nn.Module).get("__getattribute__")
        nn.Module.__getattribute__ = look_up  # type: ignore[method-assign, assignment]
        try:
            # A class that looks up its attributes itself may pass by this.
            self.all = self.all or any(type(each).__getattribute__ is not look_up for each in model.modules())
            yield
        finally:
            if of_somebody is None:
                del nn.Module.__getattribute__
            else:
                nn.Module.__getattribute__ = of_somebody  # type: ignore[method-assign]
        self._forget_left_out(model)

    def _noting(self, names: Mapping[int, str]) -> Callable[[nn.Module, str], Any]:
        """``nn.Module.__getattribute__`` that notes what is read of modules, whose names are given by their ids."""
        found: Callable[[nn.Module, str], Any] = nn.Module.__getattribute__

        def look_up(module: nn.Module, key: str) -> Any:
            if id(module) not in names:
                return found(module, key)
            if key in _OF_ALL:
                caller = sys._getframe(1)
                self.all = self.all or (caller.f_globals.get("__name__"), caller.f_code.co_name) not in _OF_ONE
            elif key not in _BOOKKEEPING:
                self.attributes.add((names[id(module)], key))
            return found(module, key)

        return look_up

    def _forget_left_out(self, model: nn.Module) -> None:
        modules = dict(model.named_modules())
        self.attributes = {
            (name, key)
            for name, key in self.attributes
            if name in modules and key not in left_out(model, modules[name])
        }


def attributes(model: nn.Module, module: nn.Module) -> list[tuple[str, Any]]:
    """Attributes of one of a model's modules that a step may compute with."""
    if is_metric(module):
        return []
    unread = left_out(model, module)
    return [(key, value) for key, value in vars(module).items() if key not in unread]


def is_metric(module: nn.Module) -> bool:
    """Whether a module measures, which is recorded and made up for elsewhere."""
    return isinstance(module, Metric | MetricCollection | Scores)


def left_out(model: nn.Module, module: nn.Module) -> frozenset[str]:
    """Attributes of one of a model's modules that are no step's."""
    if module is not model:
        return _BOOKKEEPING
    return _BOOKKEEPING.union(_LIGHTNINGS_OWN, getattr(model, "not_in_step", ()))
