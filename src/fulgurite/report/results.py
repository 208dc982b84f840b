"""``results.csv``: a row a job, for a spreadsheet or pandas."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from fulgurite.report.collect import Job, seed_of
from fulgurite.report.swept import Swept
from fulgurite.result import write_atomically

CSV_NAME = "results.csv"
_HEAD = ["folder", "status"]
_TAIL = ["epochs", "seconds", "samples_per_s", "error"]


def results_name(page: str) -> str:
    """Of the table that lies beside a page: ``results.csv``, or ``mnist_results.csv`` beside ``mnist.html``.

    Two pages in one folder must not take each other's numbers.
    """
    stem = Path(page).stem
    return CSV_NAME if stem == "report" else f"{stem}_{CSV_NAME}"


def write_results(path: Path, jobs: Sequence[Job], keys: Sequence[Swept]) -> None:
    """Write ``results.csv`` atomically to ``path``; empty cells where there is no number.

    Columns: folder as seen from ``results.csv``, status, each swept key, seed, name, direction and value of the
    objective, all metrics, epochs, seconds, training samples a second, and the last line of an error.
    """
    swept = [key for key in keys if key.key != "seed"]
    names = sorted({name for job in jobs if job.result for name in job.result.metrics})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    middle = ["seed", "objective", "mode", "value"]
    writer.writerow([*_HEAD, *(key.key for key in swept), *middle, *names, *_TAIL])
    for number, job in enumerate(jobs):
        values = [key.values[number] for key in swept]
        run = link(job.folder, path.parent)
        writer.writerow([run, job.status, *values, *_numbers(job, names), job.error])
    write_atomically(path, text.getvalue())


def _numbers(job: Job, names: Sequence[str]) -> list[object]:
    result = job.result
    if result is None:
        return [None] * (len(names) + 7)
    objective, metrics = result.objective, [result.metrics.get(name) for name in names]
    measured = [result.epochs, result.seconds, result.samples_per_s]
    return [seed_of(job), objective.metric, objective.mode, objective.value, *metrics, *measured]


def link(path: Path, place: Path) -> str:
    """A path as seen from the folder ``place``."""
    try:
        return Path(os.path.relpath(path, place)).as_posix()
    except ValueError:
        # Another drive.
        return path.resolve().as_posix()
