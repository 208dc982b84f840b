"""The runs and sweeps below a folder, newest first; of each its records are read, and nothing else."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fulgurite.errors import RunFolderError
from fulgurite.report.collect import Row, collect
from fulgurite.result import FILE_NAME, read_result

# Any of them lies in the folder of a sweep, whatever launcher ran it.
_OF_A_SWEEP = ("sweep.json", "multirun.yaml")
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)\.(.+)\.(\d+)\.\d+")
_NUM_JOBS = re.compile(rb'^  "num_jobs": (\d+)', re.MULTILINE)
# Of sweep.json: what stands in front of the jobs' configs.
_HEAD = 65_536
# Folders below one that is listed: outputs/sweeps/NAME/JOB.
_DEEPEST = 3


@dataclass(frozen=True)
class Entry:
    """A run or a sweep.

    Attributes:
        folder: where it is.
        kind: ``run`` or ``sweep``.
        status: of a run that of its record, or ``killed``; of a sweep ``running``, ``finished``, ``unfinished``, or how
            many jobs have failed.
        metric: name of the objective; empty without a record.
        value: its best value, of a sweep the mean of the best setting; ``None`` without one.
        num_finished: jobs of a sweep that have finished.
        num_jobs: jobs that it has; 0 for a run.
        changed: when a record was written last, in seconds since 1970.
    """

    folder: Path
    kind: str
    status: str
    metric: str
    value: float | None
    num_finished: int
    num_jobs: int
    changed: float


# Says which process works on the sweep in a folder; empty when none does.
DriverOf = Callable[[Path], str]
# Whether there is a process of a number on this machine.
IsAlive = Callable[[int], bool]


def entries(folder: Path, driver_of: DriverOf, is_alive: IsAlive) -> list[Entry]:
    """Runs and sweeps in ``folder``, newest first; of a sweep its jobs, of a run itself.

    Args:
        folder: an output folder, that of a task, or of a sweep.
        driver_of: see there.
        is_alive: see there.
    """
    if is_run(folder):
        return [_run(folder, is_alive, None)]
    driver = driver_of(folder) if is_sweep(folder) else None
    found = list(_below(folder, _DEEPEST, driver_of, is_alive, driver))
    return sorted(found, key=lambda entry: -entry.changed)


def is_sweep(folder: Path) -> bool:
    """Whether it is the folder of a sweep."""
    return any((folder / name).exists() for name in _OF_A_SWEEP)


def is_run(folder: Path) -> bool:
    """Whether it is a run folder."""
    return (folder / FILE_NAME).exists() or (folder / ".hydra").is_dir()


def _below(folder: Path, deepest: int, driver_of: DriverOf, is_alive: IsAlive, driver: str | None) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            inner = [Path(each.path) for each in found if each.is_dir() and not each.name.startswith(".")]
    except OSError:
        # It may have gone meanwhile, or be somebody else's.
        return
    for path in inner:
        # The same holds for each of them: the others are listed.
        with suppress(OSError, RunFolderError):
            if is_run(path):
                yield _run(path, is_alive, driver)
            elif is_sweep(path):
                yield _sweep(path, driver_of(path))
            elif deepest:
                yield from _below(path, deepest - 1, driver_of, is_alive, driver)


def _run(folder: Path, is_alive: IsAlive, driver: str | None) -> Entry:
    """A run; of a sweep's job ``driver`` says who works on it, of another run it is ``None``."""
    path = folder / FILE_NAME
    changed = (path if path.exists() else folder).stat().st_mtime
    try:
        result = read_result(folder)
    except RunFolderError:
        return Entry(folder, "run", "damaged" if path.exists() else "missing", "", None, 0, 0, changed)
    is_gone = not driver if driver is not None else _is_killed(folder, is_alive)
    status = "killed" if result.status == "running" and is_gone else result.status
    return Entry(folder, "run", status, result.objective.metric, result.objective.value, 0, 0, changed)


def _is_killed(folder: Path, is_alive: IsAlive) -> bool:
    """Whether the process of a run is gone, by its newest events, whose name holds machine and process."""
    found = [match for match in map(_EVENTS.fullmatch, os.listdir(folder)) if match]
    newest = max(found, key=lambda match: int(match[1]), default=None)
    return newest is not None and newest[2] == socket.gethostname() and not is_alive(int(newest[3]))


def _sweep(folder: Path, driver: str) -> Entry:
    rows = collect(folder)
    num_finished = sum(row.num_finished for row in rows)
    statuses = [job.status for row in rows for job in row.jobs]
    num_jobs = max(_recorded_number(folder), len(statuses))
    num_failed = sum(status in ("failed", "diverged") for status in statuses)
    ended = num_failed + sum(status in ("finished", "pruned") for status in statuses)
    ways = {"running": bool(driver), f"{num_failed} failed": num_failed > 0, "unfinished": ended < num_jobs}
    status = next((name for name, holds in ways.items() if holds), "finished")
    # The best row stands first.
    value = rows[0].mean if rows else None
    return Entry(folder, "sweep", status, _metric(rows), value, num_finished, num_jobs, _changed(folder, rows))


def _metric(rows: list[Row]) -> str:
    return next((row.metric for row in rows if row.metric), "")


def _changed(folder: Path, rows: list[Row]) -> float:
    """When a job of a sweep began or ended last."""
    paths = [job.folder / FILE_NAME for row in rows for job in row.jobs if job.result]
    return max((path.stat().st_mtime for path in paths), default=folder.stat().st_mtime)


def _recorded_number(folder: Path) -> int:
    """How many jobs the sweep was to have; 0 without a record. A parser would read all their configs."""
    try:
        with (folder / _OF_A_SWEEP[0]).open("rb") as file:
            found = _NUM_JOBS.search(file.read(_HEAD))
    except OSError:
        return 0
    return int(found[1]) if found else 0
