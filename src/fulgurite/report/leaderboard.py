"""The leaderboard of a sweep: a table, on a terminal of any width or in a file, ``leaderboard.csv`` and ``.json``."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fulgurite.report.collect import Job, Row, collect, seed_of
from fulgurite.result import write_atomically

CSV_NAME = "leaderboard.csv"
JSON_NAME = "leaderboard.json"
_OF_ROW = ("metric", "mode", "mean", "deviation", "num_finished", "metrics", "seconds", "status")
_OF_RESULT = ("epochs", "seconds", "fingerprint")


def print_leaderboard(folder: Path) -> None:
    """Write ``leaderboard.csv`` and ``leaderboard.json`` into a sweep's folder and print the table.

    Raises:
        RunFolderError: when there is no such folder.
    """
    rows = collect(folder)
    write_csv(folder, rows)
    write_json(folder, rows)
    print_rows(folder, rows)


def write_csv(folder: Path, rows: Sequence[Row]) -> Path:
    """Write ``leaderboard.csv`` atomically: a row a setting, plain numbers, empty where there is none."""
    keys = list(dict.fromkeys(key for row in rows for key in row.setting))
    names = sorted({name for row in rows for name in row.metrics})
    beside = ["difference", "p"]
    header = [*keys, "metric", "mode", "mean", "deviation", "n", *beside, *names, "seconds", "status", "jobs"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        to_best = (None, None) if row.to_best is None else (row.to_best.difference, row.to_best.p)
        means = [row.metrics.get(name) for name in names]
        numbers = [row.mean, row.deviation, row.num_finished, *to_best, *means, row.seconds]
        jobs = " ".join(job.folder.name for job in row.jobs)
        setting = [row.setting.get(key) for key in keys]
        writer.writerow([*setting, row.metric, row.mode, *numbers, row.status, jobs])
    path = folder / CSV_NAME
    write_atomically(path, text.getvalue())
    return path


def write_json(folder: Path, rows: Sequence[Row]) -> Path:
    """Write ``leaderboard.json`` atomically: what ``Row`` holds of each setting, and of each of its jobs the record."""
    plain = [
        {
            **{name: getattr(row, name) for name in _OF_ROW},
            "setting": dict(row.setting),
            "to_best": row.to_best and vars(row.to_best),
            "jobs": [_plain_job(job) for job in row.jobs],
        }
        for row in rows
    ]
    path = folder / JSON_NAME
    write_atomically(path, json.dumps(plain, indent=2) + "\n")
    return path


def _plain_job(job: Job) -> dict[str, object]:
    told: dict[str, object] = {
        "folder": job.folder.name,
        "seed": seed_of(job),
        "status": job.status,
        "error": job.error or None,
    }
    if job.result is None:
        return told
    return told | {name: getattr(job.result, name) for name in _OF_RESULT} | {"value": job.result.objective.value}


def print_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Print the table, then each job that did not finish, with the last line of its error and its log."""
    console = Console(highlight=False)
    if not rows:
        console.print(f"{nearest(folder)} holds no jobs.", soft_wrap=True)
        return
    readable = [row for row in rows if any(job.result for job in row.jobs)]
    if readable:
        table = _table(readable, folded=False)
        if Measurement.get(console, console.options, table).minimum > console.width or _is_cut(console, table):
            table = _table(readable, folded=True)
        console.print(table)
    lost = [job for row in rows for job in row.jobs if job.status not in ("finished", "pruned")]
    if lost:
        total = sum(len(row.jobs) for row in rows)
        console.print(f"{len(lost)} of {total} jobs did not finish:")
        for job in lost:
            _print_lost(console, job)
    console.print(f"Wrote {nearest(folder / CSV_NAME)}", soft_wrap=True)


def nearest(path: Path) -> str:
    """A path as seen from the current folder when that is shorter, else absolute."""
    absolute = os.path.abspath(path)
    try:
        return min(os.path.relpath(absolute), absolute, key=len)
    except ValueError:
        # Another drive.
        return absolute


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """``optimizer.lr`` to ``lr`` where no other key ends alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def _table(rows: Sequence[Row], *, folded: bool) -> Table:
    """The table; ``folded`` puts the whole setting into one column that may wrap."""
    names = short_names(list(dict.fromkeys(key for row in rows for key in row.setting)))
    metrics = list(dict.fromkeys(row.metric for row in rows if row.metric))
    tests = _test_metrics(rows, metrics)
    table = Table("#", highlight=False)
    for title in ["setting"] if folded else names.values():
        table.add_column(Text(title), overflow="fold", no_wrap=not folded)
    beside = ["to best"] if any(row.to_best for row in rows) else []
    for title in (metrics[0] if len(metrics) == 1 else "objective", "n", *beside, *tests, "s"):
        table.add_column(Text(title), justify="right", no_wrap=True)
    table.add_column("status", overflow="fold")
    for number, row in enumerate(rows, start=1):
        if folded:
            setting = [" ".join(f"{names[key]}={value}" for key, value in row.setting.items())]
        else:
            setting = [row.setting[key] for key in names]
        name = "" if len(metrics) < 2 else f"{row.metric} "
        numbers = [rounded(row.metrics.get(test)) for test in tests]
        cells = [
            str(number),
            *setting,
            name + _spread(row),
            str(row.num_finished),
            *(_beside(row) for _ in beside),
            *numbers,
            "-" if row.seconds is None else f"{row.seconds:.1f}",
        ]
        table.add_row(*(Text(cell) for cell in [*cells, row.status]))
    return table


def _test_metrics(rows: Sequence[Row], objectives: Sequence[str]) -> list[str]:
    """The test metrics of the same kind as the objectives: ``test/acc`` for ``val/acc``."""
    wanted = [f"test/{objective.rpartition('/')[2]}" for objective in objectives]
    return [name for name in wanted if any(name in row.metrics for row in rows)]


def _is_cut(console: Console, table: Table) -> bool:
    """Whether the console is too narrow for each cell to stay whole."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum > console.width


def _print_lost(console: Console, job: Job) -> None:
    said = job.error or ("still running, or killed" if job.status == "running" else "no reason recorded")
    console.print(Text(f"  {job.folder.name}: {job.status}: {said}"), soft_wrap=True)
    if job.log is not None:
        console.print(Text(f"    {nearest(job.log)}"), soft_wrap=True)


def rounded(value: float | None) -> str:
    """Four decimals, or three digits and an exponent for what is very large or very small; ``-`` for ``None``."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def _beside(row: Row) -> str:
    """Difference to the best setting, and how likely one as large is by chance."""
    if row.to_best is None:
        return ""
    p = row.to_best.p
    chance = "" if p is None else " (p < 0.001)" if p < 1e-3 else f" (p {p:.3f})" if p < 0.1 else f" (p {p:.2f})"
    sign = "-" if row.to_best.difference < 0 else "+"
    return f"{sign}{rounded(abs(row.to_best.difference))}{chance}"


def _spread(row: Row) -> str:
    """Mean and deviation; beside a mean with four decimals a small deviation has four, too."""
    mean = rounded(row.mean)
    if row.deviation is None:
        return mean
    small = row.deviation < 1e-3 and "e" not in mean
    return f"{mean} ± {f'{row.deviation:.4f}' if small else rounded(row.deviation)}"
