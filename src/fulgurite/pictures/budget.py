"""How much time and how many bytes pictures may take, and what they have taken."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fulgurite.errors import check_number

# Before the last epoch, this part of time and bytes is kept for the last.
_KEPT = 0.5
# Nothing takes exactly as long as the last time.
_MARGIN = 1.25


class Budget:
    """Allows what is predicted to fit into a share of the time since ``start``.

    Time is that of the thread: what other runs of a fused sweep do meanwhile is neither spent nor earned here. Of the
    steps that they make together each earns its part, ``earned_s``.

    Args:
        share_of_time: of the run's time, in [0, 1]; 1 sets no limit.
        max_mb: megabytes of events in the whole run.
        clock: seconds; those of the calling thread by default.

    Attributes:
        spent_s: seconds taken so far.
        num_bytes: bytes taken since ``start``.
        earned_s: seconds since ``start`` that the run has trained elsewhere than in its thread.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(self, share_of_time: float, max_mb: float, clock: Callable[[], float] = time.thread_time) -> None:
        self.share_of_time = check_number("share_of_time", share_of_time, low=0, high=1)
        self.max_bytes = check_number("max_mb", max_mb, low=0) * 1e6
        self.spent_s = 0.0
        self.num_bytes = 0
        self.earned_s = 0.0
        self._bytes_before = 0.0
        self._clock = clock
        self._since = clock()
        self._costs: dict[str, float] = {}

    def start(self, done: float = 0.0) -> None:
        """Begin to count.

        Args:
            done: the part of the run that is done; its part of the bytes counts as spent.
        """
        self.spent_s, self.num_bytes, self.earned_s, self._since = 0.0, 0, 0.0, self._clock()
        self._bytes_before = done * self.max_bytes * _KEPT

    @property
    def elapsed_s(self) -> float:
        """Seconds since ``start`` that the run has taken."""
        return self._clock() - self._since + self.earned_s

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile as spent, and remember it as the cost of ``name``."""
        started = self._clock()
        try:
            yield
        finally:
            cost = self._clock() - started
            self.spent_s += cost
            self._costs[name] = cost

    def has_time_for(self, name: str, guess_s: float, is_last: bool) -> bool:
        """Whether ``name`` fits, by what it took the last time.

        Args:
            name: what is to be done.
            guess_s: seconds that it takes, as long as nothing is known.
            is_last: whether there will be nothing after this epoch.
        """
        if self.share_of_time == 1:
            # It can take no more than all, and need not wait until it is spent.
            return True
        allowed = self.share_of_time * self.elapsed_s * (1 if is_last else 1 - _KEPT)
        return self.spent_s + self._costs.get(name, guess_s) * _MARGIN <= allowed

    def take(self, num_bytes: int, done: float, is_last: bool) -> bool:
        """Count bytes as spent, if they fit.

        Args:
            num_bytes: to be written.
            done: the part of the run that is done, in (0, 1].
            is_last: whether there will be nothing after this epoch.
        """
        allowed = self.max_bytes * (1 if is_last else done * (1 - _KEPT))
        if self._bytes_before + self.num_bytes + num_bytes > allowed:
            return False
        self.num_bytes += num_bytes
        return True
