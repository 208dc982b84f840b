"""The loss surface with the path of descent: how a network came from its first weights to its last.

Of a line, w and b are the plane, and the surface is exact. Of a larger network it is the plane through its last weights
along which the path has the most variance (Li et al., "Visualizing the loss landscape of neural nets", 2018).

Shapes: P places of the path, W weights, G places along a side of the plane, N samples.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.func import functional_call

from fulgurite.figures.colours import VIRIDIS, Scale
from fulgurite.figures.surface import cell_middles, surface
from fulgurite.figures.ticks import span
from fulgurite.models.linear import Linear
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.scene import Scene

_SIDE, _NUM_SAMPLES, _AT_ONCE = 41, 1000, 64
# Round the path, a part of its length.
_ROOM = 0.35


def path_of(trainer: pl.Trainer) -> Tensor:
    """Where the weights have been, P x W; empty where nobody has kept it."""
    # Of callbacks.descent_path.DescentPath; callbacks know pictures, not the other way round.
    found = (getattr(each, "descent_path", None) for each in trainer.callbacks)  # type: ignore[attr-defined]
    return next((each for each in found if each is not None), torch.empty(0, 0))


def has_surface(scene: Scene) -> bool:
    """Whether a path of finite weights has been kept."""
    path = path_of(scene.trainer)
    return scene.is_callable and len(path) > 1 and bool(path.isfinite().all())


def draw_surface(scene: Scene) -> Iterator[Drawn]:
    """The training loss over a plane of weights, and the path in it."""
    path = path_of(scene.trainer)
    is_line = isinstance(scene.model, Linear) and path.shape[1] == 2
    origin = torch.zeros(2, dtype=path.dtype) if is_line else path[-1]
    axes, told = (torch.eye(2, dtype=path.dtype), 1.0) if is_line else principal_axes(path - origin)
    flat = ((path - origin) @ axes.T).numpy()
    (x, y) = sides(flat)
    across, up = (torch.from_numpy(cell_middles(each, _SIDE)) for each in (x, y))
    plane = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=2)
    heights = losses_at(scene, origin + plane.view(-1, 2) @ axes).view(plane.shape[:2]).numpy()
    marks = "each epoch" if len(path) == scene.epochs + 1 else "some epochs"
    where = f"epoch {scene.epochs} · from the ring to the dot, a mark for {marks}"
    names = ("weight w, of standardised x", "bias b") if is_line else ("1st principal direction", "2nd")
    pixels = surface(
        np.log10(np.maximum(heights, 1e-12)),
        flat,
        title="Loss surface and descent" if is_line else f"Loss surface, plane of {100 * told:.0f} % of the path",
        subtitle=where,
        x=x,
        y=y,
        scale=_log_scale(heights),
        names=names,
    )
    yield Image("viz_outputs/surface", pixels)


def principal_axes(steps: Tensor) -> tuple[Tensor, float]:
    """The two directions in which places differ most, 2 x W, and the part of their squares that lies in them."""
    _, sizes, directions = torch.linalg.svd(steps, full_matrices=False)
    squares = sizes.square()
    return directions[:2], float(squares[:2].sum() / squares.sum().clamp(min=1e-300))


def losses_at(scene: Scene, weights: Tensor) -> Tensor:
    """Loss on the first training samples at each of many places, N x W to N."""
    assert scene.data is not None
    x, y = (each[:_NUM_SAMPLES] for each in scene.data.part("train"))
    encoded, model = scene.encode(x), scene.model
    y = y.to(encoded.device, encoded.dtype) if y.is_floating_point() else y.to(encoded.device)
    shapes = {name: each.shape for name, each in model.named_parameters()}

    def loss(place: Tensor) -> Tensor:
        parts = place.split([math.prod(shape) for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return model.loss(functional_call(model, named, (encoded,)), y)  # type: ignore[operator]

    found = torch.vmap(loss, chunk_size=_AT_ONCE)(weights.to(encoded.device, encoded.dtype))
    return found.double().cpu()


def sides(flat: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """First and last number of both sides: the path with room, neither side shorter than half of the other."""
    spans = [span(each) for each in flat.T]
    least = max(high - low for low, high in spans) / 2
    x, y = (_widened(low, high, max(least, high - low)) for low, high in spans)
    return x, y


def _widened(low: float, high: float, length: float) -> tuple[float, float]:
    middle, reach = (low + high) / 2, length * (0.5 + _ROOM)
    return middle - reach, middle + reach


def _log_scale(heights: np.ndarray) -> Scale:
    """Colours by the logarithm of the loss, with the losses themselves as marks."""
    low, high = span(np.log10(np.maximum(heights[np.isfinite(heights)], 1e-12)))
    # Over several powers of ten, these alone; below, 1, 2 and 5 of each, or what there is of round numbers.
    steps = (1,) if high - low > 2.5 else (1, 2, 5) if high - low > 0.8 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    values = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    marks = tuple((math.log10(each), _short(each)) for each in values if low <= math.log10(each) <= high)
    return Scale(VIRIDIS[::-1], low, high, "loss", marks)


def _short(value: float) -> str:
    return f"{value:g}" if value >= 0.001 else f"{value:.0e}".replace("e-0", "e-")
