"""Draw digits as people draw them, for `fulgurite predict` and the row own_digits of `fulgurite reproduce`.

python scripts/draw_digits.py [FOLDER]
python scripts/draw_digits.py --sheet docs/images/own_digits.png

Each digit is drawn twice, in two shapes, by a pen whose width and pressure vary, slanted and uneven, on paper that has
a grain and is lit from one side: ball pen, felt pen, pencil, chalk on a board, and a photograph in poor light. None of
it is taken from MNIST. The file name ends in the digit. The same command gives the same files.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

FOLDER = Path(__file__).parents[1] / "src" / "fulgurite" / "data" / "own_digits"
# Strokes through points (x, y) in a box of side 1, y downwards; a pen goes smoothly through the points of a stroke.
Stroke = tuple[tuple[float, float], ...]
SHAPES: dict[int, tuple[tuple[Stroke, ...], tuple[Stroke, ...]]] = {
    0: (
        (((0.58, 0.05), (0.25, 0.2), (0.12, 0.6), (0.38, 0.95), (0.76, 0.75), (0.82, 0.35), (0.55, 0.05), (0.4, 0.1)),),
        (((0.45, 0.03), (0.2, 0.4), (0.3, 0.9), (0.6, 0.93), (0.78, 0.5), (0.62, 0.08), (0.42, 0.05)),),
    ),
    1: (
        (((0.52, 0.02), (0.5, 0.5), (0.47, 0.98)),),
        (((0.28, 0.25), (0.55, 0.03)), ((0.55, 0.03), (0.54, 0.5), (0.52, 0.98))),
    ),
    2: (
        (
            ((0.15, 0.25), (0.35, 0.04), (0.7, 0.1), (0.74, 0.36), (0.45, 0.68), (0.12, 0.94)),
            ((0.12, 0.94), (0.5, 0.9), (0.9, 0.93)),
        ),
        (
            (
                (0.15, 0.2),
                (0.4, 0.03),
                (0.75, 0.15),
                (0.65, 0.5),
                (0.35, 0.8),
                (0.15, 0.93),
                (0.12, 0.8),
                (0.35, 0.8),
                (0.6, 0.93),
                (0.9, 0.85),
            ),
        ),
    ),
    3: (
        (
            ((0.18, 0.14), (0.48, 0.02), (0.75, 0.2), (0.6, 0.42), (0.38, 0.47)),
            ((0.38, 0.47), (0.75, 0.56), (0.8, 0.8), (0.5, 0.98), (0.14, 0.86)),
        ),
        (
            ((0.16, 0.06), (0.5, 0.05), (0.8, 0.05)),
            ((0.8, 0.05), (0.42, 0.42)),
            ((0.42, 0.42), (0.78, 0.55), (0.8, 0.82), (0.45, 0.98), (0.12, 0.86)),
        ),
    ),
    4: (
        (((0.3, 0.05), (0.22, 0.3), (0.13, 0.55)), ((0.13, 0.55), (0.88, 0.52)), ((0.67, 0.2), (0.62, 0.98))),
        (((0.66, 0.03), (0.1, 0.66)), ((0.1, 0.66), (0.92, 0.63)), ((0.66, 0.03), (0.62, 0.98))),
    ),
    5: (
        (
            ((0.78, 0.05), (0.26, 0.07)),
            ((0.26, 0.07), (0.2, 0.45)),
            ((0.2, 0.45), (0.55, 0.38), (0.8, 0.62), (0.68, 0.9), (0.36, 0.98), (0.12, 0.88)),
        ),
        (
            ((0.28, 0.08), (0.22, 0.42), (0.5, 0.4), (0.76, 0.6), (0.66, 0.92), (0.2, 0.94)),
            ((0.28, 0.08), (0.5, 0.06), (0.82, 0.04)),
        ),
    ),
    6: (
        (((0.66, 0.03), (0.32, 0.3), (0.16, 0.66), (0.34, 0.95), (0.66, 0.9), (0.7, 0.64), (0.48, 0.53), (0.2, 0.7)),),
        (((0.5, 0.02), (0.25, 0.4), (0.2, 0.8), (0.5, 0.98), (0.76, 0.78), (0.58, 0.56), (0.25, 0.68)),),
    ),
    7: (
        (((0.12, 0.1), (0.45, 0.07), (0.86, 0.06)), ((0.86, 0.06), (0.58, 0.45), (0.42, 0.98))),
        (
            ((0.14, 0.08), (0.84, 0.05)),
            ((0.84, 0.05), (0.6, 0.45), (0.46, 0.98)),
            ((0.34, 0.52), (0.78, 0.49)),
        ),
    ),
    8: (
        (
            (
                (0.7, 0.16),
                (0.45, 0.02),
                (0.22, 0.2),
                (0.46, 0.46),
                (0.75, 0.72),
                (0.52, 0.98),
                (0.22, 0.8),
                (0.42, 0.52),
                (0.7, 0.28),
                (0.68, 0.13),
            ),
        ),
        (
            ((0.5, 0.03), (0.25, 0.22), (0.5, 0.45), (0.75, 0.22), (0.5, 0.03)),
            ((0.5, 0.45), (0.2, 0.72), (0.5, 0.98), (0.8, 0.72), (0.5, 0.45)),
        ),
    ),
    9: (
        (
            ((0.74, 0.2), (0.5, 0.03), (0.22, 0.22), (0.36, 0.46), (0.68, 0.34), (0.74, 0.18)),
            ((0.74, 0.18), (0.7, 0.6), (0.6, 0.98)),
        ),
        (
            ((0.72, 0.2), (0.45, 0.04), (0.2, 0.25), (0.42, 0.46), (0.72, 0.28)),
            ((0.72, 0.18), (0.74, 0.6), (0.58, 0.92), (0.25, 0.93)),
        ),
    ),
}


@dataclass(frozen=True)
class Hand:
    """How something is written.

    Attributes:
        name: the first word of the file name.
        ink: grey level of the pen, 0 to 255.
        paper: grey level of the paper.
        pen: width of the pen, as a share of the digit's height.
        grain: standard deviation of the paper's grain, in grey levels.
        light: grey levels that one side of the picture is darker by.
        height: of the digit in pixels.
    """

    name: str
    ink: int
    paper: int
    pen: float
    grain: float
    light: float
    height: int


HANDS = (
    Hand("ballpen", ink=60, paper=236, pen=0.045, grain=3, light=12, height=84),
    Hand("feltpen", ink=25, paper=248, pen=0.1, grain=2, light=0, height=64),
    Hand("pencil", ink=110, paper=226, pen=0.055, grain=5, light=20, height=72),
    Hand("chalk", ink=226, paper=52, pen=0.09, grain=6, light=10, height=76),
    Hand("photo", ink=70, paper=178, pen=0.07, grain=6, light=60, height=92),
)
# Drawn larger, and shrunk: Pillow draws with stairs.
_LARGER = 4


def smooth(stroke: NDArray) -> NDArray:
    """Many points of a curve through those of a stroke (P x 2): Catmull and Rom's spline (1974)."""
    if len(stroke) == 2:
        return np.linspace(stroke[0], stroke[1], 60)
    ends = np.concatenate([stroke[:1], stroke, stroke[-1:]])
    t = np.linspace(0, 1, 40)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        cubic = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        parts.append(cubic / 2)
    return np.concatenate(parts)


