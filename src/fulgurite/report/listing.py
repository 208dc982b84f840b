"""Runs and sweeps as lines; the name stands last and is never cut, so that it can be copied from a narrow terminal."""

import time
from collections.abc import Sequence

from fulgurite.report.durations import rough
from fulgurite.report.leaderboard import nearest
from fulgurite.report.runs import Entry
from fulgurite.report.table import rounded

_HEADING = ("kind", "status", "objective", "jobs", "age", "name")
# Below this width the kind, which the jobs tell, and the name of the objective are left out.
_WITH_ALL = 64
_TO_THE_RIGHT = ("objective", "jobs", "age")


def listed(entries: Sequence[Entry], width: int | None) -> list[str]:
    """A heading, and a line for each entry.

    Args:
        entries: the newest first.
        width: columns of the terminal; ``None`` for a file.
    """
    is_narrow = width is not None and width < _WITH_ALL
    names = _HEADING[1:] if is_narrow else _HEADING
    now = time.time()
    cells = [dict(zip(_HEADING, _cells(entry, now, is_narrow), strict=True)) for entry in entries]
    rows = [{name: name for name in names}, *cells]
    widths = {name: max(len(row[name]) for row in rows) for name in names}
    return ["  ".join(_padded(name, row[name], widths[name]) for name in names) for row in rows]


def _cells(entry: Entry, now: float, is_narrow: bool) -> tuple[str, ...]:
    value = rounded(entry.value) if entry.value is None or is_narrow else f"{entry.metric} {rounded(entry.value)}"
    jobs = f"{entry.num_finished}/{entry.num_jobs}" if entry.kind == "sweep" else "-"
    return entry.kind, entry.status, value, jobs, rough(now - entry.changed), nearest(entry.folder)


def _padded(name: str, cell: str, width: int) -> str:
    if name == _HEADING[-1]:
        return cell
    return f"{cell:>{width}}" if name in _TO_THE_RIGHT else f"{cell:<{width}}"
