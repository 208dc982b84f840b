"""Photographs and drawings of a digit, made to look as MNIST's digits do.

MNIST's own recipe (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998,
section III.A): the digit, light on black, is scaled into a 20 x 20 box without changing its aspect ratio, with grey
levels from antialiasing, and put into a 28 x 28 field so that its centre of mass is in the middle.

Shapes: H, W height and width of the picture; S side of the field that the model reads.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from fulgurite.errors import DataError
from fulgurite.replay.ink import LEAST_CONTRAST, ink_of

# The box is 20 of the field's 28 pixels.
_BOX = 20 / 28
# A picture more than twice as large, in pixels on its longer side, is made smaller at once.
_LARGEST = 500


def read_digit(path: Path, size: int = 28) -> Tensor:
    """A picture file as MNIST would hold it.

    Args:
        path: PNG, JPEG or whatever else Pillow reads: any size, grey, colour or palette, with or without transparency,
            dark on light or light on dark.
        size: side S of the field.

    Returns:
        S x S bytes, the digit light on 0.

    Raises:
        DataError: when the file is absent, a folder, no picture, or shows nothing but one tone.
    """
    return centre_digit(_ink(path), size)


def read_field(path: Path, size: int = 28) -> Tensor:
    """A square picture file as a whole, scaled to the field: a digit stays where it is.

    Args:
        path: as for ``read_digit``.
        size: side S of the field.

    Returns:
        S x S bytes, the digit light on 0.

    Raises:
        DataError: when the file cannot be read, is not square, or shows nothing but one tone.
    """
    ink = _ink(path)
    if ink.shape[0] != ink.shape[1]:
        raise DataError(f"{path} is {ink.shape[1]} x {ink.shape[0]} pixels; where a digit is, a square picture says")
    return torch.from_numpy(np.rint(255 * _fit(ink, size)).astype(np.uint8))


def centre_digit(ink: np.ndarray, size: int = 28) -> Tensor:
    """Crop, scale and centre a digit.

    Args:
        ink: H x W numbers in [0, 1], 0 where there is no ink.
        size: side S of the field.

    Returns:
        S x S bytes. The centre of mass is at pixel (S/2, S/2), to the nearest whole pixel, as in MNIST.

    Raises:
        ValueError: when there is no ink.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        raise ValueError("is blank")
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scaled = _fit(cropped, round(size * _BOX))
    height, width = scaled.shape
    top = _offset(scaled.sum(axis=1), size)
    left = _offset(scaled.sum(axis=0), size)
    field = np.zeros((size, size), dtype=np.uint8)
    field[top : top + height, left : left + width] = np.rint(255 * scaled)
    return torch.from_numpy(field)


def _ink(path: Path) -> np.ndarray:
    """How much ink is where, H x W in [0, 1]."""
    try:
        return ink_of(_grey(path))
    except ValueError as error:
        raise DataError(f"{path} {error}; give a picture of one digit, dark on light or light on dark") from None


def _grey(path: Path) -> np.ndarray:
    """The picture as H x W grey levels in [0, 255], transparent parts as paper."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the pictures in it, such as {path / '*.png'}")
    try:
        with _opened(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode in ("1", "P"):
                picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            elif picture.mode.startswith("I"):
                picture = picture.convert("I")
            # A photograph of many megapixels takes seconds otherwise, for a box of 20 pixels.
            picture = picture.reduce(max(1, max(picture.size) // _LARGEST))
            if picture.mode.startswith(("I", "F")):
                # More than 8 bits: Pillow would clip these at 255.
                levels = np.asarray(picture, dtype=np.float64)
                return 255 * (levels - levels.min()) / max(np.ptp(levels), 1e-12 + 65535 * LEAST_CONTRAST / 255)
            if picture.has_transparency_data:
                picture = _on_paper(picture.convert("RGBA"))
            return np.asarray(picture.convert("L"), dtype=np.float64)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give PNG or JPEG files") from None
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); give a PNG or JPEG file") from None


def _opened(path: Path) -> Image.Image:
    # Telephones take pictures of 100 megapixels and more, which Pillow suspects; it still refuses twice its limit.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


def _on_paper(picture: Image.Image) -> Image.Image:
    """Lay a picture with transparency on white, or on black when what is visible of it is light."""
    grey, alpha = (np.asarray(band, dtype=np.float64) for band in (picture.convert("L"), picture.getchannel("A")))
    visible = alpha.sum()
    light = visible > 0 and (grey * alpha).sum() / visible > 127 and alpha.min() < 255
    paper = Image.new("RGBA", picture.size, "black" if light else "white")
    return Image.alpha_composite(paper, picture)


def _fit(ink: np.ndarray, box: int) -> np.ndarray:
    """Scale to ``box`` pixels on the longer side, antialiased; the strongest ink is 1 again."""
    height, width = ink.shape
    factor = box / max(height, width)
    shape = max(1, round(width * factor)), max(1, round(height * factor))
    picture = Image.fromarray(ink.astype(np.float32)).resize(shape, Image.Resampling.BICUBIC)
    scaled = np.clip(np.asarray(picture), 0, None)
    return scaled / scaled.max()


def _offset(weights: np.ndarray, size: int) -> int:
    """Where a box of these row (or column) sums starts, for its mean to fall on pixel ``size / 2``."""
    centre = (np.arange(len(weights)) * weights).sum() / weights.sum()
    return int(np.clip(round(size / 2 - centre), 0, size - len(weights)))
