"""The lines of a sweep that runs: how it stands, and where each of its jobs stands, as far as they fit."""

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fulgurite.report.durations import rough
from fulgurite.report.table import rounded
from fulgurite.report.watched import Seen, Stand, Watched

# Of status, name, epoch, objective, time and what is left: columns that move are hard to read.
_LEAST_WIDTHS = (8, 6, 5, 7, 6, 6)
_NAME, _TIME = 1, 4
# Below this width the time that a job has taken is left out.
_WITH_SECONDS = 60
_BAD = ("failed", "diverged", "killed", "interrupted")


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
