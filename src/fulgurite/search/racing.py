"""Whether a setting is worth its other seeds, after the first."""

import math
import statistics
from collections.abc import Sequence

# Trials with all of their seeds that must be there before one is judged.
_FEWEST = 3
# Standard deviations that the first seed must be worse than the best mean.
_DISTANCE = 3.0


class Race:
    """Ends a setting whose mean can hardly become the best.

    The rule: the first seed is worse than the best mean of R seeds by more than 3 s sqrt(1 + 1/R), where s is the
    deviation between seeds, pooled over the settings with all of their seeds, of which there must be three. (A race of
    settings: Maron and Moore, 1994; Birattari et al., 2002.)

    Args:
        repeats: R.
        mode: ``max`` or ``min``.
    """

    def __init__(self, repeats: int, mode: str) -> None:
        self._repeats = repeats
        self._sign = 1.0 if mode == "max" else -1.0
        self._means: list[float] = []
        self._variances: list[float] = []

    def note(self, values: Sequence[float]) -> None:
        """Take note of a setting with all of its seeds."""
        if len(values) == self._repeats > 1:
            self._means.append(self._sign * statistics.fmean(values))
            self._variances.append(statistics.variance(values))

    def is_lost(self, first: float) -> bool:
        """Whether a setting whose first seed gave ``first`` is not worth the others."""
        if len(self._means) < _FEWEST:
            return False
        deviation = math.sqrt(statistics.fmean(self._variances))
        margin = _DISTANCE * deviation * math.sqrt(1 + 1 / self._repeats)
        return max(self._means) - self._sign * first > margin
