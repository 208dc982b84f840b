"""How far a fitted curve is from the true one, and where a ReLU network has its kinks.

Shapes: G places along x.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from fulgurite.data.synthetic import Synthetic
from fulgurite.figures.colours import CLASSES, MUTED
from fulgurite.figures.curves import Curve, curves
from fulgurite.models.scores import mae_noise_floor
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.data import has_fit
from fulgurite.pictures.scene import Scene

# So many that two kinks seldom share a place, and few enough that a slope is more than rounding.
_NUM_PLACES = 1001
# Of the largest change of slope: what is less is rounding, or hardly seen.
_LEAST_CHANGE = 0.02
# A network of lines has no change of slope at most places; a smooth one has some at nearly all of them.
_MOST_KINKS = 0.2


def has_misfit(scene: Scene) -> bool:
    """Whether one number is predicted from one, and the curve without noise is known."""
    return has_fit(scene) and isinstance(scene.data, Synthetic)


def draw_misfit(scene: Scene) -> Iterator[Drawn]:
    """Prediction minus truth along x, in the unit of the targets, with the kinks of a network of lines below."""
    data = scene.data
    assert isinstance(data, Synthetic)
    places = torch.linspace(data.low, data.high, _NUM_PLACES).unsqueeze(1)
    across, fit = places[:, 0].numpy(), scene.predict(places)[:, 0].numpy()
    error = fit - data.clean(places)[:, 0].numpy()
    bends = kinks(fit)
    lines = [
        Curve(across[[0, -1]], np.zeros(2), "truth", MUTED),
        *([_comb(across[bends], error)] if len(bends) else []),
        Curve(across, error, "fit - truth", CLASSES[1]),
    ]
    words = f", noise floor {mae_noise_floor(data.noise_std):.3g}" if data.noise_std else ""
    pixels = curves(
        lines,
        title=f"Mean misfit {np.abs(error).mean():.2g}{words}, epoch {scene.epochs}",
        x_label="x",
        y_label="fit - truth",
    )
    yield Image("viz_outputs/misfit", pixels)


def _comb(x: NDArray, error: NDArray) -> Curve:
    """A tooth at each x, below the error."""
    room = np.ptp(error) or 1.0
    low, high = error.min() - 0.12 * room, error.min() - 0.06 * room
    return Curve(x.repeat(3), np.tile([low, high, low], len(x)), "kinks", CLASSES[0])


def kinks(fit: NDArray) -> NDArray[np.intp]:
    """Which of G equally spaced places a curve of straight lines has its kinks next to; none for a smooth curve.

    Args:
        fit: heights, G.
    """
    change = np.abs(np.diff(fit.astype(np.float64), 2))
    if not np.isfinite(change).all() or not change.any():
        return np.zeros(0, dtype=np.intp)
    found = np.flatnonzero(change > _LEAST_CHANGE * change.max())
    if len(found) > _MOST_KINKS * len(change):
        return np.zeros(0, dtype=np.intp)
    # A kink between two places changes the slope at both: the larger change stands for it.
    groups = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    return np.array([group[change[group].argmax()] + 1 for group in groups])
