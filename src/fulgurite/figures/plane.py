"""What a network says at each place of a plane, and points in it.

Shapes: G places along each side, P points, C classes.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fulgurite.figures.colours import CLASSES, INK, PAPER, Pixels, Scale
from fulgurite.figures.heat_map import enlarged
from fulgurite.figures.panel import PLOT, PLOT_BESIDE_LEGEND, Box, Panel
from fulgurite.figures.ticks import number_axis

Span = tuple[float, float]
INPUTS = ("first input", "second input")
_LARGER = 2


def decision_regions(
    shares: NDArray,
    points: NDArray,
    labels: NDArray,
    *,
    title: str,
    subtitle: str = "",
    x: Span,
    y: Span,
    names: tuple[str, str] = INPUTS,
) -> Pixels:
    """The most probable class at each place, paler where it is less sure; 500 x 500 x 3.

    Args:
        shares: G x G x C probabilities; the first row is the smallest y.
        points: P x 2, drawn in the colours of their classes.
        labels: P class numbers.
        title: a few words.
        subtitle: a line below it.
        x: first and last number across.
        y: first and last number upwards.
        names: of the two axes.
    """
    colours = np.array(CLASSES, dtype=np.float64)
    guess, best = shares.argmax(axis=-1), shares.max(axis=-1)
    chance = 1 / shares.shape[-1]
    sure = ((best - chance) / (1 - chance)).clip(0, 1)[..., None]
    # Of a network that is lost, whose shares are no numbers, there is bare paper.
    paint = np.nan_to_num(0.08 + 0.42 * sure)
    field = np.array(PAPER) + (colours[guess % len(CLASSES)] - np.array(PAPER)) * paint
    panel = Panel(title, subtitle)
    fills = colours[labels % len(CLASSES)].astype(np.uint8)
    _plane(panel, PLOT, field.round().astype(np.uint8), points, fills, x, y, names)
    return panel.pixels()


def height_map(
    values: NDArray,
    points: NDArray,
    heights: NDArray,
    *,
    title: str,
    subtitle: str = "",
    x: Span,
    y: Span,
    scale: Scale,
    names: tuple[str, str] = INPUTS,
) -> Pixels:
    """A number at each place, and the points with theirs; 500 x 500 x 3.

    Args:
        values: G x G; the first row is the smallest y.
        points: P x 2.
        heights: P numbers, drawn in the same colours.
        title: a few words.
        subtitle: a line below it.
        x: first and last number across.
        y: first and last number upwards.
        scale: the colour of each number.
        names: of the two axes.
    """
    panel = Panel(title, subtitle)
    _plane(panel, PLOT_BESIDE_LEGEND, scale(values), points, scale(heights), x, y, names)
    panel.legend(PLOT_BESIDE_LEGEND, scale)
    return panel.pixels()


def _plane(
    panel: Panel, box: Box, field: Pixels, points: NDArray, fills: Pixels, x: Span, y: Span, names: tuple[str, str]
) -> None:
    """A field (G x G x 3) over a box, y growing upwards, with points and axes."""
    large = Image.fromarray(enlarged(field[::-1].copy(), Box(0, 0, box.width * _LARGER, box.height * _LARGER)))
    draw = ImageDraw.Draw(large)
    for place, fill in zip(_places(points, large.size, x, y), fills.tolist(), strict=True):
        across, down = place
        if not math.isfinite(across + down):
            continue
        draw.ellipse((across - 7, down - 7, across + 7, down + 7), fill=tuple(fill), outline=INK)
    panel.paste(np.asarray(large.reduce(_LARGER)), box.left, box.top)
    panel.axes(box, number_axis(names[0], *x), number_axis(names[1], *y, from_top=True))


def _places(points: NDArray, size: tuple[int, int], x: Span, y: Span) -> Sequence[tuple[float, float]]:
    across = (points[:, 0] - x[0]) / (x[1] - x[0]) * size[0]
    down = (y[1] - points[:, 1]) / (y[1] - y[0]) * size[1]
    return list(zip(across.tolist(), down.tolist(), strict=True))
