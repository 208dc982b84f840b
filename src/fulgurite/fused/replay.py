"""Has each member log and measure what the steps of its program have recorded. Shapes: N steps, B batch."""

import copy
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from fulgurite.fused.answers import Results
from fulgurite.fused.records import Call
from fulgurite.models.supervised import Supervised


class Replay:
    """Makes the calls of many steps on a member.

    Args:
        model: the member's model, attached to its trainer.
    """

    def __init__(self, model: pl.LightningModule) -> None:
        self._model = model
        # Whether a metric gives the same for batches one by one and joined: found out at the first chance.
        self._joins: dict[str, bool] = {}

    def __call__(self, results: Results) -> None:
        """Log and measure what N steps would have."""
        connector: Any = self._model.trainer._logger_connector
        is_first = connector._first_loop_iter is None
        if isinstance(self._model, Supervised) and results.outputs is not None:
            self._model.collect_training(
                results.losses.mean(), results.outputs.flatten(0, 1), results.targets.flatten(0, 1)
            )
            if results.grad_norm is not None:
                self._model.grad_norm = results.grad_norm
            self._model.log_step(results.losses[-1])
        if results.calls:
            # At the first batch of an epoch, ``self.log`` forgets the epoch before.
            connector._first_loop_iter = is_first
            self._make_calls(results)
            connector._first_loop_iter = is_first and len(results.losses) == 1
            connector.on_batch_end()
            connector.update_train_step_metrics()
        connector._first_loop_iter = is_first and len(results.losses) == 1

    def _make_calls(self, results: Results) -> None:
        vars(self._model)["_current_fx_name"] = "training_step"
        for call in results.calls:
            of_call = [results.recorded[number] for number in call.tensors]
            if call.kind == "feed":
                self._feed(call.target, of_call)
            elif call.kind == "metric":
                self._log_metric(call)
            else:
                self._log_values(call, of_call[0], batch_size=results.targets.shape[1])
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
