"""Everything that ``report.html`` shows, as plain values for its scripts. Jobs are named by their place in a list."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fulgurite.report.collect import Job, Row, seed_of
from fulgurite.report.confusion import read_confusion
from fulgurite.report.curves import Curves, read_curves, thinned
from fulgurite.report.heading import Heading
from fulgurite.report.importance import importances
from fulgurite.report.leaderboard import nearest
from fulgurite.report.results import link
from fulgurite.report.swept import Swept, grid_pairs, is_log
from fulgurite.result import INDIFFERENT

Plain = dict[str, Any]
# Digits of a point of a curve.
_DIGITS = 5


def document(place: Path, heading: Heading, jobs: Sequence[Job], rows: Sequence[Row], keys: Sequence[Swept]) -> Plain:
    """The data of a page that will lie in ``place``."""
    first = next((row for row in rows if row.metric), None)
    objectives = [job.result.objective for job in jobs if job.result]
    # Of other data sets: they have no axis in common with the first.
    values = [each.value for each in objectives if first and each.metric == first.metric and each.value is not None]
    return {
        "heading": asdict(heading),
        "objective": {
            "metric": first.metric if first else "",
            "mode": first.mode if first else "max",
            "isLog": is_log(values),
        },
        "counts": dict(Counter(job.status for job in jobs).most_common()),
        "keys": [_plain_key(key) for key in keys],
        "jobs": [_plain_job(place, job, number, keys) for number, job in enumerate(jobs)],
        "rows": [_plain_row(row, jobs, keys) for row in rows],
        "pairs": [[keys.index(one), keys.index(other)] for one, other in grid_pairs(jobs, keys)],
        "curves": _plain_curves([read_curves(job.folder) for job in jobs]),
        "importance": [asdict(each) for each in importances(jobs, keys)],
        "best": _plain_best(jobs, rows),
    }


def best_job(rows: Sequence[Row]) -> Job | None:
    """The job with the best objective of the best setting; ``None`` when none has finished."""
    if not rows or not rows[0].num_finished:
        return None
    sign = 1 if rows[0].mode == "max" else -1
    values = [
        (sign * job.result.objective.value, job)
        for job in rows[0].jobs
        if job.result and job.status == "finished" and job.result.objective.value is not None
    ]
    return max(values, key=lambda pair: pair[0])[1] if values else None


def _plain_key(key: Swept) -> Plain:
    return {
        "key": key.key,
        "name": key.name,
        "numbers": key.numbers,
        "isLog": key.is_log,
        "choices": key.choices,
    }


def _plain_job(place: Path, job: Job, number: int, keys: Sequence[Swept]) -> Plain:
    plain: Plain = {
        "folder": job.folder.name,
        "path": link(job.folder, place),
        "status": job.status,
        "seed": seed_of(job),
        "values": [key.values[number] for key in keys],
        "error": job.error,
        "log": None if job.log is None else link(job.log, place),
    }
    if job.result is None:
        return plain | {"value": None, "metric": "", "metrics": {}, "epochs": None, "seconds": None, "rate": None}
    result = job.result
    numbers = {"epochs": result.epochs, "seconds": result.seconds, "rate": result.samples_per_s}
    objective = {"value": result.objective.value, "metric": result.objective.metric}
    return plain | objective | numbers | {"metrics": dict(result.metrics)}


def _plain_row(row: Row, jobs: Sequence[Job], keys: Sequence[Swept]) -> Plain:
    number_of = {job.folder: number for number, job in enumerate(jobs)}
    return {
        "setting": [row.setting.get(key.key, "") for key in keys],
        "metric": row.metric,
        "mean": row.mean,
        "deviation": row.deviation,
        "num": row.num_finished,
        "difference": row.to_best.difference if row.to_best else None,
        "p": row.to_best.p if row.to_best else None,
        "metrics": dict(row.metrics),
        "seconds": row.seconds,
        "status": row.status,
        "jobs": [number_of[job.folder] for job in row.jobs],
    }


def _plain_curves(curves: Sequence[Curves]) -> Plain:
    kept, every = thinned(curves)
    names = sorted({name for each in kept for name in each.values}, key=lambda name: (name[:4] != "val/", name))
    plain = [{"epochs": each.epochs, "values": _rounded(each.values)} for each in kept]
    return {"every": every, "names": names, "jobs": plain}


def _rounded(values: Mapping[str, Sequence[float | None]]) -> dict[str, list[float | None]]:
    return {
        name: [None if value is None else float(f"{value:.{_DIGITS}g}") for value in column]
        for name, column in values.items()
    }


def _plain_best(jobs: Sequence[Job], rows: Sequence[Row]) -> Plain | None:
    job = best_job(rows)
    if job is None or job.result is None:
        return None
    run = shlex.quote(nearest(job.folder))
    typed = [each for each in job.result.overrides if re.split(r"[.=]", each.lstrip("+~"))[0] not in INDIFFERENT]
    confusion = read_confusion(job.folder)
    return {
        "job": list(jobs).index(job),
        "commands": [
            ["Repeat it, and compare the numbers", f"fulgurite rerun {run}"],
            ["Test its best checkpoint again", f"fulgurite eval {run}"],
            ["Train it, with values to change", shlex.join(["fulgurite", "train", *typed])],
        ],
        "confusion": asdict(confusion) if confusion else None,
    }
