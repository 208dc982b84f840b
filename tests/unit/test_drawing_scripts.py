"""The figures of scripts/draw_activations.py and scripts/tree_beside_mlp.py."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.tree import DecisionTreeClassifier

from fulgurite.figures.panel import PLOT, SIDE
from fulgurite.models.layers import ACTIVATIONS

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Off the kinks and jumps.
X = np.array([-3.5, -2.2, -0.7, 0.3, 1.4, 2.9, 3.7])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bell(x: float) -> float:
    """The density of the standard normal distribution."""
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def mish_slope(x: float) -> float:
    t = math.tanh(math.log1p(math.exp(x)))
    return t + x * (1 - t * t) * sigmoid(x)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# Derivatives by hand.
SLOPES = {
    "celu": lambda x: 1.0 if x > 0 else math.exp(x),
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
    "gelu": lambda x: (1 + math.erf(x / math.sqrt(2))) / 2 + x * bell(x),
    "hardswish": lambda x: 0.0 if x < -3 else 1.0 if x > 3 else (2 * x + 3) / 6,
    "hardtanh": lambda x: float(-1 < x < 1),
    "heaviside": lambda x: 0.0,
    "identity": lambda x: 1.0,
    "leaky_relu": lambda x: 1.0 if x > 0 else 0.01,
    "mish": mish_slope,
    "prelu": lambda x: 1.0 if x > 0 else 0.25,
    "relu": lambda x: float(x > 0),
    "relu6": lambda x: float(0 < x < 6),
    "selu": lambda x: SELU_SCALE * (1.0 if x > 0 else SELU_ALPHA * math.exp(x)),
    "sigmoid": lambda x: sigmoid(x) * (1 - sigmoid(x)),
    "sign": lambda x: 0.0,
    "silu": lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "softplus": sigmoid,
    "softsign": lambda x: 1 / (1 + abs(x)) ** 2,
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
}


@pytest.fixture(autouse=True)
def _scripts_importable(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_of_each_activation_is_its_derivative_by_hand(name) -> None:
    from draw_activations import function_and_slope

    values, slopes = function_and_slope(name, X)
    assert slopes.tolist() == pytest.approx([SLOPES[name](x) for x in X], rel=1e-6, abs=1e-12)
    # And the function is one that has it: between two places that are near each other.
    ahead, _ = function_and_slope(name, X + 1e-6)
    assert ((ahead - values) / 1e-6).tolist() == pytest.approx(slopes.tolist(), abs=1e-4)


def test_the_picture_has_a_cell_for_each_activation(tmp_path, monkeypatch, capsys) -> None:
    import draw_activations

    path = tmp_path / "activations.png"
    monkeypatch.setattr(sys, "argv", ["draw_activations.py", str(path)])
    draw_activations.main()
    assert f"Wrote {path}" in capsys.readouterr().out
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    cells = [(row, column) for row in range(4) for column in range(5)]
    blue = np.abs(pixels - draw_activations._FUNCTION).sum(axis=2) < 60
    drawn = {
        (row, column)
        for row, column in cells
        if blue[44 + row * 234 : 44 + row * 234 + 190, 14 + column * 204 : 14 + column * 204 + 190].sum() > 100
    }
    assert drawn == set(cells[: len(ACTIVATIONS)])


@pytest.mark.parametrize("depth", [1, 2, 3, None])
def test_a_tree_as_a_network_of_steps_says_the_same_everywhere(depth) -> None:
    from tree_beside_mlp import network_of, petals, said

    x, y = petals()
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(x, y)
    places = np.random.default_rng(0).uniform(x.min(axis=0) - 1, x.max(axis=0) + 1, size=(3000, 2))
    for each in (places, x):
        np.testing.assert_allclose(said(network_of(tree), each), tree.predict_proba(each), atol=1e-12)


def test_the_trained_network_is_right_about_most_flowers() -> None:
    from tree_beside_mlp import petals, trained_network

    x, y = petals()
    shares = trained_network(x, y)(x)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(x)))
    assert (shares.argmax(axis=1) == y).mean() > 0.9


def test_the_boundaries_of_the_tree_and_its_network_are_one_picture() -> None:
    from tree_beside_mlp import draw

    pixels = draw()
    assert pixels.shape == (SIDE, 3 * SIDE, 3)
    tree, by_hand, trained = (
        pixels[PLOT.top : PLOT.top + PLOT.height, PLOT.left + at : PLOT.left + at + PLOT.width]
        for at in (0, SIDE, 2 * SIDE)
    )
    np.testing.assert_array_equal(tree, by_hand)
    assert (tree != trained).any(axis=2).mean() > 0.1
