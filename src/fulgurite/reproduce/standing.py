"""What stands of a row: its sweep's folder as figures, and the same as plain values. Imports no torch."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fulgurite.report.collect import Job, read_jobs, seed_of
from fulgurite.reproduce.measures import MEASURES
from fulgurite.reproduce.measuring import measured
from fulgurite.reproduce.record import Record, read_record
from fulgurite.reproduce.rows import Line, Row
from fulgurite.reproduce.verdicts import Figures, Outcome, judge
from fulgurite.result import Result
from fulgurite.sweep.record import recorded_jobs

# Where rows land: OUT/<row> is an ordinary sweep's folder.
OUT = Path("outputs", "reproduce")
_BEST = Path("checkpoints", "best.ckpt")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOST = ("failed", "diverged", "damaged", "missing")


@dataclass(frozen=True)
class Standing:
    """What stands of a row.

    Attributes:
        record: of its running.
        figures: of each of its lines.
        tested: the epoch that was tested, in words.
    """

    record: Record
    figures: tuple[Figures, ...]
    tested: str = ""

    @property
    def is_over(self) -> bool:
        """Whether all runs of all lines have ended."""
        return all(each.planned and len(each.values) + each.lost >= each.planned for each in self.figures)


@dataclass(frozen=True)
class Shown:
    """A row with what stands of it.

    Attributes:
        row: the row.
        standing: ``None`` when it never ran, or ran with other words.
    """

    row: Row
    standing: Standing | None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What the table says of each of its lines."""
        if self.standing is None:
            return tuple(judge(line, Figures()) for line in self.row.lines)
        pairs = zip(self.row.lines, self.standing.figures, strict=True)
        outcomes = (judge(line, figures) for line, figures in pairs)
        error = self.standing.record.error
        return tuple(
            replace(each, kind="failed", verdict="failed") if error and each.kind == "open" else each
            for each in outcomes
        )


def standing_in(row: Row, folder: Path) -> Standing | None:
    """What stands of a row in its folder; ``None`` when it never ran, or ran with other words."""
    record = read_record(folder)
    if record is None or record.words != row.words:
        return None
    known = recorded_jobs(folder)
    # Values that were given once and are not any more leave their jobs there.
    jobs = [job for job in read_jobs(folder) if not known or (job.result and _is_known(job.result, known))]
    planned = list(known.values()) or [job.result.overrides for job in jobs if job.result]
    return Standing(record, tuple(_figures(row, line, folder, jobs, planned) for line in row.lines), _tested(jobs))


def plain(row: Row, standing: Standing) -> dict[str, Any]:
    """A standing as plain values, which ``from_plain`` takes back."""
    lines = [
        {"metric": line.metric, "where": line.where, **asdict(figures)}
        for line, figures in zip(row.lines, standing.figures, strict=True)
    ]
    return {"record": asdict(standing.record), "tested": standing.tested, "lines": lines}


def from_plain(row: Row, told: Mapping[str, Any]) -> Standing | None:
    """The standing of a row from plain values; ``None`` when the row has other words now, or they cannot be read.

    A line that measures something else now has no values.
    """
    with suppress(TypeError, KeyError, ValueError):
        record = Record(**{**told["record"], "words": tuple(told["record"]["words"])})
        known = {(each["metric"], tuple(each["where"])): each for each in told["lines"]}
        found = [known.get((line.metric, line.where)) for line in row.lines]
        figures = tuple(
            Figures(tuple(map(float, each["values"])), int(each["planned"]), int(each["lost"])) if each else Figures()
            for each in found
        )
        return Standing(record, figures, str(told["tested"])) if record.words == row.words else None
    return None


def _is_known(result: Result, known: Mapping[str, list[str]]) -> bool:
    """Whether a job is planned; one that failed before it had a config is known by its words."""
    if result.fingerprint:
        return result.fingerprint in known
    words = [[each for each in overrides if not each.startswith("hydra.")] for overrides in known.values()]
    return result.overrides in words


def _figures(row: Row, line: Line, folder: Path, jobs: Sequence[Job], planned: Sequence[Sequence[str]]) -> Figures:
    own = [job for job in jobs if job.result and matches(job.result.overrides, line)]
    finished = [job for job in own if job.status == "finished"]
    measures = measured(row.after, folder, [(job.folder, seed_of(job)) for job in finished])
    of_runs = [_known_values(job, of_run).get(line.metric) for job, of_run in zip(finished, measures, strict=True)]
    of_seeds = bool(row.after) and MEASURES[row.after].of_seed and any(line.metric in each for each in measures)
    asked = [each for each in planned if matches(each, line)]
    # All runs of a seed together have one value.
    number = len({_seed(each) for each in asked}) if of_seeds else len(asked)
    lost = sum(job.status in _LOST for job in own)
    values = tuple(float(value) for value in of_runs if value is not None)
    return Figures(values, max(row.seeds, number) if planned else 0, lost)


def _known_values(job: Job, measures: Mapping[str, float]) -> dict[str, float | None]:
    return {**(job.result.metrics if job.result else {}), **measures}


def _seed(overrides: Sequence[str]) -> str:
    return next((each for each in reversed(overrides) if each.startswith("seed=")), "")


def matches(overrides: Sequence[str], line: Line) -> bool:
    """Whether the job of these overrides is one of the line's."""
    return {*map(_normal, line.where)} <= {*map(_normal, overrides)}


def _normal(word: str) -> str:
    """One way to write a word: Hydra makes ``lr=0.001`` of ``lr=1e-3``."""
    key, _, value = "".join(word.lstrip("+").split()).partition("=")
    value = value.strip("'\"")
    with suppress(ValueError):
        value = repr(float(value))
    return f"{key}={value}"


def _tested(jobs: Sequence[Job]) -> str:
    """Which epoch the first finished job was tested at."""
    first = next((job for job in jobs if job.result and job.status == "finished"), None)
    if first is None or first.result is None:
        return ""
    if (first.folder / _BEST).exists() and not _chooses_last(first.folder):
        return f"the epoch with the best {first.result.objective.metric}"
    return f"the last epoch, {first.result.epochs}"


def _chooses_last(run: Path) -> bool:
    """Whether its config has the last epoch tested, though all are validated."""
    try:
        cfg = yaml.load((run / ".hydra" / "config.yaml").read_text(encoding="utf-8"), Loader=_LOADER)
        return cfg["callbacks"]["best_checkpoint"]["choose"] == "last"
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return False
