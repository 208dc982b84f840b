"""Names in ``loss`` to loss functions, and which tasks and heads each is for.

Shapes: B batch, C classes, labels or numbers to predict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, check_choice, check_number, did_you_mean, is_number
from fulgurite.spec import DataSpec


class HalfSquares(nn.Module):
    """Half the sum of squared errors of a sample, 0.5 |output - target|^2, averaged over the batch.

    Its gradient by the output is the error itself. C / 2 times as large as ``mse``, and so is the step of a rate.
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Two B x C to a scalar."""
        return 0.5 * (output - target).square().sum(dim=-1).mean()


class OnLevels(nn.Module):
    """A loss of numbers, for classes: the right one's output should be ``high``, all others ``low``.

    Args:
        loss: of outputs and targets, both B x C.
        low: target for a class that is not the sample's.
        high: target for the sample's class.
    """

    def __init__(self, loss: nn.Module, low: float, high: float) -> None:
        super().__init__()
        self.loss = loss
        self.low = low
        self.high = high

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Outputs B x C and class numbers B to a scalar."""
        return self.loss(output, self.targets(target, output))

    def targets(self, target: Tensor, output: Tensor) -> Tensor:
        """Class numbers B to what each of the outputs B x C should be."""
        is_class = target.unsqueeze(-1) == torch.arange(output.shape[-1], device=target.device)
        # First the outputs' type, or 0.01 would be rounded to 32 bits.
        return self.low + (self.high - self.low) * is_class.to(output.dtype)


OF_NUMBERS: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "half_squares": HalfSquares,
    "l1": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
}
# These take logits: a head that makes probabilities of them would do so twice.
OF_LOGITS: dict[str, type[nn.Module]] = {"cross_entropy": nn.CrossEntropyLoss, "bce": nn.BCEWithLogitsLoss}
LOSSES: dict[str, dict[str, type[nn.Module]]] = {
    "classification": {"cross_entropy": OF_LOGITS["cross_entropy"], **OF_NUMBERS},
    "binary": {"bce": OF_LOGITS["bce"], **OF_NUMBERS},
    "multilabel": {"bce": OF_LOGITS["bce"], **OF_NUMBERS},
    "regression": OF_NUMBERS,
}
# Of outputs without a head, and of softmax, which is refused there by name: who asks for it may not want squares.
DEFAULTS = {"classification": "cross_entropy", "binary": "bce", "multilabel": "bce", "regression": "mse"}
# The arguments a loss takes, and their ranges for ``check_number``. A reduction other than the mean would make the loss
# of a batch depend on its size.
ARGUMENTS: dict[str, dict[str, dict[str, float]]] = {
    "cross_entropy": {"label_smoothing": {"low": 0, "high": 1}},
    "huber": {"delta": {"above": 0}},
    "smooth_l1": {"beta": {"low": 0}},
}


def make_loss(spec: DataSpec, loss: Mapping[str, Any]) -> nn.Module:
    """The loss for a data set and the head that is set on it.

    Args:
        spec: of the data set.
        loss: ``name`` (``auto`` fits task and head) and the arguments of the class it stands for; for classes a loss of
            numbers takes ``levels`` too: targets for a wrong and for the right class, 0 and 1 when null.

    Raises:
        ConfigError: when the name is unknown, is for another task or head, or an argument does not fit.
    """
    name = check_choice("loss.name", loss.get("name"), ["auto", *OF_NUMBERS, *OF_LOGITS])
    is_head = spec.task != "regression" and spec.head != "none"
    if name == "auto":
        name = "mse" if is_head and spec.head != "softmax" else DEFAULTS[spec.task]
    if name not in LOSSES[spec.task]:
        raise ConfigError(
            f"loss={name} is not for {spec.task}; use one of {', '.join(LOSSES[spec.task])}, or loss=auto"
        )
    _check_head(spec, name, is_head)
    arguments = {key: value for key, value in loss.items() if key != "name"}
    levels = arguments.pop("levels", None) if name in OF_NUMBERS else None
    _check_arguments(name, arguments)
    made = LOSSES[spec.task][name](**arguments)
    if spec.task == "classification" and name in OF_NUMBERS:
        return OnLevels(made, *_checked_levels(levels))
    if levels is not None:
        raise ConfigError(f"loss.levels is for classes, and the data set's task is {spec.task}; use loss.levels=null")
    return made


def _check_head(spec: DataSpec, name: str, is_head: bool) -> None:
    """Refuse probabilities where logits are wanted, and the other way round."""
    if is_head and name in OF_LOGITS:
        own = "softmax" if name == "cross_entropy" else "sigmoid"
        raise ConfigError(
            f"head={spec.head} cannot meet loss={name}, which takes logits and applies {own} itself: probabilities "
            "would be squashed twice; use head=none, with which predict gives probabilities all the same, or a loss "
            "of numbers such as loss=mse"
        )
    if spec.task in ("binary", "multilabel") and not is_head and name in OF_NUMBERS:
        raise ConfigError(f"loss={name} compares outputs with 0 and 1; use head=sigmoid with it, or loss=bce")


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    known = ARGUMENTS.get(name, {})
    for key, value in arguments.items():
        if key not in known:
            raise ConfigError(
                f"loss.{key} is not an argument of {name}{did_you_mean(key, known)}; "
                f"it takes {', '.join(known) or 'none'}"
            )
        check_number(f"loss.{key}", value, **known[key])


def _checked_levels(levels: Any) -> tuple[float, float]:
    if levels is None:
        return 0.0, 1.0
    listed = isinstance(levels, Sequence) and not isinstance(levels, str) and len(levels) == 2
    if listed and all(is_number(each) for each in levels) and levels[0] < levels[1]:
        return float(levels[0]), float(levels[1])
    raise ConfigError(f"loss.levels must be null or two numbers, low < high, such as [0.01,0.99], got {levels!r}")
