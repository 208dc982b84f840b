"""Small images side by side, each with a few words below it.

Shapes: N images, H height, W width; grey images are N x H x W, coloured ones N x H x W x 3.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fulgurite.figures.colours import INK, Pixels, Rgb, Scale
from fulgurite.figures.panel import SIDE, Box, Panel

# Words of one colour each, which stand side by side.
Caption = Sequence[tuple[str, Rgb]]
_TOP, _SIDE_MARGIN, _GAP, _CAPTION, _LEGEND = 64, 14, 6, 20, 68


def image_grid(
    images: NDArray,
    *,
    title: str,
    subtitle: str = "",
    columns: int,
    rows: int | None = None,
    captions: Sequence[str | Caption] = (),
    scale: Scale | None = None,
) -> Pixels:
    """Images in rows, 500 x 500 x 3.

    Args:
        images: grey or coloured, in 0 to 255; any numbers where there is a ``scale``.
        title: a few words.
        subtitle: a line below it.
        columns: images in a row.
        rows: rows that there is room for; as many as are needed by default.
        captions: one for each image, or none.
        scale: colours numbers, and is drawn as a legend.
    """
    panel = Panel(title, subtitle)
    pixels = _coloured(images) if scale is None else scale(images)
    rows = rows or math.ceil(len(images) / columns)
    width = (SIDE - 2 * _SIDE_MARGIN - (_LEGEND if scale else 0)) / columns
    below = _CAPTION if captions else 0
    height = (SIDE - _TOP - 10 - (16 if scale else 0)) / rows
    each = _fitted(pixels, int(width) - _GAP, int(height) - _GAP - below)
    side_y, side_x = each.shape[1:3]
    # Rows are no farther apart than the columns ask for.
    height = min(height, side_y + below + _GAP + 6)
    for number, image in enumerate(each):
        row, column = divmod(number, columns)
        left = round(_SIDE_MARGIN + column * width + (width - side_x) / 2)
        top = round(_TOP + row * height)
        panel.paste(image, left, top)
        panel.outline(Box(left, top, side_x, side_y))
        if captions:
            _caption(panel, captions[number], left + side_x / 2, top + side_y + 10)
    if scale is not None:
        panel.legend(Box(0, _TOP, SIDE - _LEGEND - _SIDE_MARGIN + 2, round(rows * height - _GAP)), scale)
    return panel.pixels()


def to_grey_levels(images: NDArray) -> Pixels:
    """Numbers of any range to 0 to 255, each image by its own least and largest number; what is none is 0."""
    images = np.nan_to_num(images)
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axis=axes, keepdims=True), images.max(axis=axes, keepdims=True)
    return ((images - low) / np.where(high > low, high - low, 1) * 255).round().astype(np.uint8)


def _coloured(images: NDArray) -> Pixels:
    levels = np.clip(images, 0, 255).round().astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1) if images.ndim == 3 else levels


def _fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """N x H x W x 3 as large as fits: by a whole factor where they grow, averaged where they shrink."""
    factor = min(width / pixels.shape[2], height / pixels.shape[1])
    if factor >= 1:
        return pixels.repeat(int(factor), axis=1).repeat(int(factor), axis=2)
    size = max(1, int(pixels.shape[2] * factor)), max(1, int(pixels.shape[1] * factor))
    return np.stack([np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BOX)) for each in pixels])


def _caption(panel: Panel, caption: str | Caption, x: float, y: float) -> None:
    words: Caption = [(caption, INK)] if isinstance(caption, str) else caption
    left = x - sum(panel.width_of(text) for text, _ in words) / 2
    for text, colour in words:
        panel.text(left, y, text, colour=colour, anchor="lm")
        left += panel.width_of(text)
