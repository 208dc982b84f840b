"""Colours of the figures: ramps with equal steps to the eye, and what numbers are drawn with them.

Shapes: S steps of a ramp.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fulgurite.figures.ticks import nice_ticks, span

Rgb = tuple[int, int, int]
Pixels = NDArray[np.uint8]

PAPER: Rgb = (255, 255, 255)
INK: Rgb = (31, 36, 48)
MUTED: Rgb = (92, 99, 112)
RULE: Rgb = (222, 226, 232)
WRONG: Rgb = (190, 50, 38)
# Told apart by most colour-blind people, too: Okabe and Ito, "Color universal design" (2008), yellow darkened.
CLASSES: tuple[Rgb, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (120, 94, 240),
    (150, 120, 30),
    (100, 100, 100),
    (160, 30, 60),
)
# Björn Ottosson, "A perceptual color space for image processing" (2020): linear RGB to cone responses to Lab.
_TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]])
_TO_CONES = np.vstack([_TO_CONES, [0.0883024619, 0.2817188376, 0.6299787005]])
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]])
_TO_LAB = np.vstack([_TO_LAB, [0.0259040371, 0.7827717662, -0.8086757660]])


def to_oklab(rgb: NDArray) -> NDArray[np.float64]:
    """From sRGB in 0 to 255, ... x 3, to OKLab, in which distances are those that the eye sees."""
    shown = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def from_oklab(lab: NDArray) -> Pixels:
    """From OKLab, ... x 3, to the nearest sRGB."""
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = linear.clip(0, 1)
    shown = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (shown * 255).round().astype(np.uint8)


def ramp(*anchors: str, size: int = 256) -> Pixels:
    """A colour map through ``anchors`` (``#rrggbb``) whose steps look equally large: S x 3."""
    rgb = np.array([[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in anchors])
    lab = to_oklab(rgb)
    way = np.concatenate([[0], np.linalg.norm(np.diff(lab, axis=0), axis=1).cumsum()])
    at = np.linspace(0, way[-1], size)
    return from_oklab(np.stack([np.interp(at, way, lab[:, axis]) for axis in range(3)], axis=1))


# Counts and shares: from paper to dark blue.
SEQUENTIAL = ramp("#f7f9fc", "#9dc0e3", "#2f6db3", "#10264f")
# Signed numbers: 0 is paper; blue is negative, red positive.
DIVERGING = np.concatenate(
    [ramp("#1d4e9e", "#7fa8db", "#fafafa", size=128), ramp("#fafafa", "#e89a83", "#a82a1d", size=128)]
)
# Sizes of activations: the corners of matplotlib's viridis.
VIRIDIS = ramp("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


@dataclass(frozen=True)
class Scale:
    """Which number has which colour.

    Attributes:
        colours: S x 3, from ``low`` to ``high``; what lies beyond has the last colour.
        low: the first number.
        high: the last number, above ``low``.
        label: what the numbers are.
        ticks: numbers to be marked on the legend, each with its text.
    """

    colours: Pixels
    low: float
    high: float
    label: str = ""
    ticks: tuple[tuple[float, str], ...] = ()

    def __call__(self, values: NDArray) -> Pixels:
        """Colours of numbers of any shape, ... x 3; not a number is grey."""
        position = (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low)
        index = (np.nan_to_num(position.clip(0, 1)) * (len(self.colours) - 1)).round().astype(np.intp)
        pixels = self.colours[index]
        pixels[np.isnan(position)] = RULE
        return pixels


def linear_scale(values: NDArray, colours: Pixels, label: str = "") -> Scale:
    """A scale from the least to the largest of the finite ``values``, with ticks at round numbers."""
    low, high = span(np.asarray(values))
    return Scale(colours, low, high, label, nice_ticks(low, high, 5))


def symmetric_scale(values: NDArray, label: str = "", quantile: float = 0.998) -> Scale:
    """A scale round 0 that covers the given part of ``values``; single large ones do not bleach the others."""
    sizes = np.abs(values[np.isfinite(values)])
    high = float(np.quantile(sizes, quantile)) if sizes.size else 0.0
    high = high or 1.0
    return Scale(DIVERGING, -high, high, label, nice_ticks(-high, high, 5))


def on_colour(background: Sequence[int] | NDArray) -> Rgb:
    """Ink or paper, whichever is easier to read on ``background``."""
    return INK if to_oklab(np.asarray(background))[0] > 0.62 else PAPER
