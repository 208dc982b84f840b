"""What is seen of a sweep on a terminal while its jobs run: a line for each below what is said, see ``report.live``.

Jobs in other processes do not write between these lines: they write into a pipe, and this process shows it.
Into a file there are the lines that are said, and nothing else. Imports no torch.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from fulgurite.report.live import Region
from fulgurite.report.watched import Watched
from fulgurite.sweep.record import recorded_number

_CHUNK = 65_536


class View:
    """Shows nothing: what is said goes where it always does.

    Attributes:
        handles: what to wait for, beside processes.
        said: where other processes shall write what they would write to the terminal; ``None`` for the terminal.
    """

    handles: Sequence[int] = ()
    said: Connection | None = None

    def wait_s(self, left: float | None = None) -> float | None:
        """Seconds to wait at most until the next ``look``.

        Args:
            left: until something else is to be done; ``None`` when nothing is.
        """
        return left

    def look(self) -> None:
        """Show what there is to be shown."""


UNSEEN = View()


class TerminalView(View):
    """Shows a line for each job.

    Args:
        region: that is drawn.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._heard, self.said = multiprocessing.Pipe(duplex=False)
        self.handles = (self._heard.fileno(),)
        self._begun = b""

    def wait_s(self, left: float | None = None) -> float | None:
        """See ``View``."""
        return self._region.due_s if left is None else min(left, self._region.due_s)

    def look(self) -> None:
        """Show what other processes have said, and when it is time where the jobs stand."""
        while self._heard.poll():
            *lines, self._begun = (self._begun + os.read(self._heard.fileno(), _CHUNK)).split(b"\n")
            for line in lines:
                self._show(line)
        # A job's file may be gone, or be half of one, on a disk that is full.
        with suppress(OSError, ValueError):
            self._region.draw_if_due()

    def close(self) -> None:
        """Show what is left."""
        self.look()
        if self._begun:
            self._show(self._begun)
        for end in (self._heard, self.said):
            end.close()  # type: ignore[union-attr]

    def _show(self, line: bytes) -> None:
        # Of a bar that somebody draws, the last state.
        self._region.say(line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2])


def say_into(said: Connection) -> None:
    """In another process: write into the pipe what would go to a terminal."""
    for own in (1, 2):
        if os.isatty(own):
            os.dup2(said.fileno(), own)


@contextmanager
def opened(folder: Path, swept: Sequence[str], several: bool = True) -> Iterator[View]:
    """A view of the sweep in ``folder``, which ends with the context; of a file or a single job at a time, none.

    Args:
        folder: of the sweep.
        swept: keys that name its jobs.
        several: whether several jobs run at a time; one has a bar.
    """
    watched = Watched(folder, swept, time.time())
    region = Region(watched, recorded_number(folder))
    # Rich may be told by the environment to take a file for a terminal.
    if not (several and os.name == "posix" and sys.stdout.isatty()) or region.console.is_dumb_terminal:
        yield UNSEEN
        return
    with region:
        view = TerminalView(region)
        try:
            yield view
        finally:
            view.close()


@contextmanager
def drawn_meanwhile(folder: Path, swept: Sequence[str]) -> Iterator[None]:
    """A view of jobs that run in this process; a thread draws it.

    Args:
        folder: of the sweep.
        swept: keys that name its jobs.
    """
    with opened(folder, swept) as view:
        if not view.handles:
            yield
            return
        has_ended = threading.Event()

        def draw() -> None:
            while not has_ended.wait(view.wait_s()):
                view.look()

        thread = threading.Thread(target=draw, daemon=True)
        thread.start()
        try:
            yield
        finally:
            has_ended.set()
            thread.join()
