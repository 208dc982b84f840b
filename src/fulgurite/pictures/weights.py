"""Pictures of weights: what the units of a first layer look for, and the filters of a first convolution.

Shapes: U units, K channels, H height, W width.
"""

import math
from collections.abc import Iterator

import pytorch_lightning as pl
from torch import Tensor, nn

from fulgurite.figures.colours import Pixels, symmetric_scale
from fulgurite.figures.image_grid import image_grid
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.scene import Scene

_MOST = 36


def first_dense(scene: Scene) -> tuple[str, nn.Linear] | None:
    """Name and layer of the first dense layer, when it reads whole images."""
    spec = scene.spec
    if spec is None or not spec.is_image or first_convolution(scene.model):
        return None
    layers = ((name, each) for name, each in scene.model.named_modules() if isinstance(each, nn.Linear))
    name, layer = next(layers, ("", None))
    reads_images = layer is not None and layer.in_features == math.prod(spec.input_shape)
    return (name, layer) if layer is not None and reads_images and scene.is_whole else None


def first_convolution(model: pl.LightningModule) -> tuple[str, nn.Conv2d] | None:
    """Name and layer of the first convolution."""
    return next(((name, each) for name, each in model.named_modules() if isinstance(each, nn.Conv2d)), None)


def has_units(scene: Scene) -> bool:
    """Whether there is a dense layer that reads images."""
    return first_dense(scene) is not None


def draw_units(scene: Scene) -> Iterator[Drawn]:
    """The weights of a first dense layer, one image for each unit."""
    found = first_dense(scene)
    assert found is not None
    assert scene.spec is not None
    name, layer = found
    images = layer.weight.detach().float().view(-1, *scene.spec.input_shape).mean(dim=1)
    yield Image("viz_weights_first_layer/units", _grid(f"Weights of {name}", images, "unit", layer.out_features <= 10))


def has_filters(scene: Scene) -> bool:
    """Whether there is a convolution whose filters are larger than a pixel."""
    found = first_convolution(scene.model)
    return scene.is_whole and found is not None and min(found[1].weight.shape[2:]) > 1


def draw_filters(scene: Scene) -> Iterator[Drawn]:
    """The filters of the first convolution, averaged over what channels they read."""
    found = first_convolution(scene.model)
    assert found is not None
    name, layer = found
    images = layer.weight.detach().float().mean(dim=1)
    yield Image("viz_weights_first_layer/filters", _grid(f"Filters of {name}", images, "filter", False))


def _grid(title: str, images: Tensor, word: str, are_named: bool) -> Pixels:
    number = len(images)
    subtitle = f"{number} {word}s"
    if number > _MOST:
        # In their order, so that a unit keeps its place from epoch to epoch as long as it is shown.
        chosen = images.flatten(1).square().sum(dim=1).topk(_MOST).indices.sort().values
        images, subtitle = images[chosen], f"the {_MOST} of {number} {word}s with the largest weights"
    values = images.cpu().numpy()
    columns = math.ceil(math.sqrt(len(values)))
    return image_grid(
        values,
        title=title,
        subtitle=subtitle,
        columns=columns,
        captions=[str(each) for each in range(len(values))] if are_named else (),
        scale=symmetric_scale(values, "weight"),
    )
