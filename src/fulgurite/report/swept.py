"""What was varied between jobs, and whether it is a number or a choice."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fulgurite.report.collect import Job, swept_keys, values_of
from fulgurite.report.table import short_names

# Where the largest value is so many times the smallest, an axis is logarithmic.
_LOG_FROM = 100
MISSING = "default"
# Values of a key that a heat map has rows or columns for.
_MOST_CHOICES = 12


@dataclass(frozen=True)
class Swept:
    """A key that jobs differ in.

    Attributes:
        key: the full key, such as ``optimizer.lr``.
        name: its last part where no other key ends alike.
        values: one a job, as typed; ``default`` where it was not.
        numbers: the same as numbers, ``None`` for a job without a record; no tuple when a value is no number.
        choices: the different values, in natural order.
        is_log: whether an axis of it is logarithmic.
    """

    key: str
    name: str
    values: tuple[str, ...]
    numbers: tuple[float | None, ...] | None
    choices: tuple[str, ...]
    is_log: bool


def swept(jobs: Sequence[Job]) -> list[Swept]:
    """The keys that jobs with a record differ in, ``seed`` last; of other jobs the values are empty."""
    typed = [values_of(job) for job in jobs]
    keys = swept_keys([values for job, values in zip(jobs, typed, strict=True) if job.result])
    names = short_names(keys)
    ordered = sorted(keys, key=lambda key: key == "seed")
    known = [job.result is not None for job in jobs]
    return [_swept(key, names[key], typed, known) for key in ordered]


def grid_pairs(jobs: Sequence[Job], keys: Sequence[Swept]) -> list[tuple[Swept, Swept]]:
    """Pairs of keys on a grid: 2 to 12 values each, and finished jobs for half of the combinations or more."""
    few = [key for key in keys if key.key != "seed" and 1 < len(key.choices) <= _MOST_CHOICES]
    finished = [at for at, job in enumerate(jobs) if job.status == "finished"]
    return [
        (one, other)
        for one, other in itertools.combinations(few, 2)
        if 2 * len({(one.values[at], other.values[at]) for at in finished}) >= len(one.choices) * len(other.choices)
    ]


def is_log(numbers: Sequence[float]) -> bool:
    """Whether numbers are all positive, and span two decades or more."""
    # A ratio such as 0.7 / 0.007 is a little less than 100 in binary.
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM * (1 - 1e-9)


def as_number(text: str) -> float | None:
    """The finite number that a value is, else ``None``."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _swept(key: str, name: str, typed: Sequence[Mapping[str, str]], known: Sequence[bool]) -> Swept:
    values = tuple(one.get(key, MISSING) if has else "" for one, has in zip(typed, known, strict=True))
    read = {value: as_number(value) for value in values if value}
    numbers = tuple(number for number in read.values() if number is not None)
    are_numbers = len(numbers) == len(read)
    return Swept(
        key=key,
        name=name,
        values=values,
        numbers=tuple(read.get(value) for value in values) if are_numbers else None,
        choices=tuple(sorted(read, key=_natural)),
        is_log=are_numbers and is_log(numbers),
    )


def _natural(value: str) -> tuple[object, ...]:
    """Sorts numbers as numbers, and ``[32]`` before ``[128]``."""
    number = as_number(value)
    if number is not None:
        return (0, number)
    return (1, *((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", value)))
