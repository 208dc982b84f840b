"""Curves over a number, with points and a band round one of them.

Shapes: N places along a curve, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fulgurite.figures.colours import INK, MUTED, PAPER, Pixels, Rgb
from fulgurite.figures.panel import PLOT, SIDE, Box, Panel
from fulgurite.figures.ticks import number_axis, span

# Pillow draws lines with stairs: they are drawn larger, and shrunk.
_LARGER = 2


@dataclass(frozen=True)
class Points:
    """Dots at (x, y), P each."""

    x: NDArray
    y: NDArray
    label: str
    colour: Rgb = MUTED


@dataclass(frozen=True)
class Curve(Points):
    """A line through (x, y), N each; with ``spread`` a band of y - spread to y + spread round it."""

    spread: float = 0.0


@dataclass(frozen=True)
class _Window:
    """What part of the plane a box shows."""

    x: tuple[float, float]
    y: tuple[float, float]
    box: Box

    def places(self, x: NDArray, y: NDArray) -> list[tuple[float, float]]:
        """Pixels of (x, y) in the larger drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0]) * self.box.width
        down = (self.y[1] - y) / (self.y[1] - self.y[0]) * self.box.height
        known = np.isfinite(across) & np.isfinite(down)
        # What is far outside need not be drawn far outside.
        places = np.stack([across, down], axis=1)[known].clip(-1000, 1000) * _LARGER
        return list(map(tuple, places.tolist()))


def curves(
    lines: Sequence[Curve],
    points: Sequence[Points] = (),
    *,
    title: str,
    x_label: str,
    y_label: str,
) -> Pixels:
    """Curves and points with axes and the names of both below the title, 500 x 500 x 3.

    The plot spans the points and the curves that are not more than twice as high as those.

    Args:
        lines: drawn in this order, the last on top.
        points: drawn below the lines.
        title: a few words.
        x_label: what is across.
        y_label: what is upwards.
    """
    panel = Panel(title)
    window = _window(lines, points)
    large = Image.new("RGB", (PLOT.width * _LARGER, PLOT.height * _LARGER), PAPER)
    draw = ImageDraw.Draw(large)
    for line in lines:
        _band(draw, window, line)
    for each in points:
        for x, y in window.places(each.x, each.y):
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_lighter(each.colour, 0.45))
    for line in lines:
        # A fit that is lost has no places.
        if places := window.places(line.x, line.y):
            draw.line(places, fill=line.colour, width=3 * _LARGER, joint="curve")
    panel.paste(np.asarray(large.reduce(_LARGER)), PLOT.left, PLOT.top)
    panel.axes(PLOT, number_axis(x_label, *window.x), number_axis(y_label, *window.y, from_top=True))
    _names(panel, lines, points)
    return panel.pixels()


def _window(lines: Sequence[Curve], points: Sequence[Points]) -> _Window:
    drawn: list[Points] = [*lines, *points]
    x = span(np.concatenate([each.x for each in drawn]))
    kept = [each.y for each in points] + [bound for each in lines if each.spread for bound in _bounds(each)]
    low, high = span(np.concatenate(kept or [each.y for each in lines]))
    # A curve that is lost must not press all others flat.
    others = np.concatenate([each.y for each in lines]).clip(low - (high - low) / 2, high + (high - low) / 2)
    low, high = span(np.concatenate([others, [low, high]]))
    room = (high - low) * 0.04
    return _Window(x, (low - room, high + room), PLOT)


def _bounds(line: Curve) -> tuple[NDArray, NDArray]:
    return line.y - line.spread, line.y + line.spread


def _band(draw: ImageDraw.ImageDraw, window: _Window, line: Curve) -> None:
    if line.spread:
        below, above = (window.places(line.x, y) for y in _bounds(line))
        if above:
            draw.polygon(above + below[::-1], fill=_lighter(line.colour, 0.82))


def _lighter(colour: Rgb, share: float) -> Rgb:
    """A colour mixed with that share of paper; nothing here is transparent."""
    red, green, blue = (round(own + (paper - own) * share) for own, paper in zip(colour, PAPER, strict=True))
    return red, green, blue


def _names(panel: Panel, lines: Sequence[Curve], points: Sequence[Points]) -> None:
    """What is drawn in which colour, on the line below the title; what has no label goes without."""
    left = 14.0
    drawn: list[Points] = [*lines, *points]
    for each in filter(lambda drawn: drawn.label, drawn):
        is_line = isinstance(each, Curve)
        size = (16, 4) if is_line else (6, 6)
        swatch = np.full((size[1], size[0], 3), each.colour if is_line else _lighter(each.colour, 0.3), dtype=np.uint8)
        if left + 24 + panel.width_of(each.label) > SIDE:
            break
        panel.paste(swatch, round(left), 46 - size[1] // 2)
        panel.text(left + size[0] + 6, 46, each.label, colour=INK, anchor="lm")
        left += size[0] + 6 + panel.width_of(each.label) + 16
