"""What the numbers of an optimiser may be. The optimisers themselves are torch's, named in ``conf/optimizer``."""

from collections.abc import Mapping
from typing import Any

from fulgurite.errors import ConfigError, check_bool, check_fraction, check_int, check_number

_FRACTIONS = ("momentum", "alpha", "dampening")
_NOT_NEGATIVE = ("weight_decay", "lr_decay", "tolerance_grad", "tolerance_change", "initial_accumulator_value")
_COUNTS = ("max_iter", "history_size")
_SWITCHES = ("nesterov", "amsgrad", "centered", "maximize")
LINE_SEARCHES = (None, "strong_wolfe")


def check_optimizer(options: Mapping[str, Any]) -> None:
    """Check the arguments that torch's optimisers share; those it does not know are left to the optimiser.

    torch refuses most of these values too, but only when training starts and without saying what is allowed.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    check_number("optimizer.lr", options.get("lr"), above=0)
    for name, value in options.items():
        key = f"optimizer.{name}"
        if name in _FRACTIONS:
            check_fraction(key, value)
        elif name in _NOT_NEGATIVE:
            check_number(key, value, low=0)
        elif name in _COUNTS:
            check_int(key, value)
        elif name in _SWITCHES:
            check_bool(key, value)
        elif name == "eps":
            check_number(key, value, above=0)
        elif name == "betas":
            _check_betas(value)
    if options.get("nesterov") and not options.get("momentum"):
        raise ConfigError("optimizer.nesterov=true needs optimizer.momentum above 0, such as 0.9; it is 0")
    if options.get("nesterov") and options.get("dampening"):
        raise ConfigError(f"optimizer.nesterov=true needs optimizer.dampening=0, got {options['dampening']}")
    if options.get("line_search_fn") not in LINE_SEARCHES:
        raise ConfigError(f"optimizer.line_search_fn must be strong_wolfe or null, got {options['line_search_fn']!r}")


def _check_betas(betas: Any) -> None:
    if not isinstance(betas, list | tuple) or len(betas) != 2:
        raise ConfigError(f"optimizer.betas must be two numbers such as [0.9,0.999], got {betas!r}")
    for number, beta in enumerate(betas):
        check_fraction(f"optimizer.betas[{number}]", beta)
