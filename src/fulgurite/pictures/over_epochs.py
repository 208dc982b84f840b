"""Pictures of how a run went: its losses, what it forgot, the gradients of its layers.

Shapes: T tasks, L layers.
"""

from collections.abc import Iterator

import numpy as np

from fulgurite.data.split_mnist import SplitMNIST
from fulgurite.figures.colours import CLASSES, MUTED, SEQUENTIAL, VIRIDIS, Scale
from fulgurite.figures.curves import Curve, curves
from fulgurite.figures.heat_map import heat_map
from fulgurite.figures.ticks import name_axis
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.scene import Scene

# Before the name of a layer, in the names of metrics.
LAYER_GRADIENT = "layer_gradient/"
_MOST_LINES = 5


def has_losses(scene: Scene) -> bool:
    """Whether training and validation loss are known of two epochs at least."""
    return all(len(scene.history.series(f"{part}/loss")[0]) > 1 for part in ("train", "val"))


def draw_losses(scene: Scene) -> Iterator[Drawn]:
    """Training and validation loss against epochs; where the latter was least, learning turned into overfitting."""
    train, val = (scene.history.series(f"{part}/loss") for part in ("train", "val"))
    lines = [Curve(*train, "training", CLASSES[0]), Curve(*val, "validation", CLASSES[1])]
    known = np.isfinite(val[1])
    # All may be lost.
    if known.any():
        least = int(np.argmin(np.where(known, val[1], np.inf)))
        at, height = val[0][least], val[1][least]
        lines.insert(0, Curve(np.array([at, at]), np.array([0.0, height]), f"least: epoch {at:.0f}", MUTED))
    pixels = curves(lines, title=f"Losses up to epoch {scene.epochs}", x_label="epoch", y_label="loss")
    yield Image("viz_outputs/losses", pixels)


def has_forgetting(scene: Scene) -> bool:
    """Whether there are tasks, one of which has been learned."""
    return isinstance(scene.data, SplitMNIST) and any(0 < last <= scene.epochs for last in scene.data.last_epochs())


def draw_forgetting(scene: Scene) -> Iterator[Drawn]:
    """The accuracy on each task after each task, T x T, and that on each task after each epoch."""
    data = scene.data
    assert isinstance(data, SplitMNIST)
    over_epochs = [scene.history.series(f"val/acc_task_{name}") for name in data.task_names]
    table = np.full((len(data.tasks),) * 2, np.nan)
    for row, last in enumerate(data.last_epochs()):
        for column, (epochs, known) in enumerate(over_epochs):
            # Of a long run not every epoch is kept.
            if 0 < last <= scene.epochs and (upto := np.flatnonzero(epochs <= last)).size:
                table[row, column] = known[upto[-1]]
    names = ["/".join(map(str, task)) for task in data.tasks]
    yield Image("viz_outputs/forgetting", _matrix(scene, data.method, names, table))
    lines = [
        Curve(epochs, 100 * known, name, CLASSES[number % len(CLASSES)])
        for number, (name, (epochs, known)) in enumerate(zip(names, over_epochs, strict=True))
    ]
    title = f"What is known of each task: {data.method}"
    yield Image("viz_outputs/tasks", curves(lines, title=title, x_label="epoch", y_label="validation accuracy, %"))


def _matrix(scene: Scene, method: str, names: list[str], table: np.ndarray) -> np.ndarray:
    """The forgetting matrix, in percent; grey where nothing is known yet."""
    ticks = tuple((part, f"{100 * part:.0f} %") for part in (0.0, 0.25, 0.5, 0.75, 1.0))
    return heat_map(
        table,
        title=f"Accuracy on each task, after each: {method}",
        subtitle=f"epoch {scene.epochs} · validation samples, in percent",
        x=name_axis("accuracy on task", names),
        y=name_axis("after learning task", names),
        scale=Scale(SEQUENTIAL, 0.0, 1.0, "accuracy", ticks),
        numbers=[["" if np.isnan(known) else f"{100 * known:.1f}" for known in row] for row in table],
    )


def has_gradients(scene: Scene) -> bool:
    """Whether gradients of single layers were measured."""
    return len(scene.history.names(LAYER_GRADIENT)) > 1


def draw_gradients(scene: Scene) -> Iterator[Drawn]:
    """The norm of each layer's gradient, from the input to the output, at the start of some epochs."""
    names = scene.history.names(LAYER_GRADIENT)
    epochs = scene.history.series(names[0])[0]
    table = np.stack([scene.history.series(name)[1] for name in names])
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(_MOST_LINES, len(epochs))).round().astype(int))
    layers = np.arange(1, len(names) + 1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        norms = np.log10(table)
    shades = VIRIDIS[np.linspace(0, 0.85 * (len(VIRIDIS) - 1), len(chosen)).astype(int)]
    lines = [
        Curve(layers, norms[:, column], _start(epochs[column]), (int(red), int(green), int(blue)))
        for column, (red, green, blue) in zip(chosen, shades, strict=True)
    ]
    title = "Gradient of each layer"
    yield Image("viz_inside/gradients", curves(lines, title=title, x_label="layer", y_label="norm of gradient, log10"))


def _start(epoch: float) -> str:
    """A measure is taken as an epoch starts, so the first shows the network before training."""
    return "untrained" if epoch == 1 else f"epoch {epoch:.0f}"
