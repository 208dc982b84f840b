"""A sweep that runs, on a terminal: one line a job at the bottom, drawn anew in place; what is said scrolls above it.

It starts no thread, and draws when it is asked to; ``due_s`` says when that is next.
"""

import math
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fulgurite.report.durations import rough
from fulgurite.report.table import rounded
from fulgurite.report.watched import Seen, Stand, Watched

# Between two drawings, and how many times as long as a drawing takes: it takes less than a hundredth of a core.
_EVERY_S = 1.0
_TIMES_COST = 150
# Of status, name, epoch, objective, time and what is left: columns that move are hard to read.
_LEAST_WIDTHS = (8, 6, 5, 7, 6, 6)
_NAME, _TIME = 1, 4
# Below this width the time that a job has taken is left out.
_WITH_SECONDS = 60
_BAD = ("failed", "diverged", "killed", "interrupted")


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


def frame(watched: Watched, total: int, width: int, height: int) -> list[Text]:
    """How the sweep stands, and a line for each job as far as they fit.

    Those that run come first, in the order in which they began, then those that ended last.

    Args:
        watched: the jobs.
        total: how many there will be; 0 when nobody knows.
        width: columns.
        height: lines.
    """
    seen = watched.look()
    ordered = sorted((job for job in seen if job.status == "running"), key=lambda job: job.changed)
    ordered += [job for job in seen if job.status != "running"]
    room = max(1, height - 2)
    num_shown = len(ordered) if len(ordered) <= room else max(1, room - 1)
    stands = [watched.stand(job) for job in ordered[:num_shown]]
    metrics = list(dict.fromkeys(job.result.objective.metric for job in seen if job.result.objective.metric))
    lines = [Text(title(watched.folder.name, seen, stands, total), "bold"), *_table(stands, metrics, width)]
    if rest := Counter(job.status for job in ordered[num_shown:]):
        lines.append(Text(f"and {_counted(rest)}", "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines[:height]


def title(name: str, seen: Sequence[Seen], stands: Sequence[Stand], total: int) -> str:
    """``night: of 12 jobs 3 finished, 2 running, 7 to come; about 5 min left``."""
    statuses = Counter(job.status for job in seen)
    to_come = max(0, total - len(seen))
    counts = ", ".join(filter(None, [_counted(statuses), f"{to_come} to come" if to_come else ""]))
    left_s = seconds_left(seen, stands, to_come)
    about = "" if left_s is None else f"; about {rough(left_s)} left"
    return f"{name}: of {max(total, len(seen))} jobs {counts or 'none has begun'}{about}"


def seconds_left(seen: Sequence[Seen], stands: Sequence[Stand], to_come: int) -> float | None:
    """Seconds to the end of a sweep, if jobs to come last as those that are known; ``None`` where none is known.

    Args:
        seen: all jobs that have begun.
        stands: some of them, with those that run first.
        to_come: jobs that have not begun.
    """
    left = [stand.left_s for stand in stands if stand.left_s is not None]
    lasted = [job.result.seconds for job in seen if job.status == "finished"]
    lasted += [stand.seconds + stand.left_s for stand in stands if stand.left_s is not None]
    num_running = sum(job.status == "running" for job in seen)
    if not num_running or not left:
        return None
    return max(statistics.fmean(left), statistics.fmean(left) + to_come * statistics.fmean(lasted) / num_running)


def _counted(statuses: Counter[str]) -> str:
    order = ["finished", "pruned", *_BAD, "running"]
    ranked = sorted(statuses.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else -1)
    return ", ".join(f"{number} {status}" for status, number in ranked)


def _table(stands: Sequence[Stand], metrics: Sequence[str], width: int) -> list[Text]:
    """A heading, and a line a job; the name is cut where the others leave no room for it."""
    heading = ("status", "job", "epoch", metrics[0] if len(metrics) == 1 else "objective", "time", "left")
    rows = [heading, *(_cells(stand) for stand in stands)]
    widths = [max(least, *(cell_len(row[at]) for row in rows)) for at, least in enumerate(_LEAST_WIDTHS)]
    if width < _WITH_SECONDS:
        widths[_TIME] = 0
    room = width - sum(each + 1 for at, each in enumerate(widths) if each and at != _NAME)
    widths[_NAME] = max(_LEAST_WIDTHS[_NAME], min(widths[_NAME], room))
    styles = ["dim", *("red" if stand.status in _BAD else "" for stand in stands)]
    return [Text(_joined(row, widths), style) for row, style in zip(rows, styles, strict=True)]


def _cells(stand: Stand) -> tuple[str, ...]:
    epochs = f"{stand.epochs}/{stand.max_epochs}" if stand.max_epochs else str(stand.epochs)
    left = "" if stand.left_s is None else rough(stand.left_s)
    return stand.status, stand.name, epochs, rounded(stand.value), rough(stand.seconds), left


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
        if at <= _NAME:
            cut = f"{set_cell_size(cell, width - 1)}…" if cell_len(cell) > width else cell
            cells.append(set_cell_size(cut, width))
        elif width:
            cells.append(f"{cell:>{width}}")
    return " ".join(cells)
