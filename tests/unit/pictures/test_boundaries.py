"""The boundary that the presets of gates and flowers draw."""

import numpy as np
import pytest
from PIL import Image

from fulgurite.data.in_memory import Part
from fulgurite.data.iris import Iris
from fulgurite.figures.panel import PLOT
from fulgurite.figures.plane import decision_regions
from fulgurite.job import run_job

QUIET = ("trainer=cpu", "logger=none", "callbacks.progress=null", "test=false")


def drawn(compose_config, folder, name, *words) -> np.ndarray:
    assert run_job(compose_config(*words, *QUIET), list(words)).status == "finished"
    return np.asarray(Image.open(folder / "figures" / f"{name}.png").convert("RGB")).astype(int)


def plane(compose_config, folder, *words) -> np.ndarray:
    return drawn(compose_config, folder, "plane", *words)


def is_orange(pixels: np.ndarray, across: float, up: float) -> bool:
    """Whether class 1 is said at a place given in parts of the box."""
    red, _, blue = pixels[PLOT.top + round((1 - up) * PLOT.height), PLOT.left + round(across * PLOT.width)]
    return bool(red > blue)


@pytest.mark.parametrize(
    ("preset", "orange"),
    [
        ("logic_and", {(1, 1)}),
        ("logic_xor_mlp", {(0, 1), (1, 0)}),
    ],
)
def test_the_corners_of_a_gate_have_the_colours_of_its_table(preset, orange, compose_config, tmp_path):
    pixels = plane(compose_config, tmp_path, f"experiment={preset}")
    # Beside the points, outwards: the box begins 0.06 before the first. (The line of OR goes through two of them.)
    places = {(a, b): (0.02 + 0.96 * a, 0.02 + 0.96 * b) for a in (0, 1) for b in (0, 1)}
    assert {corner for corner, place in places.items() if is_orange(pixels, *place)} == orange


def test_the_curves_of_a_gate_of_one_input_cross_between_its_two_points(compose_config, tmp_path):
    pixels = drawn(compose_config, tmp_path, "shares", "experiment=logic_not", "model.activation=sign")
    red, _, blue = pixels[PLOT.top : PLOT.top + PLOT.height // 2, PLOT.left : PLOT.left + PLOT.width].transpose(2, 0, 1)
    # Of the upper half: NOT says 1, in orange, on the left, and 0, in blue, on the right.
    left, right = (slice(None), slice(PLOT.width // 4)), (slice(None), slice(3 * PLOT.width // 4, None))
    assert (red[left] > blue[left]).any()
    assert not (red[left] < blue[left]).any()
    assert (red[right] < blue[right]).any()
    assert not (red[right] > blue[right]).any()


def test_the_petals_of_setosa_lie_beyond_the_line_of_the_perceptron(compose_config, tmp_path):
    cfg = compose_config("experiment=iris_perceptron")
    data = Iris(spec=dict(cfg.data.spec), features=list(cfg.data.features), classes=list(cfg.data.classes))
    data.setup("fit")
    x, y = (each.numpy() for each in Part(*data.part("val")))
    pixels = plane(compose_config, tmp_path, "experiment=iris_perceptron")
    room = (x.max(0) - x.min(0)) * 0.06
    places = (x - x.min(0) + room) / (x.max(0) - x.min(0) + 2 * room)
    for place, label in zip(places, y, strict=True):
        # A little towards the corner of the class, off the point itself.
        beside = place + (0.03 if label == 0 else -0.03)
        assert is_orange(pixels, *beside) == bool(label)


def test_the_axes_bear_the_names_of_the_inputs():
    shares, none = np.full((4, 4, 2), 0.5), np.zeros((0, 2))
    plain, named = (
        decision_regions(shares, none, np.zeros(0, dtype=int), title="t", x=(0, 1), y=(0, 1), **names)
        for names in ({}, {"names": ("petal length in cm", "petal width in cm")})
    )
    differ = np.argwhere((plain != named).any(axis=-1))
    below, left = differ[:, 0] > PLOT.top + PLOT.height, differ[:, 1] < PLOT.left
    assert below.any()
    assert left.any()
    assert (below | left).all()
