"""Round numbers for axes and legends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Numbers with their text.
Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Axis:
    """Marks along one side of a plot.

    Attributes:
        label: what is along it.
        ticks: positions in [0, 1], from left to right or from top to bottom, each with its text.
    """

    label: str
    ticks: Ticks


def nice_ticks(low: float, high: float, number: int = 5) -> Ticks:
    """About ``number`` multiples of 1, 2 or 5 times a power of ten in [low, high], with their text."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((count * step, short(count * step, step)) for count in range(first, last + 1))


def short(value: float, step: float | None = None) -> str:
    """A number in few letters, exact to a multiple of ``step`` where that is given: ``0.05``, ``1200``, ``2e6``."""
    if step is None or not 1e-4 <= abs(step) < 1e5:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-")
    text = f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
    return "0" if float(text) == 0 else text


def span(values: NDArray) -> tuple[float, float]:
    """The least and the largest of the finite values, never the same."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    # Of two numbers that float32 can just tell apart, the ticks would be the same.
    room = max(abs(low), abs(high), 1e-30) * 1e-6
    return (low, high) if high - low > room else (low - 0.5, high + 0.5)


def number_axis(label: str, low: float, high: float, *, from_top: bool = False, number: int = 5) -> Axis:
    """An axis of numbers; with ``from_top`` one that grows upwards, as y axes do."""
    marks = ((value - low) / (high - low) for value, _ in nice_ticks(low, high, number))
    texts = (text for _, text in nice_ticks(low, high, number))
    ticks = ((1 - mark if from_top else mark, text) for mark, text in zip(marks, texts, strict=True))
    return Axis(label, tuple(ticks))


def name_axis(label: str, names: Sequence[str], most: int = 15) -> Axis:
    """An axis of equal cells, each with its name; of more than ``most``, every second, fifth, tenth ... is named."""
    every = next(each for each in _steps() if each * most >= len(names))
    ticks = (((place + 0.5) / len(names), names[place]) for place in range(0, len(names), every))
    return Axis(label, tuple(ticks))


def _steps() -> "list[int]":
    return [each * 10**power for power in range(7) for each in (1, 2, 5)]
