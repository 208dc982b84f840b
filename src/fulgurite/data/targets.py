"""Refuses targets that ``data.spec`` does not describe, before a model is fed with them.

Shapes: N samples, C classes, labels or numbers to predict (``spec.num_outputs``).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fulgurite.errors import DataError
from fulgurite.spec import DataSpec


def check_targets(spec: DataSpec, name: str, y: Tensor) -> None:
    """Check the targets of a part: N class numbers, or N x C numbers or labels.

    Args:
        spec: what they should be.
        name: of the part, for messages.
        y: of all samples of the part, one at least.

    Raises:
        DataError: saying what they are, what they must be, and which key to set.
    """
    (_check_classes if spec.task == "classification" else _check_numbers)(spec, name, y)


def _check_classes(spec: DataSpec, name: str, y: Tensor) -> None:
    if y.dim() != 1 or y.dtype != torch.int64 or int(y.min()) < 0:
        raise DataError(
            f"the {name} targets must be class numbers from 0, one int64 a sample; got {y.dtype} of shape "
            f"{bracketed(y.shape)}, from {y.min()}"
        )
    if int(y.max()) >= spec.num_outputs:
        raise DataError(
            f"the {name} labels go up to {int(y.max())}, but data.spec.num_outputs is {spec.num_outputs}; "
            f"set data.spec.num_outputs={int(y.max()) + 1}"
        )


def _check_numbers(spec: DataSpec, name: str, y: Tensor) -> None:
    # A loss of (B, 1) against (B,) would broadcast to B x B and mean something else.
    expected = (len(y), spec.num_outputs)
    if tuple(y.shape) != expected or y.dtype != torch.float32:
        raise DataError(
            f"the {name} targets must be float32 of shape {bracketed(expected)} (samples, data.spec.num_outputs); "
            f"got {y.dtype} of shape {bracketed(y.shape)}"
        )
    if spec.task != "regression" and not bool(((y == 0) | (y == 1)).all()):
        raise DataError(f"the {name} targets must be 0 or 1 for {spec.task}; got {y.min():g} to {y.max():g}")
    _check_range(spec, name, y)


def _check_range(spec: DataSpec, name: str, y: Tensor) -> None:
    """Refuse targets that the head can never give."""
    low, high = float(y.min()), float(y.max())
    if spec.task != "regression" or spec.head == "none":
        return
    if spec.head in ("softplus", "relu") and low < 0:
        raise DataError(
            f"the {name} targets start at {low:g}, and head={spec.head} gives positive numbers; use head=none"
        )
    if (
        spec.target_low is not None
        and spec.target_high is not None
        and not spec.target_low <= low <= high <= spec.target_high
    ):
        raise DataError(
            f"the {name} targets go from {low:g} to {high:g}, and head={spec.head} gives numbers between "
            f"data.spec.target_low={spec.target_low:g} and data.spec.target_high={spec.target_high:g}; widen them"
        )


def bracketed(sizes: Sequence[int]) -> str:
    """``[1,28,28]``, as it is typed on a command line."""
    return f"[{','.join(str(size) for size in sizes)}]"
