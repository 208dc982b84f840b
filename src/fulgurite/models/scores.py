"""Metrics of one stage (train, val or test), fed with a few hundred batches at a time.

A metric update costs as much as a small network's forward pass, so batches are kept until there are enough of them.
Shapes: B batch, C classes or numbers to predict.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score, SumMetric
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    MulticlassAccuracy,
    MultilabelAccuracy,
    MultilabelExactMatch,
    MultilabelF1Score,
)

from fulgurite.models.heads import to_labels
from fulgurite.spec import DataSpec

# Accuracies of all labels, before they are named.
_EACH = "each"
_BATCHES_PER_UPDATE = 256
# A fused sweep hands over many batches as one.
_SAMPLES_PER_UPDATE = 65_536


def mae_noise_floor(noise_std: float) -> float:
    """The mean absolute error of the true curve under normal noise: E|N(0, s)| = s * sqrt(2 / pi)."""
    return noise_std * math.sqrt(2 / math.pi)


class Scores(nn.Module):
    """Loss and metrics of one stage; synchronised over ranks when computed.

    Args:
        spec: which task, and what it knows of the noise.
        stage: first part of each metric's name: ``train``, ``val`` or ``test``.
    """

    def __init__(self, spec: DataSpec, stage: str) -> None:
        super().__init__()
        self.stage = stage
        # A weighted MeanMetric would do, but without its check for NaN it ignores the weights (torchmetrics 1.x).
        self.loss_sum = SumMetric(nan_strategy="disable")
        self.num_samples = SumMetric(nan_strategy="disable")
        self.metrics = MetricCollection(_metrics(spec))
        self.spec = spec
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._num_pending = 0

    def collect(self, loss: Tensor, output: Tensor, target: Tensor) -> None:
        """Keep a batch: its mean loss (scalar), outputs (B x C) and targets (B or B x C)."""
        self._pending.append((loss.detach(), output.detach(), target))
        self._num_pending += len(target)
        if len(self._pending) >= _BATCHES_PER_UPDATE or self._num_pending >= _SAMPLES_PER_UPDATE:
            self._update()

    def compute(self) -> dict[str, Any]:
        """Values over all that was collected, by full name such as ``val/acc``; then forgets it."""
        self._update()
        values = {"loss": self.loss_sum.compute() / self.num_samples.compute(), **self.metrics.compute()}
        self.reset()
        if _EACH in values:
            values |= {f"acc_{name}": of for name, of in zip(self.spec.output_names, values.pop(_EACH), strict=True)}
        if self.spec.noise_std is not None:
            values["noise_floor"] = mae_noise_floor(self.spec.noise_std)
        return {f"{self.stage}/{name}": value for name, value in values.items()}

    def reset(self) -> None:
        """Forget everything collected."""
        self._pending.clear()
        self._num_pending = 0
        self.loss_sum.reset()
        self.num_samples.reset()
        self.metrics.reset()

    def _update(self) -> None:
        if not self._pending:
            return
        losses, outputs, targets = zip(*self._pending, strict=True)
        self._pending.clear()
        self._num_pending = 0
        sizes = torch.tensor([float(len(target)) for target in targets], device=losses[0].device)
        self.loss_sum.update(torch.stack(losses).float() * sizes)
        self.num_samples.update(sizes)
        output, target = torch.cat(outputs).float(), torch.cat(targets)
        if self.spec.task in ("binary", "multilabel"):
            # Decided here: torchmetrics takes numbers for logits only where one of a batch is outside [0, 1].
            output, target = to_labels(self.spec, output), target.long()
        self.metrics.update(output, target)


def _metrics(spec: DataSpec) -> dict[str, Any]:
    """Metrics by name; ``acc`` of several labels is the mean of ``acc_<label>``, ``exact`` wants all of them right."""
    options: dict[str, Any] = {"validate_args": False}
    if spec.task == "classification":
        return {"acc": MulticlassAccuracy(num_classes=spec.num_outputs, average="micro", **options)}
    if spec.task == "binary":
        return {"acc": BinaryAccuracy(**options), "f1": BinaryF1Score(**options)}
    if spec.task == "multilabel":
        options["num_labels"] = spec.num_outputs
        return {
            "acc": MultilabelAccuracy(average="micro", **options),
            "exact": MultilabelExactMatch(**options),
            "f1": MultilabelF1Score(average="macro", **options),
            # ClasswiseWrapper would name them, but warns inside a collection (torchmetrics 1.x).
            _EACH: MultilabelAccuracy(average=None, **options),
        }
    return {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2Score()}
