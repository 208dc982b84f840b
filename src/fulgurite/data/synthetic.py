"""Regression on a known curve with known noise, so that a fit can be held against the truth.

Points are drawn by a seed of their own: runs with different seeds see the same ones. What no model can beat is known:
under normal noise of standard deviation s the mean absolute error of the curve itself is s * sqrt(2 / pi).
Shapes: N points, F features; targets are N x 1.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import ConfigError, check_fraction, check_int, check_number, is_number
from fulgurite.randomness import Stream, derive_seed


class Synthetic(InMemoryData):
    """Points x, uniform in [low, high) in each feature, and y = clean(x) + normal noise.

    The model sees x standardised by the mean and standard deviation of that distribution; y stays in its own unit.

    Args:
        num_points: points to train on.
        num_val: further points for validation. They cost nothing, and a choice between epochs on a few noisy points
            is a lottery: the mean error of 100 of them has a standard deviation of 0.3 at ``noise_std=5``.
        num_test: further points for the test.
        num_features: numbers in one x.
        low: lower end of x.
        high: upper end of x.
        noise_std: standard deviation of the noise, in the unit of y.
        points_seed: seed of the points and their noise.
        outlier_share: part of the training points, in [0, 1), that lie ``outlier_offset`` too high; validation and test
            have none, so that they tell how far the fit was led astray.
        outlier_offset: in the unit of y.
        options: see ``InMemoryData``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        num_points: int = 1000,
        num_val: int = 1000,
        num_test: int = 1000,
        num_features: int = 1,
        low: float = -1.0,
        high: float = 1.0,
        noise_std: float = 0.0,
        points_seed: int = 0,
        outlier_share: float = 0.0,
        outlier_offset: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.outlier_share = check_fraction("outlier_share", outlier_share)
        self.outlier_offset = check_number("outlier_offset", outlier_offset)
        self.num_points = check_int("num_points", num_points)
        self.num_val = check_int("num_val", num_val)
        self.num_test = check_int("num_test", num_test)
        self.num_features = check_int("num_features", num_features)
        self.low = check_number("low", low)
        self.high = check_number("high", high, above=self.low)
        self.noise_std = check_number("noise_std", noise_std, low=0)
        self.points_seed = check_int("points_seed", points_seed, low=0)

    @abstractmethod
    def clean(self, x: Tensor) -> Tensor:
        """The curve without noise: raw x (N x F) to y (N x 1)."""

    def encode(self, x: Tensor) -> Tensor:
        """Raw x (N x F) to x with mean 0 and standard deviation 1."""
        return (x - (self.low + self.high) / 2) * (math.sqrt(12) / (self.high - self.low))

    def load_train(self) -> tuple[Part, Part]:
        """The points to train on, outliers among them, and those for validation."""
        return self._led_astray(self._draw(0, self.num_points)), self._draw(1, self.num_val)

    def load_test(self) -> Part:
        """The points for the test."""
        return self._draw(2, self.num_test)

    def _led_astray(self, train: Part) -> Part:
        generator = torch.Generator().manual_seed(derive_seed(self.points_seed, Stream.OUTLIERS))
        chosen = torch.rand(len(train.x), 1, generator=generator) < self.outlier_share
        return Part(train.x, train.y + self.outlier_offset * chosen)

    def _draw(self, part: int, number: int) -> Part:
        """Points of one part; a seed of its own, so that its size leaves the other parts alone."""
        generator = torch.Generator().manual_seed(derive_seed(self.points_seed, Stream.POINTS, part))
        x = torch.rand(number, self.num_features, generator=generator) * (self.high - self.low) + self.low
        noise = torch.randn(number, 1, generator=generator) * self.noise_std
        return Part(x, self.clean(x) + noise)


class Quadratic(Synthetic):
    """y = x^2 + 3."""

    def __init__(self, low: float = -15.0, high: float = 15.0, noise_std: float = 5.0, **options: Any) -> None:
        super().__init__(low=low, high=high, noise_std=noise_std, **options)

    def clean(self, x: Tensor) -> Tensor:
        """x^2 + 3 of the one feature."""
        return x[:, :1] ** 2 + 3


class Sine(Synthetic):
    """y = sin(frequency * x).

    Args:
        frequency: in radians a unit of x.
        options: see ``Synthetic``.
    """

    def __init__(self, frequency: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.frequency = check_number("frequency", frequency, above=0)

    def clean(self, x: Tensor) -> Tensor:
        """The sine of the one feature."""
        return torch.sin(self.frequency * x[:, :1])


class Linear(Synthetic):
    """y = weights . x + bias, for any number of features.

    Args:
        weights: one number a feature; ``null`` to draw them by ``points_seed``, scaled so that the clean targets have
            standard deviation 1.
        bias: the value at x = 0.
        options: see ``Synthetic``.
    """

    def __init__(self, weights: Sequence[float] | None = None, bias: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.weights = self._draw_weights() if weights is None else self._check_weights(weights)
        self.bias = check_number("bias", bias)

    def clean(self, x: Tensor) -> Tensor:
        """The plane itself."""
        return x @ self.weights.to(x.device).unsqueeze(1) + self.bias

    def _draw_weights(self) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self.points_seed, Stream.WEIGHTS))
        direction = torch.randn(self.num_features, generator=generator)
        return direction / direction.norm() * math.sqrt(12) / (self.high - self.low)

    def _check_weights(self, weights: Any) -> Tensor:
        listed = isinstance(weights, Sequence) and not isinstance(weights, str) and all(is_number(w) for w in weights)
        if not listed or len(weights) != self.num_features:
            raise ConfigError(
                f"weights must be null or a list of {self.num_features} numbers (data.num_features), got {weights!r}"
            )
        return torch.tensor(weights, dtype=torch.float32)
