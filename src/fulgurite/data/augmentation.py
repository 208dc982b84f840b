"""Augmentations of a whole batch of grey images, with parameters drawn for each sample.

Each is called with a raw batch (uint8, or float in grey levels), before normalisation, so that what enters at the edges
is black. The result is float in grey levels. Angles, shears and scales mean what they do in torchvision's
``RandomAffine``.
Shapes: B batch, H height, W width.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.data.draws import Draws, JointDraws
from fulgurite.errors import ConfigError, check_choice, check_number, is_number


class Affine:
    """Rotates, shears, scales and shifts each image about its centre, by bilinear interpolation.

    Args:
        degrees: the angle is uniform in +-degrees, in [0, 180].
        translate: the shifts are uniform in +-translate of the width and of the height, in [0, 1]. Unlike
            torchvision's they are not rounded to whole pixels.
        scale: the factor is uniform between these two positive numbers; above 1 the digit grows.
        shear: the horizontal shear is uniform in +-shear degrees, in [0, 89].

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    # Where the arguments stand in the config, for messages.
    key = "augmentation.affine"

    def __init__(
        self,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: Sequence[float] = (1.0, 1.0),
        shear: float = 0.0,
    ) -> None:
        self.degrees = check_number(f"{self.key}.degrees", degrees, low=0, high=180)
        self.translate = check_number(f"{self.key}.translate", translate, low=0, high=1)
        self.scale = _check_range(f"{self.key}.scale", scale)
        self.shear = check_number(f"{self.key}.shear", shear, low=0, high=89)

    def __call__(self, images: Tensor, draws: Draws | JointDraws) -> Tensor:
        """B x H x W to B x H x W."""
        height, width = images.shape[1:]
        size = torch.tensor([width, height], device=images.device)
        return transform(
            images,
            angle=self._angles(draws),
            shift=draws.uniform(-self.translate, self.translate, 2) * size,
            scale=draws.uniform(*self.scale),
            shear=draws.uniform(-self.shear, self.shear),
        )

    def _angles(self, draws: Draws | JointDraws) -> Tensor:
        """B degrees."""
        return draws.uniform(-self.degrees, self.degrees)


class Rotate(Affine):
    """Rotates each image about its centre.

    Args:
        degrees: the largest angle, in [0, 180].
        angles: ``any`` between -degrees and degrees, uniform; or ``three``: -degrees, 0 and degrees, as in Rashid,
            "Make your own neural network" (2016), part 3, which trains on each image and on two turned copies.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    key = "augmentation.rotate"

    def __init__(self, degrees: float = 10.0, angles: str = "any") -> None:
        super().__init__(degrees=degrees)
        self.angles = check_choice(f"{self.key}.angles", angles, ("any", "three"))

    def _angles(self, draws: Draws | JointDraws) -> Tensor:
        if self.angles == "any":
            return super()._angles(draws)
        return self.degrees * (draws.uniform(0, 3).floor() - 1)


class Elastic:
    """Moves each pixel by a smooth random field.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis" (ICDAR 2003), section 2: uniform noise in [-1, 1], smoothed by a Gaussian, times alpha.

    Args:
        alpha: strength, in pixels before smoothing; the paper uses 34 for 28 x 28 digits.
        sigma: standard deviation of the smoothing, in pixels; the paper uses 4.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(self, alpha: float = 34.0, sigma: float = 4.0) -> None:
        self.alpha = check_number("augmentation.elastic.alpha", alpha, low=0)
        self.sigma = check_number("augmentation.elastic.sigma", sigma, above=0, high=100)

    def __call__(self, images: Tensor, draws: Draws | JointDraws) -> Tensor:
        """B x H x W to B x H x W."""
        height, width = images.shape[1:]
        noise = draws.uniform(-1, 1, 2, height, width)
        # The Gaussian is separable: smoothing is one matrix on the left and one on the right.
        field = _smoothing(height, self.sigma, images.device) @ noise @ _smoothing(width, self.sigma, images.device).T
        # Positions span [-1, 1] over the image: one pixel is 2 / size.
        pixels = torch.tensor([2 / width, 2 / height], device=images.device).view(2, 1, 1)
        still = _positions(height, width, images.device)[:2].view(2, height, width)
        return _sample(images, still + self.alpha * pixels * field)


