"""Where jobs run: so many at a time, started one by one."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn


class Pool(Protocol):
    """Slots for jobs. A job that fails leaves the others alone, and is run again here as ``sweep.retries`` says.

    Attributes:
        num_slots: jobs that may be under way at a time.
    """

    @property
    def num_slots(self) -> int:
        """Jobs that may be under way at a time."""

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start a job, in a free slot.

        Args:
            number: of the job in the sweep, from 0.
            overrides: what makes it.
        """

    def wait(self) -> "tuple[int, JobReturn]":
        """Wait until one more of the jobs that were started has ended; its number and what came of it.

        The value returned is its objective, ``None`` when it failed; its folder holds the rest.
        """


class BatchPool:
    """For a launcher that has Hydra's ``launch`` alone: what is started runs as one batch, when it is waited for.

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
def pool_of(launcher: Any, size: int) -> Iterator[Pool]:
    """The pool of a launcher: its own, or one that runs batches.

    Args:
        launcher: Hydra's, set up.
        size: jobs in a batch of a launcher without a pool of its own.
    """
    if hasattr(launcher, "pool"):
        with launcher.pool() as pool:
            yield pool
    else:
        yield BatchPool(launcher, size)
