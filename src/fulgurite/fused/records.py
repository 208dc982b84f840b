"""What a training step logs, and which metrics it feeds: recorded while it is traced, replayed on each member.

A logger and a metric are Python with a memory; neither can be batched. So the trace keeps what they are called with,
as further outputs of the program, and each member's own logger and metrics get it afterwards, many steps at a time.
Shapes: N steps, B batch.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection


class UnfusableError(Exception):
    """Why a step cannot be batched over members, in words for the user."""


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


class Replay:
    """Makes the calls of many steps on a member.

    Args:
        model: the member's model, attached to its trainer.
    """

    def __init__(self, model: pl.LightningModule) -> None:
        self._model = model
        # Whether a metric gives the same for batches one by one and joined: found out at the first chance.
        self._joins: dict[str, bool] = {}

    def __call__(self, calls: Sequence[Call], tensors: Sequence[Tensor], batch_size: int) -> None:
        """Make the calls of N steps.

        Args:
            calls: what each step calls.
            tensors: those that the recorder kept, N x ... each.
            batch_size: samples in a batch of one step.
        """
        vars(self._model)["_current_fx_name"] = "training_step"
        for call in calls:
            of_call = [tensors[number] for number in call.tensors]
            if call.kind == "feed":
                self._feed(call.target, of_call)
            elif call.kind == "metric":
                self._log_metric(call)
            else:
                self._log_values(call, of_call[0], batch_size)
        vars(self._model)["_current_fx_name"] = None

    def _feed(self, name: str, tensors: list[Tensor]) -> None:
        """Update a metric with all batches but the last, then call it, so that it has a value for the last."""
        metric: Any = self._model.get_submodule(name)
        number = len(tensors[0])
        if number > 2 and all(each.dim() > 1 for each in tensors):
            if name not in self._joins:
                self._joins[name] = _joins(metric, tensors)
            if self._joins[name]:
                metric.update(*(each[:-1].flatten(0, 1) for each in tensors))
                number = 1
        for step in range(number - 1):
            metric.update(*(each[step] for each in tensors))
        metric(*(each[-1] for each in tensors))

    def _log_metric(self, call: Call) -> None:
        metric = self._model.get_submodule(call.metric)
        if call.target:
            self._model.log(call.target, metric, **call.options)  # type: ignore[arg-type]
        else:
            self._model.log_dict(metric, **call.options)  # type: ignore[arg-type]

    def _log_values(self, call: Call, values: Tensor, batch_size: int) -> None:
        options = {"batch_size": batch_size, **call.options}
        self._model.log(call.target, values[0], **options)
        rest = values[1:]
        results: Any = self._model.trainer._results
        metric = results[f"training_step.{call.target}"]
        if metric.meta.is_mean_reduction and len(rest) > 1:
            # What Lightning does for each of them, but for all at once.
            metric.value = metric.value + (rest[:-1] * options["batch_size"]).sum()
            metric.cumulated_batch_size = metric.cumulated_batch_size + options["batch_size"] * (len(rest) - 1)
            rest = rest[-1:]
        for value in rest:
            self._model.log(call.target, value, **options)


def _joins(metric: Any, tensors: Sequence[Tensor]) -> bool:
    """Whether two batches joined give the metric the state that they give it one by one."""
    apart, joined = copy.deepcopy(metric), copy.deepcopy(metric)
    for each in (apart, joined):
        each.reset()
    for step in range(2):
        apart.update(*(each[step] for each in tensors))
    joined.update(*(each[:2].flatten(0, 1) for each in tensors))
    try:
        return all(torch.equal(a, b) for a, b in zip(_state(apart), _state(joined), strict=True))
    except ValueError:
        return False


def _state(metric: nn.Module) -> list[Tensor]:
    """All tensors that a metric, or a collection, keeps."""
    states = [each.metric_state.values() for each in metric.modules() if isinstance(each, Metric)]
    return [state for values in states for state in values if isinstance(state, Tensor)]
