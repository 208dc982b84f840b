"""A height over a plane in bands with contour lines, and a path across it.

Shapes: G places along each side, P places of the path.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fulgurite.figures.colours import INK, PAPER, WRONG, Pixels, Scale
from fulgurite.figures.panel import PLOT_BESIDE_LEGEND as BOX
from fulgurite.figures.panel import Panel
from fulgurite.figures.plane import Span
from fulgurite.figures.ticks import number_axis

# Pillow draws lines with stairs: they are drawn larger, and shrunk.
_LARGER = 2
_BANDS = 14
# Cells beyond each side, so that what is drawn between cells is right at the sides, too.
BEYOND = 2


def cell_middles(side: Span, number: int) -> NDArray:
    """Middles of ``number`` cells along a side, and of those beyond both of its ends."""
    return side[0] + (np.arange(-BEYOND, number + BEYOND) + 0.5) / number * (side[1] - side[0])


def surface(
    heights: NDArray,
    path: NDArray,
    *,
    title: str,
    subtitle: str,
    x: Span,
    y: Span,
    scale: Scale,
    names: tuple[str, str],
) -> Pixels:
    """Heights in bands, the path from a ring to a dot; 500 x 500 x 3.

    Args:
        heights: at ``cell_middles`` of both sides, G x G; the first row is the smallest y.
        path: P x 2.
        title: a few words.
        subtitle: a line below it.
        x: first and last number across.
        y: first and last number upwards.
        scale: the colour of each height.
        names: of the two axes.
    """
    panel = Panel(title, subtitle)
    large = Image.fromarray(_banded(heights, scale))
    _draw_path(ImageDraw.Draw(large), _places(path, large.size, x, y))
    panel.paste(np.asarray(large.reduce(_LARGER)), BOX.left, BOX.top)
    panel.axes(BOX, number_axis(names[0], *x), number_axis(names[1], *y, from_top=True))
    panel.legend(BOX, scale)
    return panel.pixels()


def _banded(heights: NDArray, scale: Scale) -> Pixels:
    """One colour a band, and a thin dark line between two."""
    size = (BOX.width * _LARGER, BOX.height * _LARGER)
    upright = np.nan_to_num(heights[::-1], nan=scale.high, posinf=scale.high).astype(np.float32)
    inside = (BEYOND, BEYOND, upright.shape[1] - BEYOND, upright.shape[0] - BEYOND)
    smooth = np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BICUBIC, inside), dtype=np.float64)
    bands = ((smooth - scale.low) / (scale.high - scale.low) * _BANDS).clip(0, _BANDS - 1e-9).astype(int)
    pixels = scale(scale.low + (bands + 0.5) / _BANDS * (scale.high - scale.low))
    is_edge = np.zeros(bands.shape, dtype=bool)
    is_edge[:, 1:] = bands[:, 1:] != bands[:, :-1]
    is_edge[1:] |= bands[1:] != bands[:-1]
    pixels[is_edge] = pixels[is_edge] // 2
    return pixels


def _draw_path(draw: ImageDraw.ImageDraw, places: list[tuple[float, float]]) -> None:
    """A dark line with a light one in it, which is seen on every colour."""
    for width, colour in ((6 * _LARGER, INK), (3 * _LARGER, PAPER)):
        draw.line(places, fill=colour, width=width, joint="curve")
    for place in places[1:-1]:
        draw.ellipse(_round(place, 3), fill=WRONG, outline=INK)
    draw.ellipse(_round(places[0], 6), fill=PAPER, outline=INK, width=2 * _LARGER)
    draw.ellipse(_round(places[-1], 6), fill=WRONG, outline=INK, width=_LARGER)


def _round(place: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    reach = radius * _LARGER
    return place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach


def _places(path: NDArray, size: tuple[int, int], x: Span, y: Span) -> list[tuple[float, float]]:
    known = path[np.isfinite(path).all(axis=1)]
    across = (known[:, 0] - x[0]) / (x[1] - x[0]) * size[0]
    down = (y[1] - known[:, 1]) / (y[1] - y[0]) * size[1]
    return list(zip(across.tolist(), down.tolist(), strict=True))
