"""The errors a user can cause, and the checks that raise them. Imports nothing of ours and no torch.

Each message says what is wrong, the value, what is allowed and what to do. A check is given the bare parameter name
(``dropout``); ``instantiation.py`` puts the config group in front (``model.dropout``).
"""

import difflib
import math
import select
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any


class FulguriteError(Exception):
    """Base of all errors that are the user's to mend: one short message, exit code 2, no traceback."""


class ConfigError(FulguriteError):
    """A config key or value that cannot be used."""


class DataError(FulguriteError):
    """Data that is absent, unreadable or not what it claims to be."""


class RunFolderError(FulguriteError):
    """A folder that is not a run, or a run whose files are damaged."""


def is_number(value: Any) -> bool:
    """True for a finite int or float; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_number(
    name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> float:
    """Return ``value`` when it is a number with ``low <= value <= high`` and ``value > above``.

    Raises:
        ConfigError: with the allowed range, otherwise.
    """
    if is_number(value) and low <= value <= high and value > above:
        return float(value)
    bounds = [f"> {above:g}"] if above > -math.inf else [f">= {low:g}"] if low > -math.inf else []
    bounds += [f"<= {high:g}"] if high < math.inf else []
    raise ConfigError(f"{name} must be a number{' ' if bounds else ''}{' and '.join(bounds)}, got {value!r}")


def check_fraction(name: str, value: Any) -> float:
    """Return ``value`` when it is a number in [0, 1), as a dropout probability is.

    Raises:
        ConfigError: otherwise.
    """
    if is_number(value) and 0 <= value < 1:
        return float(value)
    raise ConfigError(f"{name} must be in [0, 1), got {value!r}")


def check_int(name: str, value: Any, *, low: int = 1) -> int:
    """Return ``value`` when it is an integer of at least ``low``.

    Raises:
        ConfigError: otherwise.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= low:
        return value
    raise ConfigError(f"{name} must be an integer >= {low}, got {value!r}")


def check_bool(name: str, value: Any) -> bool:
    """Return ``value`` when it is true or false.

    Raises:
        ConfigError: otherwise.
    """
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{name} must be true or false, got {value!r}")


def check_sizes(name: str, value: Any, *, empty: bool = False) -> list[int]:
    """Return ``value`` as a list of positive integers, such as layer widths.

    Raises:
        ConfigError: when it is no list, is empty though ``empty`` is false, or holds anything but positive integers.
    """
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    if listed and (value or empty) and all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in value):
        return list(value)
    raise ConfigError(f"{name} must be a list of positive integers such as [256,128], got {value!r}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` when it is among ``choices``.

    Raises:
        ConfigError: otherwise, with the nearest choice and all of them.
    """
    choices = sorted(choices)
    if value in choices:
        return value
    raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {value!r}{did_you_mean(str(value), choices)}")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """``" (did you mean relu?)"`` for the nearest choice, or an empty string."""
    by_folded = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[near[0]]}?)" if near else ""


class Pruned(Exception):
    """Raised in a run to end it because others of its sweep are better."""


def is_interrupt(error: BaseException) -> bool:
    """True for Ctrl-C, also where Lightning has made a ``SystemExit`` of it, and when ``| head`` has read enough."""
    if isinstance(error, BrokenPipeError):
        return _is_unheard()
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )


def _is_unheard() -> bool:
    """Whether standard output is a pipe that nobody reads any more; others may break by a fault of a job."""
    # Windows has no poll; a replaced standard output has no number.
    with suppress(AttributeError, OSError, ValueError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False
