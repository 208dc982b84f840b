"""What a validation said, kept as its batches pass by.

Shapes: N samples, B batch, C classes, S one sample as the model sees it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fulgurite.models.heads import to_scores
from fulgurite.spec import DataSpec

# Samples that are kept of each validation batch, and of how many batches: batches may be small, and images large.
NUM_WORST, _MOST_BATCHES = 25, 8


@dataclass(frozen=True)
class Wrong:
    """Samples that were taken for another class, the surest first: B of them.

    Attributes:
        x: B x S.
        label: B, the true classes.
        guess: B, the classes they were taken for.
        share: B, the probabilities of the guesses.
    """

    x: Tensor
    label: Tensor
    guess: Tensor
    share: Tensor

    def surest(self) -> "Wrong":
        """The surest, of those that are wrong if there are enough; copies, in the place of whole batches."""
        order = self.share.where(self.guess != self.label, -1.0).topk(min(NUM_WORST, len(self.label))).indices
        return Wrong(*(getattr(self, name)[order] for name in _FIELDS))


_FIELDS = ("x", "label", "guess", "share")


def _joined(parts: Sequence[Wrong]) -> Wrong:
    return Wrong(*(torch.cat([getattr(each, name) for each in parts]) for name in _FIELDS))


class Seen:
    """Outputs of a validation of classes, collected as its batches pass by; on the device until they are asked for.

    Args:
        epochs: completed with this validation.
    """

    def __init__(self, epochs: int = 0) -> None:
        self.epochs = epochs
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._worst: list[Wrong] = []

    def add(self, batch: Any, outputs: Any, spec: DataSpec | None = None) -> None:
        """Keep a batch, if it is one of ours: (x, class numbers or yes and no) with a model's ``output``."""
        scores: Any = outputs.get("output") if isinstance(outputs, Mapping) else None
        pair: Any = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (None, None)
        x, y = pair
        if not all(isinstance(each, Tensor) for each in (x, y, scores)):
            return
        if spec is not None and spec.task in ("classification", "binary"):
            scores = to_scores(spec, scores)
            y = y.view(len(y)).long() if spec.task == "binary" else y
        if not _are_of_classes(x, y, scores):
            return
        self._outputs.append(scores)
        self._targets.append(y)
        share, guess = scores.float().softmax(dim=1).max(dim=1)
        self._worst.append(Wrong(x, y, guess, share).surest())
        if len(self._worst) == _MOST_BATCHES:
            self._worst = [_joined(self._worst).surest()]

    def __len__(self) -> int:
        return sum(map(len, self._targets))

    def outputs(self) -> tuple[Tensor, Tensor]:
        """Scores N x C and classes N, on the CPU."""
        return torch.cat(self._outputs).float().cpu(), torch.cat(self._targets).cpu()

    def counts(self) -> np.ndarray:
        """How often each class (row) was taken for each (column), C x C."""
        scores, y = self.outputs()
        number = scores.shape[1]
        return torch.bincount(y * number + scores.argmax(dim=1), minlength=number**2).view(number, number).numpy()

    def worst(self) -> Wrong:
        """The most wrong of all, on the CPU; none where all were right."""
        found = _joined(self._worst)
        order = found.share.where(found.guess != found.label, -1.0).argsort(descending=True, stable=True)
        order = order[: min(NUM_WORST, int((found.guess != found.label).sum()))]
        return Wrong(*(getattr(found, name)[order].cpu() for name in _FIELDS))


def _are_of_classes(x: Tensor, y: Tensor, scores: Tensor) -> bool:
    """Whether these are samples, the class of each, and scores of two classes or more; other modules have others."""
    if y.dtype != torch.int64 or y.dim() != 1:
        return False
    return scores.dim() == 2 and scores.shape[1] > 1 and len(x) == len(y) == len(scores)
