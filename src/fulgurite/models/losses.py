"""Names in ``loss`` to loss functions, and which task each is for."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from fulgurite.errors import ConfigError, check_choice

LOSSES: dict[str, dict[str, type[nn.Module]]] = {
    "classification": {"cross_entropy": nn.CrossEntropyLoss},
    "regression": {"mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss, "smooth_l1": nn.SmoothL1Loss},
}
DEFAULTS = {"classification": "cross_entropy", "regression": "mse"}


def make_loss(task: str, loss: Mapping[str, Any]) -> nn.Module:
    """The loss for ``task``.

    Args:
        task: ``classification`` or ``regression``.
        loss: ``name`` (``auto`` fits the task) and the arguments of the torch.nn class it stands for.

    Raises:
        ConfigError: when the name is unknown, is for another task, or an argument does not fit.
    """
    arguments = {key: value for key, value in loss.items() if key != "name"}
    name = check_choice("loss.name", loss.get("name"), ["auto", *(n for known in LOSSES.values() for n in known)])
    name = DEFAULTS[task] if name == "auto" else name
    if name not in LOSSES[task]:
        raise ConfigError(f"loss={name} is not for {task}; use one of {', '.join(LOSSES[task])}, or loss=auto")
    smoothing = arguments.get("label_smoothing", 0.0)
    if not (isinstance(smoothing, int | float) and 0 <= smoothing <= 1):
        raise ConfigError(f"loss.label_smoothing must be in [0, 1], got {smoothing!r}")
    try:
        return LOSSES[task][name](**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"loss={name} does not take {arguments}: {error}") from error
