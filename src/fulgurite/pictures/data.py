"""Pictures of the data and of what a network makes of one or two numbers.

Shapes: N samples, P points, G places along a side, C classes.
"""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
import torch

from fulgurite.data.draws import Draws
from fulgurite.data.in_memory import Augmentations
from fulgurite.data.synthetic import Synthetic
from fulgurite.figures.colours import CLASSES, VIRIDIS, linear_scale
from fulgurite.figures.curves import Curve, Points, curves
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.figures.plane import INPUTS, decision_regions, height_map
from fulgurite.figures.ticks import span
from fulgurite.models.heads import to_scores
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.outputs import to_shown
from fulgurite.pictures.scene import Scene
from fulgurite.randomness import Stream, derive_seed
from fulgurite.spec import DataSpec

_NUM_SAMPLES, _NUM_POINTS, _NUM_PLACES, _SIDE = 30, 200, 200, 64


def has_samples(scene: Scene) -> bool:
    """Whether the data are images of ours."""
    return scene.spec is not None and scene.spec.is_image


def draw_samples(scene: Scene) -> Iterator[Drawn]:
    """The first training images, augmented as in training, by numbers of their own."""
    data = scene.data
    assert data is not None
    x, y = (each[:_NUM_SAMPLES] for each in data.part("train"))
    generator = torch.Generator(x.device)
    generator.manual_seed(derive_seed(data.seed, Stream.AUGMENTATION, scene.epochs))
    if data.augmentation:
        x = Augmentations(data.augmentation)(x, Draws(generator, len(x)))
    names = ", ".join(type(each).__name__.lower() for each in data.augmentation)
    pixels = image_grid(
        to_grey_levels(to_shown(data.encode(x)).cpu().numpy()),
        title="Training samples",
        subtitle=f"augmentation: {names or 'none'}",
        columns=6,
        rows=5,
        captions=captions_of(y, data.spec),
    )
    yield Image("viz_data/samples", pixels)


def captions_of(y: torch.Tensor, spec: DataSpec) -> list[str]:
    """What to write below a sample: its class, the names of its labels, or its numbers."""
    if spec.task == "classification":
        return [str(each) for each in y.tolist()]
    if spec.task == "regression":
        return [", ".join(f"{each:g}" for each in row) for row in y.tolist()]
    names = spec.output_names
    return [", ".join(n for n, there in zip(names, row, strict=True) if there) or "-" for row in y.tolist()]


def has_fit(scene: Scene) -> bool:
    """Whether one number is predicted from one."""
    return scene.is_callable and _sizes(scene) == ("regression", (1,), 1)


def draw_fit(scene: Scene) -> Iterator[Drawn]:
    """The fit, the truth with the noise where they are known, and some training points."""
    data = scene.data
    assert data is not None
    x, y = (each[:_NUM_POINTS].cpu() for each in data.part("train"))
    places = torch.linspace(float(x.min()), float(x.max()), _NUM_PLACES).unsqueeze(1)
    across = places[:, 0].numpy()
    lines = [Curve(across, scene.predict(places)[:, 0].numpy(), "fit", CLASSES[1])]
    if isinstance(data, Synthetic):
        words = "truth ± noise" if data.noise_std else "truth"
        truth = data.clean(places)[:, 0].numpy()
        lines.insert(0, Curve(across, truth, words, CLASSES[0], spread=data.noise_std))
    points = Points(x[:, 0].numpy(), y[:, 0].numpy(), "training points")
    pixels = curves(lines, [points], title=f"Fit after epoch {scene.epochs}", x_label="x", y_label="y")
    yield Image("viz_outputs/fit", pixels)


def has_shares(scene: Scene) -> bool:
    """Whether a class is predicted from one number."""
    task, shape, _ = _sizes(scene)
    return scene.is_callable and shape == (1,) and task in ("classification", "binary")


def draw_shares(scene: Scene) -> Iterator[Drawn]:
    """The probability of each class along the number, and what it should be at some validation points."""
    data = scene.data
    assert data is not None
    x, y = (each[:_NUM_POINTS].cpu() for each in data.part("val"))
    low, high = span(x.numpy())
    room = (high - low) * 0.5
    # A gate has two points, and what lies between them is what it has learned.
    places = torch.linspace(low - room, high + room, _NUM_PLACES).unsqueeze(1)
    shares = to_scores(data.spec, scene.predict(places)).softmax(dim=1).numpy()
    lines = [
        Curve(places[:, 0].numpy(), share, f"P({number})", colour)
        for number, (share, colour) in enumerate(zip(shares.T, cycle(CLASSES), strict=False))
    ]
    across, classes = x[:, 0].numpy(), y.long().view(len(y)).numpy()
    # With no name of their own: they have the colours of the lines.
    points = [Points(across, (classes == number).astype(float), "", line.colour) for number, line in enumerate(lines)]
    title = f"Probabilities after epoch {scene.epochs}"
    yield Image("viz_outputs/shares", curves(lines, points, title=title, x_label="x", y_label="probability"))


def has_plane(scene: Scene) -> bool:
    """Whether a class or one number is predicted from two numbers."""
    task, shape, number = _sizes(scene)
    return scene.is_callable and shape == (2,) and (task == "classification" or number == 1)


def draw_plane(scene: Scene) -> Iterator[Drawn]:
    """What is predicted where, and some validation points."""
    data = scene.data
    assert data is not None
    points, targets = (each[:_NUM_POINTS].cpu() for each in data.part("val"))
    sides = [_side(*span(each.numpy())) for each in points.T]
    down, across = torch.meshgrid(sides[1], sides[0], indexing="ij")
    said = scene.predict(torch.stack([across, down], dim=2).view(-1, 2)).view(_SIDE, _SIDE, -1)
    (x, y) = ((float(side[0]), float(side[-1])) for side in sides)
    names = (data.input_names[0], data.input_names[1]) if data.input_names else INPUTS
    where = f"epoch {scene.epochs} · with validation points"
    if data.spec.task in ("classification", "binary"):
        shares = to_scores(data.spec, said).softmax(dim=2).numpy()
        targets = targets.long().view(len(targets))
        title = "Decision boundary"
        pixels = decision_regions(
            shares, points.numpy(), targets.numpy(), title=title, subtitle=where, x=x, y=y, names=names
        )
    else:
        values, heights = said[..., 0].numpy(), targets[:, 0].numpy()
        scale = linear_scale(np.concatenate([values.ravel(), heights]), VIRIDIS, "prediction")
        pixels = height_map(
            values, points.numpy(), heights, title="Prediction", subtitle=where, x=x, y=y, scale=scale, names=names
        )
    yield Image("viz_outputs/plane", pixels)


def _side(low: float, high: float) -> torch.Tensor:
    """Places along a side of the plane, with a margin."""
    room = (high - low) * 0.06
    return torch.linspace(low - room, high + room, _SIDE)


def _sizes(scene: Scene) -> tuple[str, tuple[int, ...], int]:
    spec = scene.spec
    return ("", (), 0) if spec is None else (spec.task, spec.input_shape, spec.num_outputs)
