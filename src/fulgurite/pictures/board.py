"""From what was drawn to TensorBoard's events and the files of a run folder.

Shapes: C classes, T thresholds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from fulgurite.figures.colours import Pixels
from fulgurite.figures.png import to_png
from fulgurite.pictures.budget import Budget

# Bars of a histogram.
_BINS = 40


@dataclass(frozen=True)
class Image:
    """A figure, H x W x 3."""

    tag: str
    pixels: Pixels


@dataclass(frozen=True)
class Histogram:
    """Numbers of any shape, for the histogram plugin."""

    tag: str
    values: Tensor


@dataclass(frozen=True)
class PrecisionRecall:
    """Counts of one class at T thresholds from 0 to 1, for the PR curve plugin."""

    tag: str
    true_positives: NDArray
    false_positives: NDArray
    true_negatives: NDArray
    false_negatives: NDArray


Drawn = Image | Histogram | PrecisionRecall


class Board:
    """Where pictures go.

    Args:
        writer: TensorBoard's ``SummaryWriter``; ``None`` without TensorBoard.
        folder: of the files of the last epoch.
        budget: of the bytes.
    """

    def __init__(self, writer: Any, folder: Path, budget: Budget) -> None:
        self.writer = writer
        self._folder = folder
        self._budget = budget

    def add(self, drawn: Drawn, epochs: int, done: float, is_last: bool) -> bool:
        """Write one event, and of the last epoch a file; false when there is no room for it.

        Args:
            drawn: what to write.
            epochs: completed; the step of the event.
            done: the part of the run that is done, in (0, 1].
            is_last: whether this is the last epoch.
        """
        png = to_png(drawn.pixels) if isinstance(drawn, Image) else b""
        if png and is_last:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{drawn.tag.partition('/')[2]}.png").write_bytes(png)
        if self.writer is None:
            return True
        summary = _summary(drawn, png)
        if summary is None:
            return True
        if not self._budget.take(summary.ByteSize(), done, is_last):
            return False
        # ``add_image`` would encode the picture again.
        self.writer._get_file_writer().add_summary(summary, epochs)
        return True

    def add_graph(self, graph: Any, done: float, is_last: bool) -> bool:
        """Write a model's graph, as ``torch.utils.tensorboard`` makes it; false when there is no room for it."""
        if not self._budget.take(graph[0].ByteSize() + graph[1].ByteSize(), done, is_last):
            return False
        self.writer._get_file_writer().add_graph(graph)
        return True


def find_writer(trainer: pl.Trainer) -> Any:
    """TensorBoard's writer, when it is one of the loggers."""
    found = (each.experiment for each in trainer.loggers if isinstance(each, TensorBoardLogger))
    return next(found, None)


def _summary(drawn: Drawn, png: bytes) -> Any:
    """TensorBoard's record; ``None`` when there is nothing to show."""
    # TensorBoard takes long to import, and is not needed where nothing is written for it.
    from tensorboard.compat.proto.summary_pb2 import Summary

    if isinstance(drawn, Image):
        height, width = drawn.pixels.shape[:2]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        return Summary(value=[Summary.Value(tag=drawn.tag, image=image)])
    return _histogram(drawn) if isinstance(drawn, Histogram) else _precision_recall(drawn)


def _histogram(drawn: Histogram) -> Any:
    from torch.utils.tensorboard.summary import histogram_raw

    values = _finite(drawn.values.detach().flatten().float())
    if not len(values):
        return None
    numbers = _numbers(values)
    low, high = numbers["min"], numbers["max"]
    # Of equal values, one bar.
    room = 0.0 if high > low else 1e-3 * max(abs(low), 1e-3)
    counts = torch.histc(values, _BINS, low - room, high + room)
    limits = np.linspace(low - room, high + room, _BINS + 1)[1:]
    return histogram_raw(drawn.tag, **numbers, bucket_limits=limits.tolist(), bucket_counts=counts.tolist())


def _numbers(values: Tensor) -> Mapping[str, float]:
    low, high = values.aminmax()
    sums = torch.stack([low, high, values.sum(), values.square().sum()]).tolist()
    return {**dict(zip(("min", "max", "sum", "sum_squares"), sums, strict=True)), "num": len(values)}


def _finite(values: Tensor) -> Tensor:
    """Those that are finite; to pick them out takes longer than all the rest, and is rarely needed."""
    return values if values.isfinite().all() else values[values.isfinite()]


def _precision_recall(drawn: PrecisionRecall) -> Any:
    from torch.utils.tensorboard.summary import pr_curve_raw

    found = (drawn.true_positives, drawn.false_positives, drawn.true_negatives, drawn.false_negatives)
    precision = drawn.true_positives / np.maximum(drawn.true_positives + drawn.false_positives, 1)
    recall = drawn.true_positives / np.maximum(drawn.true_positives + drawn.false_negatives, 1)
    return pr_curve_raw(drawn.tag, *found, precision, recall, len(precision))
