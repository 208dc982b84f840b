"""Benchmark items of what a run spends on looking: pictures, and the loggers' files."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from timing import Item, paired_ratios
from training_items import composed

from fulgurite.build import build
from fulgurite.callbacks.pictures import Pictures
from fulgurite.fit import fit
from fulgurite.log import log_to
from fulgurite.training.allocator import keep_freed_memory

CASES = (
    ("mlp, 1 epoch", ("model=mlp", "trainer.max_epochs=1")),
    ("mlp, 3 epochs", ("model=mlp", "trainer.max_epochs=3")),
    ("cnn, 1 epoch", ("model=cnn", "trainer.max_epochs=1")),
    ("cnn, 3 epochs", ("model=cnn", "trainer.max_epochs=3")),
    ("gru, 1 epoch", ("model=gru", "trainer.max_epochs=1")),
    ("gru, 3 epochs", ("model=gru", "trainer.max_epochs=3")),
    ("quadratic, 5 epochs", ("data=quadratic", "model=mlp", "trainer.max_epochs=5")),
)
QUICK_CASES = tuple(case for case in CASES if "1 epoch" in case[0]) + CASES[-1:]
OFF = "callbacks.pictures.enabled=false"
# What a logger is called for.
_CALLS = ("log_metrics", "log_hyperparams", "save", "finalize")


@dataclass(frozen=True)
class Looked:
    """What a run has spent.

    Attributes:
        cpu_s: CPU seconds of training and test.
        pictures_s: of those on pictures.
        logging_s: of those in calls of loggers.
        events_mb: megabytes of pictures in TensorBoard's events.
    """

    cpu_s: float
    pictures_s: float
    logging_s: float
    events_mb: float


def pictures(repeats: int, quick: bool) -> Iterator[Item]:
    """Shares of a run's CPU time, and the run with pictures over the run without them."""
    for name, words in QUICK_CASES if quick else CASES:
        seen: list[Looked] = []

        def with_them(words: Sequence[str] = words, seen: list[Looked] = seen) -> float:
            seen.append(looked(words))
            return seen[-1].cpu_s

        values, _ = paired_ratios(with_them, lambda words=words: looked((*words, OFF)).cpu_s, repeats)  # type: ignore[misc]
        shares = tuple(each.pictures_s / each.cpu_s for each in seen)
        megabytes = max(each.events_mb for each in seen)
        yield Item(
            f"pictures: {name}, share of the run's time", shares, "<= 0.05", note=f"{megabytes:.2f} MB of events"
        )
        logging = tuple(each.logging_s / each.cpu_s for each in seen)
        yield Item(f"pictures: {name}, share of the loggers", logging, "<= 0.05")
        yield Item(f"pictures: {name}, CPU time with / without", values, note=f"{seen[-1].cpu_s:.1f} s with them")


def looked(words: Sequence[str]) -> Looked:
    """Train and test once in this process."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder, log_to(Path(folder)):
        run = build(composed(list(words), Path(folder)))
        stopwatch = Stopwatch()
        for logger in run.trainer.loggers:
            for name in _CALLS:
                setattr(logger, name, stopwatch.timed(getattr(logger, name)))
        started = time.process_time()
        fit(run)
        cpu_s = time.process_time() - started
        callbacks: list[Any] = run.trainer.callbacks  # type: ignore[attr-defined]
        drawn = next(each for each in callbacks if isinstance(each, Pictures))
        return Looked(cpu_s, drawn.budget.spent_s, stopwatch.seconds, drawn.budget.num_bytes / 1e6)


class Stopwatch:
    """Adds up the CPU seconds of calls; those within others are not counted twice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_running = False

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, timed."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._is_running:
                return function(*args, **kwargs)
            self._is_running, started = True, time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - started
                self._is_running = False

        return call
