"""What a job of a sweep may take: how long it may last, and how often it may run again. Imports no torch."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fulgurite.errors import ConfigError, check_int, check_number


class JobTimeout(Exception):
    """Raised in a job that has taken too long."""


@dataclass(frozen=True)
class Limits:
    """What ``sweep`` in the config says of each job.

    Attributes:
        retries: how often a failed job runs again, in all.
        timeout_s: what an attempt may take, in seconds; ``None`` for any time.
    """

    retries: int
    timeout_s: float | None

    @property
    def too_long(self) -> str:
        """What is said of a job that has taken too long."""
        return f"took longer than sweep.job_timeout_s={self.timeout_s:g}"


def limits_of(sweep: Mapping[str, Any], launcher: str = "") -> Limits:
    """The limits that the config sets.

    Args:
        sweep: its part ``sweep``.
        launcher: name of the launcher.

    Raises:
        ConfigError: for a value that is not allowed, or that this launcher cannot keep to.
    """
    retries, timeout_s = check_int("sweep.retries", sweep.get("retries", 1), low=0), sweep.get("job_timeout_s")
    if timeout_s is None:
        return Limits(retries, None)
    if launcher == "fused":
        raise ConfigError(
            f"sweep.job_timeout_s must be null with launcher=fused, whose jobs train together, got {timeout_s}; leave "
            "it out, or use launcher=processes"
        )
    return Limits(retries, check_number("sweep.job_timeout_s", timeout_s, above=0))


@contextmanager
def time_limit(limits: Limits) -> Iterator[None]:
    """Raise ``JobTimeout`` where the job is when its time is over, between two lines of Python as Ctrl-C does.

    A job that hangs inside a library is not reached; a process that it has for itself is ended from outside.
    """
    of_main = threading.current_thread() is threading.main_thread()
    if limits.timeout_s is None or not of_main or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise JobTimeout(limits.too_long)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limits.timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
