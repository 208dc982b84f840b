"""Ratios of two timings taken in turns, and the table that shows them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """One line of the benchmark.

    Attributes:
        name: what was measured.
        values: one number for each repeat.
        target: what the project asks for, as text such as ``>= 0.70``.
        stretch: what it hopes for; may be empty.
        note: units, or why there are no values.
    """

    name: str
    values: tuple[float, ...]
    target: str = ""
    stretch: str = ""
    note: str = ""

    @property
    def median(self) -> float | None:
        """Median over the repeats; ``None`` without any."""
        return statistics.median(self.values) if self.values else None

    def to_json(self) -> dict[str, Any]:
        """All fields and the median."""
        return {**asdict(self), "median": self.median}


def paired_ratios(
    numerator: Callable[[], float], denominator: Callable[[], float], repeats: int
) -> tuple[tuple[float, ...], list[tuple[float, float]]]:
    """Measure both in turns, the first one changing each time, and divide pair by pair.

    Pairs are near in time, so what else the machine does weighs on both alike.

    Returns:
        The ratios, and the pairs of measurements.
    """
    pairs = []
    for repeat in range(repeats):
        if repeat % 2:
            below, above = denominator(), numerator()
        else:
            above, below = numerator(), denominator()
        pairs.append((above, below))
    return tuple(above / below for above, below in pairs), pairs


def met(value: float | None, bound: str) -> bool | None:
    """Whether ``value`` keeps a bound such as ``>= 0.70``; ``None`` when there is nothing to compare."""
    if value is None or not bound:
        return None
    relation, _, number = bound.partition(" ")
    return value >= float(number) if relation == ">=" else value <= float(number)


def table(items: Sequence[Item]) -> str:
    """Aligned columns: item, min, median, max, target, stretch, note."""
    rows: list[tuple[str, ...]] = [("item", "min", "median", "max", "target", "stretch", "")]
    rows += [_cells(item) for item in items]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def line(item: Item) -> str:
    """A row of the table by itself, as soon as it is known."""
    return "  ".join(cell for cell in _cells(item) if cell)


def _cells(item: Item) -> tuple[str, ...]:
    numbers = [min(item.values), item.median, max(item.values)] if item.values else []
    shown = [f"{number:.4g}" for number in numbers] or ["-"] * 3
    return (item.name, *shown, _bound(item, item.target), _bound(item, item.stretch), item.note)


def _bound(item: Item, bound: str) -> str:
    kept = met(item.median, bound)
    return bound if kept is None else f"{bound} {'yes' if kept else 'NO'}"