def draw(digit: int, shape: int, hand: Hand, rng: np.random.Generator) -> Image.Image:
    """A picture of a digit, grey."""
    slant, squeeze, turn = rng.uniform(-0.05, 0.25), rng.uniform(0.75, 1.0), rng.uniform(-0.08, 0.08)
    margins = rng.integers(12, 40, size=4)
    height, width = hand.height + margins[:2].sum(), round(hand.height * 1.1) + margins[2:].sum()
    mask = Image.new("L", (int(width) * _LARGER, int(height) * _LARGER))
    canvas = ImageDraw.Draw(mask)
    for stroke in SHAPES[digit][shape]:
        points = smooth(np.array(stroke) + rng.normal(0, 0.012, (len(stroke), 2)))
        x = (points[:, 0] - 0.5) * squeeze + slant * (0.5 - points[:, 1]) - turn * (points[:, 1] - 0.5) + 0.55
        y = points[:, 1] + turn * (points[:, 0] - 0.5)
        # A hand presses harder here and there, and less at the end of a stroke.
        press = 1 + 0.2 * np.sin(np.linspace(0, rng.uniform(3, 7), len(x)) + rng.uniform(0, 6))
        press *= np.linspace(1, rng.uniform(0.7, 1), len(x))
        for across, down, width_here in zip(x, y, press * hand.pen / 2, strict=True):
            place = np.array([across * hand.height + margins[2], down * hand.height + margins[0]]) * _LARGER
            radius = max(1.0, width_here * hand.height * _LARGER)
            canvas.ellipse((*(place - radius), *(place + radius)), fill=255)
    return on_paper(np.asarray(mask.reduce(_LARGER), dtype=np.float64) / 255, hand, rng)


def on_paper(strokes: NDArray, hand: Hand, rng: np.random.Generator) -> Image.Image:
    """Strokes (H x W, 0 to 1) in ink on paper: with a grain, and darker on one side."""
    height, width = strokes.shape
    grain = rng.normal(0, 1, (height, width))
    side = np.linspace(0, 1, width)[None, :] * rng.choice([-1, 1]) + np.linspace(0, 1, height)[:, None] * rng.choice(
        [-1, 1]
    )
    side = (side - side.min()) / np.ptp(side)
    # Pencil and chalk leave out pits of the paper.
    cover = strokes * np.clip(1 + grain * hand.grain / 40, 0, 1)
    grey = hand.paper + (hand.ink - hand.paper) * cover + grain * hand.grain - hand.light * side
    picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    # Sixteen grey levels are enough, and make a file half as large.
    return picture.quantize(16).convert("L")


def sheet(path: Path) -> None:
    """Draw the kept files on one page, each above what a network reads of it."""
    from fulgurite.replay.digits import read_digit

    files = sorted(FOLDER.glob("*.png"), key=lambda file: (file.stem[-1], file.stem))
    page = Image.new("L", (len(SHAPES) * 100, 2 * 160), 255)
    for at, file in enumerate(files):
        left, top = at // 2 * 100, at % 2 * 160
        with Image.open(file) as opened:
            page.paste(ImageOps.pad(opened, (92, 92), color=255), (left + 4, top + 4))
        read = Image.fromarray(read_digit(file).numpy()).resize((56, 56), Image.Resampling.NEAREST)
        page.paste(read, (left + 22, top + 100))
    page.save(path, optimize=True)


def main() -> None:
    """Write all files."""
    if sys.argv[1:2] == ["--sheet"]:
        sheet(Path(sys.argv[2]))
        return
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2016)
    for digit in SHAPES:
        for shape in (0, 1):
            hand = HANDS[(2 * digit + shape) % len(HANDS)]
            draw(digit, shape, hand, rng).save(folder / f"{hand.name}_{digit}.png", optimize=True)
    print(f"Wrote {2 * len(SHAPES)} digits to {folder}")


if __name__ == "__main__":
    main()
