"""Names in ``loss`` to loss functions, and which task each is for."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from fulgurite.errors import ConfigError, check_choice, check_number, did_you_mean

LOSSES: dict[str, dict[str, type[nn.Module]]] = {
    "classification": {"cross_entropy": nn.CrossEntropyLoss},
    "regression": {"mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss, "smooth_l1": nn.SmoothL1Loss},
}
DEFAULTS = {"classification": "cross_entropy", "regression": "mse"}
# The arguments a loss takes, and their ranges for ``check_number``. A reduction other than the mean would make the loss
# of a batch depend on its size.
ARGUMENTS: dict[str, dict[str, dict[str, float]]] = {
    "cross_entropy": {"label_smoothing": {"low": 0, "high": 1}},
    "huber": {"delta": {"above": 0}},
    "smooth_l1": {"beta": {"low": 0}},
}


def make_loss(task: str, loss: Mapping[str, Any]) -> nn.Module:
    """The loss for ``task``.

    Args:
        task: ``classification`` or ``regression``.
        loss: ``name`` (``auto`` fits the task) and the arguments of the torch.nn class it stands for.

    Raises:
        ConfigError: when the name is unknown, is for another task, or an argument does not fit.
    """
    name = check_choice("loss.name", loss.get("name"), ["auto", *(n for known in LOSSES.values() for n in known)])
    name = DEFAULTS[task] if name == "auto" else name
    if name not in LOSSES[task]:
        raise ConfigError(f"loss={name} is not for {task}; use one of {', '.join(LOSSES[task])}, or loss=auto")
    known = ARGUMENTS.get(name, {})
    arguments = {key: value for key, value in loss.items() if key != "name"}
    for key, value in arguments.items():
        if key not in known:
            raise ConfigError(
                f"loss.{key} is not an argument of {name}{did_you_mean(key, known)}; "
                f"it takes {', '.join(known) or 'none'}"
            )
        check_number(f"loss.{key}", value, **known[key])
    return LOSSES[task][name](**arguments)
