"""A table of numbers as coloured cells, with the numbers in them where there is room.

Shapes: R rows, C columns.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fulgurite.figures.colours import SEQUENTIAL, Pixels, Scale, on_colour
from fulgurite.figures.panel import PLOT_BESIDE_LEGEND, Box, Panel
from fulgurite.figures.ticks import Axis, name_axis

# Cells that are smaller have no number in them.
_LEAST_CELL = 24
# Height of a picture above a heat map.
_STRIP = 88


def heat_map(
    values: NDArray,
    *,
    title: str,
    subtitle: str = "",
    x: Axis,
    y: Axis,
    scale: Scale,
    numbers: Sequence[Sequence[str]] | None = None,
    above: NDArray | None = None,
) -> Pixels:
    """A heat map with axes and a legend, 500 x 500 x 3.

    Args:
        values: R x C; the first row is at the top.
        title: a few words.
        subtitle: a line below it.
        x: marks of the columns.
        y: marks of the rows.
        scale: the colour of each number.
        numbers: R x C texts for the cells; left out where cells are too small.
        above: a picture over the same columns, H x C grey levels in 0 to 255.
    """
    panel, box = Panel(title, subtitle), PLOT_BESIDE_LEGEND
    if above is not None:
        box = _below(panel, box, above)
    colours = scale(values)
    panel.paste(enlarged(colours, box), box.left, box.top)
    if numbers is not None and min(box.width // values.shape[1], box.height // values.shape[0]) >= _LEAST_CELL:
        _write(panel, box, numbers, colours)
    panel.axes(box, x, y)
    panel.legend(box, scale)
    return panel.pixels()


def confusion_matrix(counts: NDArray, names: Sequence[str], *, title: str, subtitle: str = "") -> Pixels:
    """Which class is taken for which: rows are the truth, columns the guess; 500 x 500 x 3.

    The colour is the share of the row, by its square root: an error of 1 % is visible beside a diagonal of 99 %.

    Args:
        counts: C x C whole numbers.
        names: of the C classes.
        title: a few words.
        subtitle: a line below it.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    marks = ((0.0, "0"), (0.1, "1 %"), (0.1**0.5, "10 %"), (0.5**0.5, "50 %"), (1.0, "100 %"))
    scale = Scale(SEQUENTIAL, 0.0, 1.0, "share of row", marks)
    numbers = [[str(count) if count else "" for count in row] for row in counts.tolist()]
    x, y = name_axis("guess", names), name_axis("truth", names)
    return heat_map(np.sqrt(shares), title=title, subtitle=subtitle, x=x, y=y, scale=scale, numbers=numbers)


def enlarged(pixels: Pixels, box: Box) -> Pixels:
    """Pixels (R x C x 3) over a whole box, each a rectangle; averaged where there are more than fit."""
    shrinks = pixels.shape[0] > box.height or pixels.shape[1] > box.width
    way = Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).resize((box.width, box.height), way))


def _below(panel: Panel, box: Box, above: NDArray) -> Box:
    """Draw a picture at the top of a box, and say what is left of it."""
    strip = Box(box.left, box.top, box.width, _STRIP)
    panel.paste(enlarged(np.repeat(above[..., None], 3, axis=2).astype(np.uint8), strip), strip.left, strip.top)
    return Box(box.left, box.top + _STRIP + 8, box.width, box.height - _STRIP - 8)


def _write(panel: Panel, box: Box, numbers: Sequence[Sequence[str]], colours: Pixels) -> None:
    height, width = box.height / len(numbers), box.width / len(numbers[0])
    for row, texts in enumerate(numbers):
        for column, text in enumerate(texts):
            if text:
                x, y = box.left + (column + 0.5) * width, box.top + (row + 0.5) * height
                panel.text(x, y, text, colour=on_colour(colours[row, column]))
