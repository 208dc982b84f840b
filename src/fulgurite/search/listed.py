"""The history of a search that needs none: settings in their order; the run folders say which have ended."""

from collections import Counter
from collections.abc import Iterator

from fulgurite.search.space import Setting, Space
from fulgurite.search.trial import Outcome, Trial


class Listed:
    """Asks for settings one after the other.

    Args:
        settings: in their order.
        space: that they are from.
        num_trials: of them that are wanted.
    """

    def __init__(self, settings: Iterator[Setting], space: Space, num_trials: int) -> None:
        self._settings, self._space, self._num_trials = settings, space, num_trials
        self._num_asked = 0
        self.counts: Counter[str] = Counter()

    def ask(self) -> Trial | None:
        """The next setting; ``None`` after the last."""
        if self._num_asked == self._num_trials:
            return None
        setting = next(self._settings, None)
        if setting is None:
            return None
        self._num_asked += 1
        return Trial(self._num_asked - 1, tuple(self._space.overrides(setting)))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Count it."""
        self.counts[outcome.status] += 1
