"""The leaderboard of a sweep: a table, on a terminal of any width or in a file, ``leaderboard.csv`` and ``.json``."""

import csv
import io
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from fulgurite.report.collect import Job, Row, collect, seed_of
from fulgurite.report.table import fitting
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
    problem = ""
    try:
        write_csv(folder, rows)
        write_json(folder, rows)
    except OSError as error:
        # On a full disk the table is all that says which jobs have failed.
        problem = f" could not be written: {error.strerror}"
    print_rows(folder, rows)
    if rows:
        print(f"Curves: {board_command(folder)}")
        print(f"{nearest(folder / CSV_NAME)}{problem}" if problem else f"Wrote {nearest(folder / CSV_NAME)}")


def board_command(folder: Path) -> str:
    """What opens the curves of a sweep, as it can be typed in the current folder."""
    is_near = os.path.abspath(folder) == os.path.abspath(Path("outputs", "sweeps", folder.name))
    return f"fulgurite board {shlex.quote(folder.name if is_near else nearest(folder))}"


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
        console.print(fitting(console, readable))
    lost = [job for row in rows for job in row.jobs if job.status not in ("finished", "pruned")]
    if lost:
        total = sum(len(row.jobs) for row in rows)
        console.print(f"{len(lost)} of {total} jobs did not finish:")
        for job in lost:
            _print_lost(console, job)


def nearest(path: Path) -> str:
    """A path as seen from the current folder when that is shorter, else absolute."""
    absolute = os.path.abspath(path)
    try:
        return min(os.path.relpath(absolute), absolute, key=len)
    except ValueError:
        # Another drive.
        return absolute


def _print_lost(console: Console, job: Job) -> None:
    said = job.error or ("still running, or killed" if job.status == "running" else "no reason recorded")
    console.print(Text(f"  {job.folder.name}: {job.status}: {said}"), soft_wrap=True)
    if job.log is not None:
        console.print(Text(f"    {nearest(job.log)}"), soft_wrap=True)
