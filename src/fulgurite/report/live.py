"""A sweep that runs, on a terminal: one line a job at the bottom, drawn anew in place; what is said scrolls above it.

It starts no thread, and draws when it is asked to; ``due_s`` says when that is next.
"""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fulgurite.report.frame import frame
from fulgurite.report.watched import Watched

# Between two drawings, and how many times as long as a drawing takes: it takes less than a hundredth of a core.
_EVERY_S = 1.0
_TIMES_COST = 150


class Region:
    """The lines of a sweep's jobs at the bottom of a terminal, while the context lasts.

    Meanwhile ``print`` writes above them. The cursor stays visible: then a killed process leaves a terminal in order.

    Args:
        watched: the jobs.
        total: how many there will be; 0 when nobody knows.
        console: where to draw; stdout by default.
    """

    def __init__(self, watched: Watched, total: int, console: Console | None = None) -> None:
        self._watched, self._total = watched, total
        # Numbers in lines of others stay as they are.
        self.console = console or Console(highlight=False, markup=False, emoji=False)
        to_terminal = sys.stderr.isatty()
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stderr=to_terminal)
        self._next = 0.0
        self._width = 0
        self._is_first = True
        self._drawn: list[Text] = []

    def __enter__(self) -> "Region":
        self._live.start()
        self.console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @property
    def due_s(self) -> float:
        """Seconds until it is to be drawn again; 0 when that is over."""
        return max(0.0, self._next - time.monotonic())

    def draw_if_due(self) -> None:
        """Draw it when it is time."""
        if not self.due_s:
            self.draw()

    def draw(self) -> None:
        """Draw it."""
        began = time.thread_time()
        width, height = self.console.size
        self._note_width(width)
        # A line as wide as the terminal would make some terminals go on to the next.
        self._drawn = frame(self._watched, self._total, width - 1, height - 1)
        with _whole():
            self._live.update(Group(*self._drawn), refresh=True)
        # The first one reads all records, those after it what is new.
        cost = 0.0 if self._is_first else time.thread_time() - began
        self._next, self._is_first = time.monotonic() + max(_EVERY_S, _TIMES_COST * cost), False

    def keep(self) -> None:
        """Leave what is drawn last on the terminal."""
        self._live.transient = False

    def say(self, line: str) -> None:
        """Write a line above, as it is: it may be coloured."""
        with _whole():
            self.console.print(Text.from_ansi(line), soft_wrap=True)

    def _note_width(self, width: int) -> None:
        """Reckon with it that a terminal that was made narrower has folded the lines that were drawn."""
        drawn = self._live._live_render
        if width < self._width and drawn._shape is not None:
            folded = sum(max(1, math.ceil(cell_len(line.plain) / width)) for line in self._drawn)
            drawn._shape = (drawn._shape[0], folded)
        self._width = width


@contextmanager
def _whole() -> Iterator[None]:
    """Let Ctrl-C wait while something is written: what is written in part would be written again at the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
