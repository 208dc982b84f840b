"""Heat maps for papers: the mean of some jobs in each cell, with its standard error. Needs matplotlib."""

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fulgurite.report.table import rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One column of a two-column page, in inches.
_WIDTH = 3.3
# More columns leave no room for a number in a cell.
_MOST_WITH_NUMBERS = 6
# A key, or the epochs, with the names of its values.
Side = tuple[str, Sequence[str]]


def heat_map(cells: Sequence[Sequence[Sequence[float]]], x: Side, y: Side, metric: str, mode: str) -> "Figure":
    """A heat map, the first row at the bottom; of a cell without values nothing is drawn.

    Args:
        cells: for each row and column the values of the jobs.
        x: name and values of the columns.
        y: name and values of the rows.
        metric: what the values are.
        mode: ``max`` or ``min``: which end is dark.
    """
    means = [[mean_and_error(cell)[0] for cell in row] for row in cells]
    figure, axes = blank_axes(0.9 + 0.28 * len(y[1]))
    image: Any = axes.imshow(means, cmap="cividis" if mode == "max" else "cividis_r", aspect="auto", origin="lower")
    axes.set_xticks(range(len(x[1])), x[1], rotation=30 if len(x[1]) > 5 else 0)
    axes.set_yticks(range(len(y[1])), y[1])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in itertools.product(range(len(y[1])), range(len(x[1]))):
        if len(x[1]) <= _MOST_WITH_NUMBERS and cells[row][column]:
            _write(axes, image, column, row, cells[row][column])
    axes.set_xlabel(x[0])
    axes.set_ylabel(y[0])
    figure.colorbar(image, label=f"mean {metric}").outline.set_visible(False)
    return figure


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; NaN, which is not drawn, for what is not known: the error of one value."""
    if not values:
        return math.nan, math.nan
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def blank_axes(height: float) -> tuple["Figure", "Axes"]:
    """A figure of one column's width and that height in inches, with axes."""
    # Without pyplot: no window, nothing to close.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _write(axes: "Axes", image: Any, column: int, row: int, values: Sequence[float]) -> None:
    """The mean into its cell, and the standard error below it."""
    mean, error = mean_and_error(values)
    red, green, blue, _ = image.to_rgba(mean)
    ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.45 else "white"
    text = rounded(mean) if len(values) == 1 else f"{rounded(mean)}\n± {error:.1g}"
    axes.text(column, row, text, ha="center", va="center", fontsize=5, linespacing=0.95, c=ink)
