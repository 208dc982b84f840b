"""What a training step finds around it while it is traced.

A trace keeps what a step did once. Whatever it reads that changes from step to step, or from member to member, would be
frozen in silence; so such things are lifted to tensors, or refuse to be read.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.parsing import AttributeDict
from torch import Tensor, nn
from torchmetrics import Metric

from fulgurite.fused.reads import Reads, attributes
from fulgurite.fused.unfusable import UnfusableError

# In the place of a module's name: an entry of ``self.hparams``.
HPARAMS = "self.hparams"


class _Forbidden:
    """Refuses whatever is done with it."""

    def __init__(self, name: str) -> None:
        vars(self)["name"] = name

    def _refuse(self, *args: Any) -> NoReturn:
        raise UnfusableError(f"its training step reads {vars(self)['name']}")

    __getattr__ = __getitem__ = __bool__ = __index__ = __int__ = __float__ = __len__ = __iter__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __mod__ = __floordiv__ = __pow__ = __hash__ = _refuse


BATCH_IDX = _Forbidden("batch_idx")


class _HParams(AttributeDict):
    """Hyper-parameters, some of which are lifted or may not be read; notes which are."""

    def __init__(self, values: Mapping[str, Any], reads: Reads) -> None:
        super().__init__(values)
        vars(self)["reads"] = reads

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError as error:
            raise AttributeError(f"there is no hyper-parameter {key}") from error

    def __getitem__(self, key: str) -> Any:
        vars(self)["reads"].hparams.add(key)
        value = super().__getitem__(key)
        if isinstance(value, _Differs):
            raise UnfusableError(f"its training step reads self.hparams.{key}, in which the jobs differ")
        return value

    def __contains__(self, key: object) -> bool:
        vars(self)["reads"].hparams.add(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __setitem__(self, key: str, value: Any) -> NoReturn:
        raise UnfusableError(f"its training step keeps something for later in self.hparams.{key}")


def _reading_all(name: str) -> Callable[..., Any]:
    """A method of ``dict`` that looks at all there is."""
    method = getattr(dict, name)

    def read(hparams: _HParams, *args: Any, **options: Any) -> Any:
        vars(hparams)["reads"].all = True
        if any(isinstance(value, _Differs) for value in dict.values(hparams)):
            raise UnfusableError("its training step reads all of self.hparams, in which the jobs differ")
        return method(hparams, *args, **options)

    return read


for _name in ("__iter__", "__len__", "__eq__", "__ne__", "__or__", "__ror__", "__ior__", "__reversed__", "__repr__"):
    setattr(_HParams, _name, _reading_all(_name))
for _name in ("copy", "items", "keys", "values", "pop", "popitem", "setdefault", "update", "clear", "__delitem__"):
    setattr(_HParams, _name, _reading_all(_name))


class _Differs:
    """Marks a hyper-parameter that is not a number and not the same for all members."""


@contextmanager
def isolated(
    model: pl.LightningModule, lifted: Mapping[tuple[str, str], Any], differing: Sequence[str], reads: Reads
) -> Iterator[None]:
    """Set lifted attributes, and keep the model from what is not part of a step, while the context lasts.

    Args:
        model: whose step is traced.
        lifted: (module's name, attribute) to its value for one member.
        differing: hyper-parameters that the step may not read.
        reads: takes down which it does read.

    Raises:
        UnfusableError: when the step has changed attributes, which would be lost on the other steps.
    """
    states = [(module, dict(vars(module))) for module in model.modules()]
    for (name, attribute), value in lifted.items():
        if name != HPARAMS:
            vars(model.get_submodule(name))[attribute] = value
    vars(model)["_trainer"] = _Forbidden("its trainer, or the number of the step or epoch")
    of_hparams = {attribute: value for (name, attribute), value in lifted.items() if name == HPARAMS}
    marked = {key: _Differs() for key in differing}
    vars(model)["_hparams"] = _HParams({**model.hparams, **marked, **of_hparams}, reads)
    # As each job began; in these they may differ, too.
    vars(model)["_hparams_initial"] = _Forbidden("self.hparams_initial")
    during = [(module, _sizes(model, module)) for module, _ in states]
    try:
        with _no_hooks_on_tensors(), _no_new_tensors(model):
            yield
        for module, sizes in during:
            changed = {key for key, size in _sizes(model, module).items() if sizes.get(key) != size}
            if changed:
                raise UnfusableError(f"its training step keeps something for later in self.{min(changed)}")
    finally:
        for module, before in states:
            vars(module).clear()
            vars(module).update(before)


@contextmanager
def _no_hooks_on_tensors() -> Iterator[None]:
    """Refuse hooks for gradients, which a trace would forget."""

    def refuse(*_: Any) -> NoReturn:
        raise UnfusableError("its training step puts a hook on a gradient")

    before = Tensor.register_hook
    Tensor.register_hook = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.register_hook = before  # type: ignore[method-assign]


@contextmanager
def _no_new_tensors(model: pl.LightningModule) -> Iterator[None]:
    """Refuse another tensor in the place of a buffer or an attribute; what is changed in place is written back."""
    before = nn.Module.__setattr__
    left_out = getattr(model, "not_in_step", ())
    own = {id(module) for module in model.modules() if not isinstance(module, Metric)}

    def set_attribute(module: nn.Module, name: str, value: Any) -> None:
        is_ours = id(module) in own and not (module is model and name in left_out)
        if isinstance(value, Tensor) and is_ours:
            held = module._buffers.get(name, vars(module).get(name))
            if not isinstance(held, Tensor) or _innermost(value) is not _innermost(held):
                raise UnfusableError(f"its training step keeps something for later in self.{name}, not in place")
        before(module, name, value)

    nn.Module.__setattr__ = set_attribute  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.__setattr__ = before  # type: ignore[method-assign]


def _innermost(tensor: Tensor) -> Tensor:
    """Without the wrappers of vmap, of which an operation in place makes new ones."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


def _sizes(model: nn.Module, module: nn.Module) -> dict[str, tuple[int, int]]:
    """Of each attribute of one of a model's modules, which object it is, and how much it holds."""
    return {
        key: (id(value), len(value) if isinstance(value, list | dict | set | deque) else 0)
        for key, value in attributes(model, module)
        # torch's recurrent layers make a new list of their weights whenever one is put in place.
        if not isinstance(value, Tensor) and not (isinstance(module, nn.RNNBase) and key.startswith("_flat_weight"))
    }
