"""Learning curves, one value an epoch, from ``metrics.csv``; thinned where there are more than a page can hold."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CSV_NAME = "metrics.csv"
# Values on a page, about seven bytes each.
BUDGET = 40_000
_FEWEST = 8


@dataclass(frozen=True)
class Curves:
    """The curves of a job.

    Attributes:
        epochs: epochs completed at each point, from 1.
        values: for each metric one value a point; ``None`` where there is none.
    """

    epochs: tuple[int, ...] = ()
    values: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def read_curves(folder: Path) -> Curves:
    """What a run has logged at the end of each epoch; empty where it has logged nothing, or the file is damaged.

    Tests come once, and are left out, as is what is logged at steps.
    """
    points: dict[int, dict[str, float]] = {}
    try:
        with (folder / CSV_NAME).open(encoding="utf-8", newline="") as file:
            text = file.read()
        # Of a job that runs, or was killed, half of the last line may be there: half of a number is another number.
        for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
            _take(row, points)
    except (OSError, ValueError, csv.Error):
        return Curves()
    epochs = tuple(sorted(points))
    names = sorted({name for point in points.values() for name in point})
    return Curves(epochs, {name: tuple(points[epoch].get(name) for epoch in epochs) for name in names})


def thinned(curves: Sequence[Curves], budget: int = BUDGET) -> tuple[list[Curves], int]:
    """Curves of at most ``budget`` values in all, and n where each n-th epoch is left of them.

    The first and the last epoch of a curve stay, and no curve has fewer than 8 points for it.
    """
    total = sum(len(each.epochs) * len(each.values) for each in curves)
    longest = max((len(each.epochs) for each in curves), default=0)
    every = max(1, min(math.ceil(total / budget), longest // _FEWEST))
    return [_thin(each, every) for each in curves], every


def band(curves: Sequence[Curves], metric: str) -> list[tuple[int, float, float]]:
    """Epoch, mean and sample deviation (0 for one curve) of a metric, at the epochs that all of the curves have."""
    columns = [dict(zip(each.epochs, each.values.get(metric, ()), strict=False)) for each in curves]
    points = []
    for epoch in sorted(set[int]().union(*columns)):
        values = [value for column in columns if (value := column.get(epoch)) is not None]
        if len(values) == len(columns):
            points.append((epoch, statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0))
    return points


def _take(row: Mapping[str | None, str | None], points: dict[int, dict[str, float]]) -> None:
    """Add a line of the file to the epoch that it belongs to; the last value of an epoch counts."""
    epoch = row.get("epoch") or ""
    if not epoch.isdecimal() or None in row:
        return
    for name, text in row.items():
        if name and text and name not in ("epoch", "step") and not name.startswith("test/"):
            value = float(text)
            if math.isfinite(value):
                points.setdefault(int(epoch) + 1, {})[name] = value


def _thin(curves: Curves, every: int) -> Curves:
    last = len(curves.epochs) - 1
    kept = [at for at in range(len(curves.epochs)) if at % every == 0 or at == last]
    values = {name: tuple(column[at] for at in kept) for name, column in curves.values.items()}
    return Curves(tuple(curves.epochs[at] for at in kept), values)
