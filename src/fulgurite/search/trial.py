"""A trial: one setting that a search asks for, and what came of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fulgurite.errors import ConfigError, did_you_mean
from fulgurite.result import Result
from fulgurite.resume import record_in
from fulgurite.search.settings import Goal


@dataclass(frozen=True)
class Trial:
    """One setting.

    Attributes:
        number: under which the history keeps it.
        overrides: that make the setting.
        reports: whether its first job reports to a pruner.
    """

    number: int
    overrides: tuple[str, ...]
    reports: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a job, or of a trial.

    Attributes:
        status: ``finished``, ``pruned``, ``diverged`` or ``failed``.
        values: of the objectives; empty unless it has finished.
        reason: why it has failed.
        seeds: of a trial that has finished, the first objective of each seed.
    """

    status: str
    values: tuple[float, ...] = ()
    reason: str = ""
    seeds: tuple[float, ...] = ()


class History(Protocol):
    """Asks for trials, and is told what came of them."""

    def ask(self) -> Trial | None:
        """The next trial; ``None`` when there are as many as were wanted, or the others must be told first."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""


def outcome_in(folder: Path, goals: Sequence[Goal]) -> Outcome:
    """What came of the job in ``folder``.

    Raises:
        ConfigError: when it has finished, and its record lacks an objective: that of all others would, too.
    """
    result = record_in(folder)
    if result is None or result.status not in ("finished", "pruned", "diverged"):
        return Outcome("failed", reason=result.error.message if result and result.error else "")
    if result.status != "finished":
        return Outcome(result.status)
    values = []
    for goal in goals:
        value = _value(result, goal.metric)
        if value is None:
            known = sorted({*result.metrics, "seconds", "epochs"})
            near = did_you_mean(goal.metric, known)
            raise ConfigError(
                f"sweep.objectives: {goal.metric} is not in the record of {folder.name}{near}, which has "
                f"{', '.join(known)}; give the sweep another name when you mend it"
            )
        values.append(value)
    return Outcome("finished", tuple(values))


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """What came of a trial, from its jobs, one a seed: the worst that happened, or the mean."""
    for status in ("failed", "diverged", "pruned"):
        found = next((each for each in outcomes if each.status == status), None)
        if found is not None:
            return found
    columns = zip(*(each.values for each in outcomes), strict=True)
    seeds = tuple(each.values[0] for each in outcomes)
    return Outcome("finished", tuple(statistics.fmean(column) for column in columns), seeds=seeds)


def _value(result: Result, metric: str) -> float | None:
    if metric == result.objective.metric:
        return result.objective.value
    if metric in ("seconds", "epochs"):
        return float(getattr(result, metric))
    return result.metrics.get(metric)
