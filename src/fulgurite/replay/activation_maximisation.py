"""Images that excite a unit most, by gradient ascent in the space of images.

Sources: Erhan et al., "Visualizing higher-layer features of a deep network" (2009); Simonyan et al., "Deep inside
convolutional networks" (2014), for class scores; decay and blur: Yosinski et al., "Understanding neural networks
through deep visualization" (2015).
Shapes: N images, one for each unit; K channels, H height, W width; U units of a layer; T time steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.errors import ConfigError, check_fraction, check_int, check_number, did_you_mean
from fulgurite.models.heads import to_scores
from fulgurite.models.supervised import Supervised
from fulgurite.pictures.inside import recorded
from fulgurite.spec import DataSpec


@dataclass(frozen=True)
class Ascent:
    """How to climb.

    Attributes:
        steps: of gradient ascent.
        rate: change of a pixel in the first step, as a part of the range of pixels; it falls to 0 in a line.
        decay: part of its distance from the ground that a pixel loses in the first step, in [0, 1); it falls, too.
        blur: standard deviation in pixels of the blur after every fourth step; 0 for none.
        jitter: pixels by which the image is shifted at random before each step, so that no edge is favoured.
        seed: of the first image and of the shifts.
    """

    steps: int = 200
    rate: float = 0.1
    decay: float = 0.02
    blur: float = 0.5
    jitter: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_int("steps", self.steps)
        check_number("rate", self.rate, above=0)
        check_fraction("decay", self.decay)
        check_number("blur", self.blur, low=0)
        check_int("jitter", self.jitter, low=0)
        check_int("seed", self.seed, low=0)


@dataclass(frozen=True)
class Pixels:
    """What pixels may be, as the model sees them.

    Attributes:
        low: the least.
        high: the largest.
        ground: what most of them are: black paper, for MNIST.
    """

    low: float
    high: float
    ground: float


def maximise(
    activate: Callable[[Tensor], Tensor], shape: Sequence[int], units: Sequence[int], pixels: Pixels, ascent: Ascent
) -> Tensor:
    """The images, N x K x H x W, the n-th of which makes unit ``units[n]`` as large as it can.

    Args:
        activate: images to activations, N x U, differentiable.
        shape: K, H, W.
        units: numbers of units.
        pixels: what pixels may be.
        ascent: how to climb.

    Raises:
        ConfigError: for a unit that is not there.
    """
    generator = torch.Generator().manual_seed(ascent.seed)
    span, rows = pixels.high - pixels.low, torch.arange(len(units))
    # One noise for all: what differs between the images is the units' doing.
    x = pixels.ground + 0.1 * span * torch.rand(1, *shape, generator=generator).repeat(len(units), 1, 1, 1)
    for step in range(ascent.steps):
        down, across = torch.randint(-ascent.jitter, ascent.jitter + 1, (2,), generator=generator).tolist()
        shifted = x.roll((down, across), (2, 3)).requires_grad_()
        with torch.enable_grad():
            values = activate(shifted)
            _check_units(units, values.shape[1])
            (slope,) = torch.autograd.grad(values[rows, list(units)].sum(), shifted)
        slope = slope.roll((-down, -across), (2, 3))
        size = slope.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
        # Both fall to 0, or the decay would win in the end.
        left = 1 - step / ascent.steps
        x = x + ascent.rate * left * span * slope / size
        x = pixels.ground + (1 - ascent.decay * left) * (x - pixels.ground)
        if ascent.blur and step % 4 == 3:
            x = blurred(x, ascent.blur)
        x = x.clamp(pixels.low, pixels.high)
    return x


def activation(model: Supervised, layer: str | None, sizes: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """What maps images to activations, N x U: of a filter its mean over the map, of a state its mean over time.

    Args:
        model: in evaluation mode.
        layer: name of the layer; ``None`` for the outputs before their head.
        sizes: K, H, W.

    Raises:
        ConfigError: listing the layers, when there is none of that name.
    """
    if layer is None:
        return lambda x: _before_head(model.spec, model(x))
    with torch.no_grad(), recorded(model) as calls:
        model(torch.zeros(1, *sizes))
    # Layers with weights first: they are what one looks for.
    found = [each for each in calls if 2 <= each.output.dim() <= 4]
    # A layer that is gone through twice has one name.
    names = list(dict.fromkeys(each.name for each in sorted(found, key=lambda each: not list(each.layer.parameters()))))
    if layer not in names:
        raise ConfigError(f"--layer must be one of {', '.join(names)}; got {layer!r}{did_you_mean(layer, names)}")

    def activate(x: Tensor) -> Tensor:
        with recorded(model) as calls:
            model(x)
        output = next(each.output for each in calls if each.name == layer)
        # B x U, B x U x H x W of a convolution, B x T x U of a recurrent layer.
        return {2: lambda: output, 3: lambda: output.mean(dim=1), 4: lambda: output.mean(dim=(2, 3))}[output.dim()]()

    return activate


def blurred(x: Tensor, std: float) -> Tensor:
    """Images blurred by a normal curve of ``std`` pixels; what lies beyond the edge is as the edge."""
    reach = max(1, round(3 * std))
    curve = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / std).square())
    curve = (curve / curve.sum()).to(x)
    channels = x.shape[1]
    padded = functional.pad(x, (reach,) * 4, mode="replicate")
    for kernel in (curve.view(1, 1, -1, 1), curve.view(1, 1, 1, -1)):
        padded = functional.conv2d(padded, kernel.repeat(channels, 1, 1, 1), groups=channels)
    return padded


def _before_head(spec: DataSpec, output: Tensor) -> Tensor:
    """Outputs without a head that is flat where it is sure, N x U to N x U."""
    if spec.head == "none" or spec.task not in ("classification", "binary"):
        return output
    scores = to_scores(spec, output)
    return scores if spec.task == "classification" else scores[:, 1:] - scores[:, :1]


def _check_units(units: Sequence[int], number: int) -> None:
    if beyond := [unit for unit in units if not 0 <= unit < number]:
        raise ConfigError(f"--units must be from 0 to {number - 1}, as there are {number} units; got {beyond[0]}")
