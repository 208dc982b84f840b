"""Labels that depend on nothing: what a network gets right of them it has learned by heart.

Source of the idea: Zhang et al., "Understanding deep learning requires rethinking generalization" (2017).
"""

from typing import Any

import torch

from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import check_int
from fulgurite.randomness import Stream, derive_seed


class RandomLabels(InMemoryData):
    """Standard normal inputs (N x F) with labels 0 and 1 by the toss of a fair coin.

    The validation part is the training part itself: its accuracy says how much has been learned by heart. The test part
    has points and labels of its own, where no model is better than chance.

    Args:
        num_points: points to learn.
        num_features: numbers in one x.
        num_test: further points for the test.
        points_seed: seed of the points and their labels; runs with different seeds see the same ones.
        options: see ``InMemoryData``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        num_points: int = 10,
        num_features: int = 10,
        num_test: int = 1000,
        points_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.num_points = check_int("num_points", num_points)
        self.num_features = check_int("num_features", num_features)
        self.num_test = check_int("num_test", num_test)
        self.points_seed = check_int("points_seed", points_seed, low=0)

    def load_train(self) -> tuple[Part, Part]:
        """The points to learn, twice."""
        part = self._draw(0, self.num_points)
        return part, part

    def load_test(self) -> Part:
        """Points of their own."""
        return self._draw(2, self.num_test)

    def _draw(self, part: int, number: int) -> Part:
        generator = torch.Generator().manual_seed(derive_seed(self.points_seed, Stream.POINTS, part))
        x = torch.randn(number, self.num_features, generator=generator)
        return Part(x, torch.randint(2, (number,), generator=generator))
