"""Where the jobs of a search run: so many at a time, started one by one."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn


class Slots(Protocol):
    """What ``pool()`` of a launcher gives, as a context.

    Attributes:
        num_slots: jobs that may be started and not yet waited for.
    """

    @property
    def num_slots(self) -> int:
        """Jobs that may be started and not yet waited for."""

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start a job; returns at once, or after the job where jobs run in this process."""

    def wait(self) -> "tuple[int, JobReturn]":
        """Wait until the next of the started jobs has ended; its number, and what came of it."""


class InTurn:
    """Slots of a launcher that only has Hydra's ``launch``: what is started runs as one batch, when it is waited for.

    Args:
        launcher: Hydra's, set up.
        size: jobs in a batch.
    """

    def __init__(self, launcher: Any, size: int) -> None:
        self._launcher = launcher
        self._size = size
        self._started: list[tuple[int, Sequence[str]]] = []
        self._ended: deque[tuple[int, JobReturn]] = deque()

    @property
    def num_slots(self) -> int:
        """None while jobs of the last batch are still to be told: the next one shall know of all of them."""
        return 0 if self._ended else self._size

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Add a job to the next batch."""
        self._started.append((number, overrides))

    def wait(self) -> "tuple[int, JobReturn]":
        """The next job of the batch, which runs now if it has not."""
        if not self._ended:
            started, self._started = self._started, []
            # Numbers follow each other: jobs get them as they are started.
            returns = self._launcher.launch([list(each) for _, each in started], initial_job_idx=started[0][0])
            self._ended.extend(zip((number for number, _ in started), returns, strict=True))
        return self._ended.popleft()


@contextmanager
def slots_of(launcher: Any, size: int) -> Iterator[Slots]:
    """The slots of a launcher: its own, or one after the other.

    Args:
        launcher: Hydra's, set up.
        size: jobs at a time for a launcher without slots of its own.
    """
    if hasattr(launcher, "pool"):
        with launcher.pool() as slots:
            yield slots
    else:
        yield InTurn(launcher, size)
