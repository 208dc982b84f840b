"""``fulgurite sweep show``: how a sweep stands, at any time, also while it runs. Changes no file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fulgurite.errors import ConfigError
from fulgurite.report.collect import Row, collect
from fulgurite.report.leaderboard import nearest, print_rows
from fulgurite.sweep.folder import driver_of, named_folder
from fulgurite.sweep.record import recorded_number
from fulgurite.sweep.watch import watch

_WATCH = "--watch"
INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Print where the sweep stands, and its leaderboard; returns the exit code.

    Raises:
        ConfigError: for anything but the name of a sweep, or its folder, and ``--watch``.
    """
    names = [word for word in words if word != _WATCH]
    if len(names) != 1 or names[0].startswith("-"):
        said = " ".join(names) or "nothing"
        raise ConfigError(
            f"sweep show takes the name of one sweep, or its folder, got {said}; its one flag is {_WATCH}"
        )
    folder = named_folder(names[0])
    if _WATCH in words and not watch(folder):
        return INTERRUPTED
    rows = collect(folder)
    print(f"{nearest(folder)}: {standing(folder, rows)}")
    print_rows(folder, rows)
    return 0


def standing(folder: Path, rows: Sequence[Row]) -> str:
    """``process 7 on host is at work; of 12 jobs 3 finished, 1 failed, 2 running, 6 to come``."""
    driver = driver_of(folder)
    statuses = Counter(job.status for row in rows for job in row.jobs)
    if not driver and statuses["running"]:
        # The process that would have said how they ended is gone.
        statuses["killed"] = statuses.pop("running")
    total = max(recorded_number(folder), statuses.total())
    counts = [f"{number} {status}" for status, number in sorted(statuses.items(), key=lambda pair: _order(pair[0]))]
    if total > statuses.total():
        counts.append(f"{total - statuses.total()} to come")
    at_work = f"{driver} is at work" if driver else "nobody is at work"
    return f"{at_work}; of {total} jobs {', '.join(counts) or 'none is known'}"


def _order(status: str) -> tuple[bool, bool, str]:
    return status != "finished", status == "running", status
