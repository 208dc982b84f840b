"""Pictures of what happens inside a network: feature maps, states over time, histograms of each layer.

Shapes: B batch, K channels, H height, W width, T time steps, U units.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fulgurite.figures.colours import VIRIDIS, Pixels, linear_scale, symmetric_scale
from fulgurite.figures.heat_map import heat_map
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.figures.ticks import name_axis
from fulgurite.models.recurrent import Recurrent
from fulgurite.pictures.board import Drawn, Histogram, Image
from fulgurite.pictures.scene import Scene
from fulgurite.pictures.weights import first_convolution

_MOST_MAPS, _BATCH, _MOST_LAYERS = 36, 32, 24


class Called(NamedTuple):
    """A layer that was called, and what it gave."""

    name: str
    layer: nn.Module
    output: Tensor


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[Called]]:
    """What each layer without layers of its own gives meanwhile, in the order of the calls."""
    calls: list[Called] = []

    def note(name: str, layer: nn.Module, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(output, Tensor):
            calls.append(Called(name, layer, output))

    leaves = [(name, each) for name, each in model.named_modules() if not any(each.children())]
    hooks = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layer in leaves
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def has_maps(scene: Scene) -> bool:
    """Whether there is a convolution."""
    return scene.is_callable and first_convolution(scene.model) is not None


def draw_maps(scene: Scene) -> Iterator[Drawn]:
    """What the first and the last block of convolutions make of the first validation image."""
    with recorded(scene.model) as calls:
        scene.predict(_first(scene))
    blocks = _blocks(calls)
    for word, (name, output) in dict(zip(("first", "last"), (blocks[0], blocks[-1]), strict=True)).items():
        yield Image(f"viz_inside/maps_{word}", _maps(f"Feature maps of {name}", output[0].float().cpu().numpy()))
        if len(blocks) == 1:
            break


def _blocks(calls: Sequence[Called]) -> list[tuple[str, Tensor]]:
    """For each convolution its name, and what came of it before its size changed: after norm and activation."""
    blocks: list[tuple[str, Tensor]] = []
    for each in calls:
        if isinstance(each.layer, nn.Conv2d):
            blocks.append((each.name, each.output))
        elif blocks and each.output.shape == blocks[-1][1].shape:
            blocks[-1] = blocks[-1][0], each.output
    return blocks


def _maps(title: str, maps: np.ndarray) -> Pixels:
    shown = maps[:_MOST_MAPS]
    subtitle = (
        f"of the first validation image · {len(shown)} of {len(maps)} channels, {maps.shape[1]} x {maps.shape[2]}"
    )
    columns = int(np.ceil(np.sqrt(len(shown))))
    scale = linear_scale(shown, VIRIDIS, "activation")
    return image_grid(shown, title=title, subtitle=subtitle, columns=columns, scale=scale)


def has_states(scene: Scene) -> bool:
    """Whether the network is recurrent."""
    return scene.is_callable and isinstance(scene.model, Recurrent)


def draw_states(scene: Scene) -> Iterator[Drawn]:
    """What the last layer remembers after each step of the first validation sample."""
    assert isinstance(scene.model, Recurrent)
    x = scene.encode(_first(scene))
    states = scene.model.states(x)[0].float().cpu().numpy().T
    # What is read at each step stands above what is remembered of it.
    read = to_grey_levels(scene.model.sequence(x)[:1].float().cpu().numpy())[0].T
    num_units, num_steps = states.shape
    step = {"rows": "row", "features": "feature"}.get(scene.model.by, "pixel")
    pixels = heat_map(
        states,
        title="State over time",
        subtitle=f"epoch {scene.epochs} · above, what of the first validation sample is read",
        x=name_axis(f"{step} of the sample", [str(each) for each in range(num_steps)], 12),
        y=name_axis("unit", [str(each) for each in range(num_units)], 14),
        scale=symmetric_scale(states, "state", quantile=1.0),
        above=read,
    )
    yield Image("viz_inside/state", pixels)


def has_histograms(scene: Scene) -> bool:
    """Whether loss and gradient of a batch can be computed."""
    return scene.is_callable


def draw_histograms(scene: Scene) -> Iterator[Drawn]:
    """Activations, gradients and weights of each layer, on the first training samples in evaluation mode."""
    data, model = scene.data, scene.model
    assert data is not None
    x, y = (each[:_BATCH] for each in data.part("train"))
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad and each.dim() > 1]
    named = named[:_MOST_LAYERS]
    # cuDNN has no backward pass for recurrent layers in evaluation mode.
    with torch.enable_grad(), recorded(model) as calls, torch.backends.cudnn.flags(enabled=False):
        loss = model.loss(model(scene.encode(x)), y)  # type: ignore[operator]
        gradients = torch.autograd.grad(loss, [each for _, each in named], allow_unused=True)
    with_weights = [each for each in calls if any(True for _ in each.layer.parameters(recurse=False))]
    for each in with_weights[:_MOST_LAYERS]:
        yield Histogram(f"viz_activations/{each.name}", each.output)
    for (name, parameter), gradient in zip(named, gradients, strict=True):
        if gradient is not None:
            yield Histogram(f"viz_gradients/{name}", gradient)
        yield Histogram(f"viz_weights/{name}", parameter)


def _first(scene: Scene) -> Tensor:
    assert scene.data is not None
    return scene.data.part("val").x[:1]