class Erase:
    """Paints a random rectangle of some images black.

    Source: Zhong et al., "Random erasing data augmentation" (AAAI 2020), algorithm 1, with black instead of random
    pixels, and a rectangle cut off at the edge instead of drawn again.

    Args:
        probability: of an image to be painted on, in [0, 1].
        area: the rectangle's part of the image is uniform between these two numbers in (0, 1].
        aspect: height over width is between this and its inverse, in (0, 1].

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(self, probability: float = 0.5, area: Sequence[float] = (0.02, 0.2), aspect: float = 0.3) -> None:
        self.probability = check_number("augmentation.erase.probability", probability, low=0, high=1)
        self.area = _check_range("augmentation.erase.area", area, high=1)
        self.aspect = check_number("augmentation.erase.aspect", aspect, above=0, high=1)

    def __call__(self, images: Tensor, draws: Draws | JointDraws) -> Tensor:
        """B x H x W to B x H x W."""
        height, width = images.shape[1:]
        chosen = draws.uniform(0, 1) < self.probability
        area = draws.uniform(*self.area) * height * width
        root = draws.uniform(math.log(self.aspect), -math.log(self.aspect)).div(2).exp()
        rows = _span(height, area.sqrt() * root, draws.uniform(0, 1))
        columns = _span(width, area.sqrt() / root, draws.uniform(0, 1))
        painted = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
        return images.masked_fill(painted, 0)


def transform(images: Tensor, *, angle: Tensor, shift: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Transform each image by its own numbers, as ``torchvision.transforms.functional.affine`` does one by one.

    Args:
        images: B x H x W, in grey levels.
        angle: B, degrees, clockwise as torchvision counts them.
        shift: B x 2, pixels to the right and down.
        scale: B, factors.
        shear: B, degrees, horizontal.

    Returns:
        B x H x W floats.
    """
    height, width = images.shape[1:]
    angle, shear = torch.deg2rad(angle), torch.deg2rad(shear)
    cos, sin, tan = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    # Look-up asks where each pixel comes from: the inverse of rotate(angle) shear(shear) scale, and of the shift.
    rows = torch.stack([cos - sin * tan, cos * tan + sin, -sin, cos], dim=1).view(-1, 2, 2)
    inverse = rows / scale[:, None, None]
    offset = -(inverse @ shift[:, :, None])
    # From pixels about the centre to positions that span [-1, 1] in each direction.
    size = torch.tensor([width / 2, height / 2], device=images.device)
    theta = torch.cat([inverse * size / size[:, None], offset / size[:, None]], dim=2)
    # One flat matrix product: torch's affine_grid does the same in twenty times the time.
    positions = theta.reshape(-1, 3) @ _positions(height, width, images.device)
    return _sample(images, positions.view(-1, 2, height, width))


def _sample(images: Tensor, positions: Tensor) -> Tensor:
    """Bilinear look-up at B x 2 x H x W positions (x, y) in [-1, 1]; black outside."""
    grid = positions.permute(0, 2, 3, 1)
    return functional.grid_sample(images.float().unsqueeze(1), grid, align_corners=False).squeeze(1)


@lru_cache(maxsize=8)
def _positions(height: int, width: int, device: torch.device) -> Tensor:
    """Each pixel's centre as x, y in [-1, 1] and a 1, row by row: 3 x (H * W)."""
    y = (torch.arange(height, device=device) * 2 + 1) / height - 1
    x = (torch.arange(width, device=device) * 2 + 1) / width - 1
    return torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones(height * width, device=device)])


def _smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """The matrix that convolves a row of ``size`` with a Gaussian of area 1; beyond the edge is zero."""
    position = torch.arange(size, device=device, dtype=torch.float32)
    distance = position[:, None] - position[None, :]
    reach = torch.arange(-4 * math.ceil(sigma), 4 * math.ceil(sigma) + 1, device=device)
    return torch.exp(-0.5 * (distance / sigma) ** 2) / torch.exp(-0.5 * (reach / sigma) ** 2).sum()


def _span(size: int, length: Tensor, where: Tensor) -> Tensor:
    """B x size: true over ``length`` pixels (B), placed at ``where`` (B, in [0, 1)) of the room that is left."""
    length = length.round().clamp(1, size)
    start = (where * (size - length + 1)).floor()
    position = torch.arange(size, device=length.device)
    return (position >= start[:, None]) & (position < (start + length)[:, None])


def _check_range(name: str, value: Any, high: float = math.inf) -> tuple[float, float]:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    if listed and all(is_number(v) for v in value) and 0 < value[0] <= value[1] <= high:
        return float(value[0]), float(value[1])
    limit = f" <= {high:g}" if high < math.inf else ""
    raise ConfigError(f"{name} must be two numbers, 0 < low <= high{limit}, such as [0.1,0.9], got {value!r}")
