"""What stands of a row: its sweep's folder as figures, and the same as plain values. Imports no torch."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fulgurite.report.collect import Job, read_jobs, seed_of
from fulgurite.reproduce.measuring import measured
from fulgurite.reproduce.record import Record, read_record
from fulgurite.reproduce.rows import Line, Row
from fulgurite.reproduce.verdicts import Figures, Outcome, judge
from fulgurite.sweep.record import recorded_jobs

# Where rows land: OUT/<row> is an ordinary sweep's folder.
OUT = Path("outputs", "reproduce")
_BEST = Path("checkpoints", "best.ckpt")
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
    jobs = [job for job in read_jobs(folder) if not known or (job.result and job.result.fingerprint in known)]
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


def _figures(row: Row, line: Line, folder: Path, jobs: Sequence[Job], planned: Sequence[Sequence[str]]) -> Figures:
    own = [job for job in jobs if job.result and matches(job.result.overrides, line)]
    finished = [job for job in own if job.status == "finished"]
    of_runs = measured(row.after, folder, [(job.folder, seed_of(job)) for job in finished])
    values = []
    for job, measures in zip(finished, of_runs, strict=True):
        assert job.result
        value = {**job.result.metrics, **measures}.get(line.metric)
        values += [] if value is None else [float(value)]
    num_planned = max(row.seeds, sum(matches(each, line) for each in planned)) if planned else 0
    return Figures(tuple(values), num_planned, sum(job.status in _LOST for job in own))


def matches(overrides: Sequence[str], line: Line) -> bool:
    """Whether the job of these overrides is one of the line's."""
    typed = {"".join(each.lstrip("+").split()) for each in overrides}
    return all("".join(word.split()) in typed for word in line.where)


def _tested(jobs: Sequence[Job]) -> str:
    """Which epoch the first finished job was tested at."""
    first = next((job for job in jobs if job.result and job.status == "finished"), None)
    if first is None or first.result is None:
        return ""
    if (first.folder / _BEST).exists():
        return f"the epoch with the best {first.result.objective.metric}"
    return f"the last epoch, {first.result.epochs}"
