"""What a training step logs, and which metrics it feeds: recorded while it is traced, for ``replay.py``.

A logger and a metric are Python with a memory; neither can be batched. So the trace keeps what they are called with,
as further outputs of the program.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from fulgurite.fused.unfusable import UnfusableError


@dataclass(frozen=True)
class Call:
    """One call that the step made.

    Attributes:
        target: name of the metric that was called, or of the value that was logged.
        kind: ``feed`` a metric, ``log`` a value, or log a ``metric``.
        tensors: numbers of its arguments among the recorded tensors.
        options: other arguments of ``self.log``.
        metric: of a logged metric, its name in the model.
    """

    target: str
    kind: str
    tensors: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""


class Recorder:
    """Stands in for ``self.log`` and for the metrics of a model while its step is traced.

    Attributes:
        calls: what the step called, in order.
        tensors: what it called them with.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tensors: list[Tensor] = []

    @contextmanager
    def watching(self, model: pl.LightningModule) -> Iterator[None]:
        """Take the place of ``model.log``, ``model.log_dict`` and of its metrics while the context lasts."""
        metrics = {name: each for name, each in model.named_modules() if isinstance(each, Metric | MetricCollection)}
        # Of a collection the whole, not its parts.
        outer = {name: each for name, each in metrics.items() if name.rpartition(".")[0] not in metrics}
        homes = {name: model.get_submodule(name.rpartition(".")[0])._modules for name in outer}
        vars(model).update(log=self._log, log_dict=self._log_dict)
        try:
            for name, home in homes.items():
                home[name.rpartition(".")[2]] = _MetricStandIn(name, self)
            yield
        finally:
            for name, home in homes.items():
                home[name.rpartition(".")[2]] = outer[name]
            del vars(model)["log"], vars(model)["log_dict"]

    def keep(self, value: Any) -> int:
        """Keep a tensor; its number.

        Raises:
            UnfusableError: for anything but a tensor or a number.
        """
        if isinstance(value, int | float):
            value = torch.tensor(float(value))
        if not isinstance(value, Tensor):
            raise UnfusableError(f"its training step logs or measures a {type(value).__name__}")
        self.tensors.append(value.detach())
        return len(self.tensors) - 1

    def _log(self, name: str, value: Any, *unnamed: Any, **options: Any) -> None:
        if unnamed:
            raise UnfusableError(f"its training step calls self.log({name!r}, ...) with options that are not named")
        if isinstance(value, _MetricStandIn | _MetricValue):
            self.calls.append(Call(name, "metric", options=options, metric=value.name))
        else:
            self.calls.append(Call(name, "log", (self.keep(value),), options))

    def _log_dict(self, values: Any, **options: Any) -> None:
        if isinstance(values, _MetricStandIn | _MetricValue):
            self.calls.append(Call("", "metric", options=options, metric=values.name))
            return
        for name, value in values.items():
            self._log(name, value, **options)


@dataclass(frozen=True)
class _MetricValue:
    """What a metric gave for one batch: good for being logged, and for nothing else."""

    name: str


class _MetricStandIn(nn.Module):
    """Notes what a metric is called with."""

    def __init__(self, name: str, recorder: Recorder) -> None:
        super().__init__()
        self.name = name
        self._recorder = recorder

    def forward(self, *tensors: Any) -> _MetricValue:
        self.update(*tensors)
        return _MetricValue(self.name)

    def update(self, *tensors: Any) -> None:
        numbers = tuple(self._recorder.keep(each) for each in tensors)
        self._recorder.calls.append(Call(self.name, "feed", numbers))

    def compute(self) -> NoReturn:
        raise UnfusableError(f"its training step reads self.{self.name}.compute()")

    def reset(self) -> NoReturn:
        raise UnfusableError(f"its training step calls self.{self.name}.reset()")
