"""The jobs of a sweep, folded: one row a setting, with mean and deviation over its seeds, best first.

Reads each job's ``result.json`` and nothing else, so it works while the sweep runs, and after a part of it failed.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fulgurite.errors import RunFolderError
from fulgurite.report.paired import Paired, paired
from fulgurite.result import FILE_NAME, INDIFFERENT, Result, last_line, read_result

# In the name of a repetition's folder: a check of a job, not another seed of it.
RERUN_MARK = "_rerun"
_SEED = "seed"


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        folder: its run folder.
        result: its record; ``None`` when that is missing or damaged.
        status: the record's status, or ``missing`` or ``damaged``.
        error: last line of what went wrong; empty when nothing did.
        log: the file with the traceback, or ``None``.
    """

    folder: Path
    result: Result | None
    status: str
    error: str = ""
    log: Path | None = None


@dataclass(frozen=True)
class Row:
    """One setting, over its seeds.

    Attributes:
        setting: swept keys and their values, ``seed`` apart; empty for jobs without a readable record.
        metric: name of the objective; empty without a record.
        mode: ``max`` or ``min``.
        mean: mean of the objective over the finished jobs, over the pruned ones when none finished; ``None`` without.
        deviation: its sample deviation (divisor n - 1); ``None`` below two.
        num_finished: finished jobs, n.
        metrics: mean of each metric over the finished jobs.
        seconds: mean wall-clock time of the finished jobs, in seconds.
        status: ``finished`` when all jobs are, else the count of each status, such as ``2 finished, 1 failed``.
        jobs: the jobs.
        to_best: the row beside the first one, over the seeds that both have finished; ``None`` for the first itself,
            and where there are not two such seeds.
    """

    setting: Mapping[str, str]
    metric: str
    mode: str
    mean: float | None
    deviation: float | None
    num_finished: int
    metrics: Mapping[str, float]
    seconds: float | None
    status: str
    jobs: tuple[Job, ...]
    to_best: Paired | None = None


def collect(folder: Path) -> list[Row]:
    """The rows of a sweep: best objective first, settings without a finished job last.

    Raises:
        RunFolderError: when there is no such folder.
    """
    return fold(read_jobs(folder))


def fold(jobs: Sequence[Job]) -> list[Row]:
    """The rows of any jobs: best objective first, settings without a finished job last."""
    swept = swept_keys([values_of(job) for job in jobs if job.result])
    groups: dict[tuple[tuple[str, str], ...], list[Job]] = {}
    unreadable = []
    for job in jobs:
        if job.result is None:
            unreadable.append(_fold({}, [job]))
            continue
        values = values_of(job)
        setting = tuple((key, values.get(key, "default")) for key in swept if key != _SEED)
        groups.setdefault(setting, []).append(job)
    rows = sorted([_fold(dict(setting), group) for setting, group in groups.items()], key=_rank)
    return [*rows[:1], *(replace(row, to_best=_beside(row, rows[0])) for row in rows[1:]), *unreadable]


def read_jobs(folder: Path) -> list[Job]:
    """The jobs in a sweep's folder, by name; repetitions made by ``fulgurite rerun`` are left out.

    Raises:
        RunFolderError: when there is no such folder.
    """
    if not folder.is_dir():
        raise RunFolderError(f"there is no folder {folder}; give a sweep such as outputs/sweeps/<name>")
    runs = [path for path in sorted(folder.iterdir()) if (path / FILE_NAME).exists() or (path / ".hydra").is_dir()]
    return [read_job(path) for path in runs if RERUN_MARK not in path.name]


def swept_keys(jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys that decide numbers and are not the same in all jobs, in the order in which they were typed."""
    keys = dict.fromkeys(key for values in jobs for key in values if key.partition(".")[0] not in INDIFFERENT)
    return [key for key in keys if len({values.get(key) for values in jobs}) > 1]


def read_job(folder: Path) -> Job:
    """The job in a run folder, whatever state its record is in."""
    try:
        result = read_result(folder)
    except RunFolderError as error:
        return Job(folder, None, "damaged" if (folder / FILE_NAME).exists() else "missing", str(error))
    if result.error is None:
        return Job(folder, result, result.status)
    line = last_line(result.error.message)
    error_line = f"{result.error.type}: {line}" if line else result.error.type
    log = folder / result.error.log
    return Job(folder, result, result.status, error_line, log if log.is_file() else None)


def _values(overrides: Sequence[str]) -> dict[str, str]:
    """``["+a.b=1", "~c", "d="]`` to ``{"a.b": "1", "c": "removed", "d": "''"}``; the last of two of one key counts."""
    parts = [override.partition("=") for override in overrides]
    return {key.lstrip("+~"): "removed" if key.startswith("~") else value or "''" for key, _, value in parts}


def values_of(job: Job) -> dict[str, str]:
    """What was typed for a job, by key; empty without a record."""
    return _values(job.result.overrides) if job.result else {}


def seed_of(job: Job) -> str:
    """The seed that was typed for a job; empty when none was."""
    return values_of(job).get(_SEED, "")


def _beside(row: Row, best: Row) -> Paired | None:
    return paired(_by_seed(row), _by_seed(best)) if row.metric == best.metric else None


def _by_seed(row: Row) -> dict[str, float]:
    finished = [(seed_of(job), job.result) for job in row.jobs if job.result and job.status == "finished"]
    return {seed: result.objective.value for seed, result in finished if result.objective.value is not None}


def _fold(setting: Mapping[str, str], jobs: Sequence[Job]) -> Row:
    finished = [job.result for job in jobs if job.result and job.status == "finished"]
    # A setting that was pruned in all seeds is shown with the values that it was pruned for.
    counted = finished or [job.result for job in jobs if job.result and job.status == "pruned"]
    # A job that failed before it had a config has no objective.
    objective = next((job.result.objective for job in jobs if job.result and job.result.objective.metric), None)
    values = [result.objective.value for result in counted if result.objective.value is not None]
    statuses = [_described(job) for job in jobs]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(sorted(statuses, key=_order)))
    return Row(
        setting=setting,
        metric=objective.metric if objective else "",
        mode=objective.mode if objective else "",
        mean=statistics.fmean(values) if values else None,
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        num_finished=len(finished),
        metrics=_means(counted),
        seconds=statistics.fmean(result.seconds for result in counted) if counted else None,
        status=statuses[0] if len(set(statuses)) == 1 else counts,
        jobs=tuple(jobs),
    )


def _means(results: Sequence[Result]) -> dict[str, float]:
    """Mean of each metric that all of the results have."""
    names = dict.fromkeys(name for result in results for name in result.metrics)
    columns = {name: [result.metrics.get(name) for result in results] for name in names}
    return {
        name: statistics.fmean(v for v in column if v is not None)
        for name, column in columns.items()
        if None not in column
    }


def _described(job: Job) -> str:
    """The status, and when it was pruned."""
    return f"pruned after epoch {job.result.epochs}" if job.result and job.status == "pruned" else job.status


def _rank(row: Row) -> tuple[bool, bool, str, float]:
    """Sorts the best first, pruned ones after finished; objectives of different names are not compared."""
    if row.mean is None:
        return True, True, row.metric, 0.0
    return False, not row.num_finished, row.metric, -row.mean if row.mode == "max" else row.mean


def _order(status: str) -> tuple[bool, str]:
    return status != "finished", status
