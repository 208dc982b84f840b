"""Where each job of a sweep stands, from files alone: cheap enough to be asked every second."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fulgurite.errors import RunFolderError
from fulgurite.report.collect import RERUN_MARK, Job, values_of
from fulgurite.report.table import short_names
from fulgurite.report.tail import Tail
from fulgurite.result import FILE_NAME, Result, read_result

# Times of files come from a coarse clock.
_SLACK_S = 0.05
_MAX_EPOCHS = re.compile(r"^trainer:\n(?:  .*\n)*?  max_epochs: (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """A job with a record.

    Attributes:
        folder: its run folder.
        result: its record.
        status: that of the record, but ``killed`` for a job whose process is gone.
        changed: when the record was written, in seconds since 1970.
    """

    folder: Path
    result: Result
    status: str
    changed: float


@dataclass(frozen=True)
class Stand:
    """Where one job stands.

    Attributes:
        name: its swept values, or its folder.
        status: see ``Seen``.
        epochs: epochs completed.
        max_epochs: epochs that it will have; ``None`` where nobody knows.
        value: best objective so far; ``None`` before the first.
        seconds: wall-clock time that went into it.
        left_s: seconds to its end, by those of its epochs; ``None`` where that cannot be told.
    """

    name: str
    status: str
    epochs: int
    max_epochs: int | None
    value: float | None
    seconds: float
    left_s: float | None


class Watched:
    """The jobs of a sweep, looked at again and again.

    Args:
        folder: of the sweep.
        swept: keys that name its jobs; without any they are named by their folders.
        since: when somebody began to work on it, in seconds since 1970: a job that has been running since before that
            was killed. Infinite when nobody is at work.
    """

    def __init__(self, folder: Path, swept: Sequence[str], since: float) -> None:
        self.folder, self.since = folder, since
        self._names = short_names(swept)
        self._records: dict[str, tuple[int, float, Result]] = {}
        self._tails: dict[str, tuple[float, Tail, int | None]] = {}

    def look(self) -> list[Seen]:
        """All jobs that have a record, those that began or ended last first."""
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries if not each.name.startswith(".") and each.is_dir()]
        except OSError:
            return []
        seen = [self._seen(name) for name in names if RERUN_MARK not in name]
        return sorted((each for each in seen if each is not None), key=lambda each: -each.changed)

    def _seen(self, name: str) -> Seen | None:
        folder = self.folder / name
        try:
            stat = os.stat(folder / FILE_NAME)
            if self._records.get(name, (0,))[0] != stat.st_mtime_ns:
                self._records[name] = stat.st_mtime_ns, stat.st_mtime, read_result(folder)
        except (OSError, RunFolderError):
            # Not there yet.
            return None
        _, changed, result = self._records[name]
        is_killed = result.status == "running" and changed < self.since - _SLACK_S
        return Seen(folder, result, "killed" if is_killed else result.status, changed)

    def stand(self, seen: Seen) -> Stand:
        """Where a job stands; of one that runs its curves are read on."""
        result, name = seen.result, self._name(seen)
        if seen.status != "running":
            self._tails.pop(seen.folder.name, None)
            return Stand(name, seen.status, result.epochs, None, result.objective.value, result.seconds, None)
        tail, max_epochs = self._tail(seen)
        tail.read_on()
        seconds = result.seconds + max(0.0, time.time() - seen.changed)
        left_s = None
        if max_epochs and tail.progress:
            until_then = result.seconds + max(0.0, tail.changed - seen.changed)
            left_s = max(0.0, until_then / tail.progress * max_epochs - seconds)
        return Stand(name, "running", tail.epochs, max_epochs, tail.best, seconds, left_s)

    def _tail(self, seen: Seen) -> tuple[Tail, int | None]:
        began, tail, max_epochs = self._tails.get(seen.folder.name, (None, None, None))
        if tail is None or began != seen.changed:
            objective = seen.result.objective
            tail, max_epochs = Tail(seen.folder, objective.metric, objective.mode), _max_epochs(seen.folder)
            self._tails[seen.folder.name] = seen.changed, tail, max_epochs
        return tail, max_epochs

    def _name(self, seen: Seen) -> str:
        values = values_of(Job(seen.folder, seen.result, seen.status))
        setting = [f"{short}={values[key]}" for key, short in self._names.items() if key in values]
        return " ".join(setting) or seen.folder.name


def _max_epochs(folder: Path) -> int | None:
    """What the job's config says; read as text, because a parser of YAML takes a hundred times as long."""
    try:
        found = _MAX_EPOCHS.search((folder / ".hydra" / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return int(found[1]) if found else None
