"""The square panel that all figures are drawn on: title, text, axes, legend.

Places and sizes are in pixels from the top left. TensorBoard shows a panel on a card of 330 pixels, so the smallest
letters have 15 here, 10 there.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fulgurite.figures.colours import INK, MUTED, PAPER, RULE, Pixels, Rgb, Scale
from fulgurite.figures.ticks import Axis

SIDE = 500
_MARGIN = 14
_SMALL, _LARGE = 15, 21


class Box(NamedTuple):
    """A rectangle."""

    left: int
    top: int
    width: int
    height: int


# Where a plot stands that has axes, and beside it one with a legend.
PLOT = Box(62, 68, 422, 370)
PLOT_BESIDE_LEGEND = Box(62, 68, 368, 368)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class Panel:
    """White paper with a title and a line below it.

    Args:
        title: a few words.
        subtitle: smaller, in grey; what does not fit is cut off.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._image = Image.new("RGB", (SIDE, SIDE), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self.text(_MARGIN, 22, title, size=_LARGE, anchor="lm")
        self.text(_MARGIN, 46, subtitle, colour=MUTED, anchor="lm")

    def text(self, x: float, y: float, text: str, *, size: int = _SMALL, colour: Rgb = INK, anchor: str = "mm") -> None:
        """Write text.

        Args:
            x: left end, middle or right end, as ``anchor`` says.
            y: middle of the line.
            text: one line; letters that the font lacks become question marks.
            size: height of the letters.
            colour: of the letters.
            anchor: of Pillow: ``lm``, ``mm`` or ``rm``.
        """
        known = text.encode("latin-1", errors="replace").decode("latin-1")
        self._draw.text((x, y), known, font=_font(size), fill=colour, anchor=anchor)

    def width_of(self, text: str) -> float:
        """How wide small text is."""
        return _font(_SMALL).getlength(text)

    def upright_text(self, x: int, y: int, text: str, colour: Rgb = MUTED) -> None:
        """Write text from bottom to top, its middle at (x, y)."""
        width = int(_font(_SMALL).getlength(text)) + 2
        line = Image.new("RGB", (width, _SMALL + 6), PAPER)
        ImageDraw.Draw(line).text((width / 2, line.height / 2), text, font=_font(_SMALL), fill=colour, anchor="mm")
        turned = line.rotate(90, expand=True)
        self._image.paste(turned, (x - turned.width // 2, y - turned.height // 2))

    def paste(self, pixels: Pixels, left: int, top: int) -> None:
        """Put H x W x 3 pixels there."""
        self._image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left, top))

    def outline(self, box: Box, colour: Rgb = RULE) -> None:
        """Draw a thin line round a box."""
        self._draw.rectangle((box.left - 1, box.top - 1, box.left + box.width, box.top + box.height), outline=colour)

    def axes(self, box: Box, x: Axis, y: Axis) -> None:
        """Draw marks, their text and the labels of both axes, outside of a box."""
        self.outline(box, MUTED)
        bottom = box.top + box.height
        for at, text in x.ticks:
            place = box.left + at * box.width
            self._draw.line((place, bottom, place, bottom + 4), fill=MUTED)
            self.text(place, bottom + 15, text)
        for at, text in y.ticks:
            place = box.top + at * box.height
            self._draw.line((box.left - 5, place, box.left - 1, place), fill=MUTED)
            self.text(box.left - 9, place, text, anchor="rm")
        self.text(box.left + box.width / 2, SIDE - 20, x.label, colour=MUTED)
        self.upright_text(_MARGIN, box.top + box.height // 2, y.label)

    def legend(self, box: Box, scale: Scale) -> None:
        """Draw the colours of a scale as a bar on the right of a box, the largest number at the top."""
        bar = Box(box.left + box.width + 12, box.top, 12, box.height)
        column = scale.colours[np.linspace(len(scale.colours) - 1, 0, bar.height).round().astype(np.intp)]
        self.paste(np.repeat(column[:, None], bar.width, axis=1), bar.left, bar.top)
        self.outline(bar)
        for value, text in scale.ticks:
            share = (value - scale.low) / (scale.high - scale.low)
            if 0 <= share <= 1:
                self.text(bar.left + bar.width + 5, bar.top + (1 - share) * (bar.height - 1), text, anchor="lm")
        self.text(SIDE - 8, min(SIDE - 20, bar.top + bar.height + 44), scale.label, colour=MUTED, anchor="rm")

    def pixels(self) -> Pixels:
        """What has been drawn, 500 x 500 x 3."""
        return np.array(self._image)
