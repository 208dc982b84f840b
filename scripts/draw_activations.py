"""All activation functions that a config can name, with their slopes.

    python scripts/draw_activations.py [PNG]

Shapes: N places along a curve.
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fulgurite.figures.colours import CLASSES, INK, MUTED, PAPER, RULE, Rgb
from fulgurite.figures.panel import Panel
from fulgurite.figures.png import to_png
from fulgurite.models.layers import ACTIVATIONS, make_activation

DEFAULT = Path(__file__).parents[1] / "docs" / "images" / "activations.png"
_X, _Y = (-4.0, 4.0), (-1.6, 2.4)
_COLUMNS, _CELL, _GAP, _TOP = 5, 190, 14, 30
_LARGER = 3
_FUNCTION, _SLOPE = CLASSES[0], CLASSES[1]
# Where a function jumps, a line would be drawn that it does not have.
_JUMP = 0.4


def function_and_slope(name: str, x: NDArray) -> tuple[NDArray, NDArray]:
    """An activation and its slope, by autograd, at N places."""
    places = torch.from_numpy(x).requires_grad_()
    values = make_activation(name).double()(places)
    # identity hands its input on.
    (slopes,) = torch.autograd.grad(values.sum(), places)
    return values.detach().numpy(), slopes.numpy()


def draw() -> NDArray[np.uint8]:
    """A cell for each activation, in rows."""
    rows = math.ceil(len(ACTIVATIONS) / _COLUMNS)
    size = (_COLUMNS * (_CELL + _GAP) + _GAP, rows * (_CELL + _GAP + _TOP) + _GAP)
    paper = np.full((size[1], size[0], 3), PAPER, dtype=np.uint8)
    for number, name in enumerate(ACTIVATIONS):
        row, column = divmod(number, _COLUMNS)
        left, top = _GAP + column * (_CELL + _GAP), _GAP + row * (_CELL + _GAP + _TOP)
        paper[top : top + _TOP, left : left + _CELL] = _titled(name)
        paper[top + _TOP : top + _TOP + _CELL, left : left + _CELL] = _cell(name)
    return paper


def _titled(name: str) -> NDArray[np.uint8]:
    panel = Panel("")
    panel.text(0, _TOP / 2, name, anchor="lm")
    panel.text(_CELL - 26, _TOP / 2, "f", colour=_FUNCTION, anchor="lm")
    panel.text(_CELL - 12, _TOP / 2, "f'", colour=_SLOPE, anchor="lm")
    return panel.pixels()[:_TOP, :_CELL]


def _cell(name: str) -> NDArray[np.uint8]:
    side = _CELL * _LARGER
    image = Image.new("RGB", (side, side), PAPER)
    pen = ImageDraw.Draw(image)
    for mark in range(-4, 5):
        # The axes darker than the other lines.
        colour, width = MUTED if mark == 0 else RULE, _LARGER
        if _Y[0] <= mark <= _Y[1]:
            pen.line([*_place(_X[0], mark), *_place(_X[1], mark)], fill=colour, width=width)
        if mark % 2 == 0:
            pen.line([*_place(mark, _Y[0]), *_place(mark, _Y[1])], fill=colour, width=width)
    x = np.linspace(*_X, 801)
    values, slopes = function_and_slope(name, x)
    _line(pen, x, values, _FUNCTION, 4)
    _line(pen, x, slopes, _SLOPE, 2)
    pen.rectangle((0, 0, side - 1, side - 1), outline=INK)
    return np.asarray(image.reduce(_LARGER))


def _line(pen: ImageDraw.ImageDraw, x: NDArray, y: NDArray, colour: Rgb, width: int) -> None:
    """A curve in pieces that have no jump in them."""
    breaks = np.flatnonzero(np.abs(np.diff(y)) > _JUMP) + 1
    for piece in np.split(np.arange(len(x)), breaks):
        places = [_place(float(x[at]), float(y[at])) for at in piece]
        if len(places) > 1:
            pen.line(places, fill=colour, width=width * _LARGER, joint="curve")


def _place(x: float, y: float) -> tuple[float, float]:
    side = _CELL * _LARGER
    return (x - _X[0]) / (_X[1] - _X[0]) * side, (_Y[1] - y) / (_Y[1] - _Y[0]) * side


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    path.write_bytes(to_png(draw()))
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
