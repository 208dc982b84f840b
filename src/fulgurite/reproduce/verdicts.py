"""From the values of a line to what the table says of it: statistic, deviation, standard error, verdict."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from fulgurite.reproduce.goals import UNITS, Goal, shown, spread
from fulgurite.reproduce.rows import Line

Kind = Literal["stretch", "met", "missed", "open", "failed", "shown"]
# Two means that are closer than this many standard errors of their difference are not told apart.
APART = 2.0


@dataclass(frozen=True)
class Figures:
    """What the jobs of a line gave.

    Attributes:
        values: the metric of each finished job.
        planned: jobs that there are to be; 0 when none was ever begun.
        lost: jobs that have failed or diverged.
    """

    values: tuple[float, ...] = ()
    planned: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the table says of a line.

    Attributes:
        kind: of the verdict.
        verdict: the same in words, such as ``missed by 0.12 points``.
        ours: the statistic with its deviation, such as ``97.53 ± 0.14 %``; empty without a value.
        num: jobs that the statistic is of, n: the finished ones, for a share the lost ones, too.
        value: the statistic; ``None`` without a value.
        standard_error: of a mean over two jobs or more; else ``None``.
    """

    kind: Kind
    verdict: str
    ours: str = ""
    num: int = 0
    value: float | None = None
    standard_error: float | None = None


def judge(line: Line, figures: Figures) -> Outcome:
    """Hold the values of a line against its goal; nothing is judged before all jobs have ended."""
    values = figures.values
    # A job that has diverged is one that has not reached what it was to reach.
    ended = len(values) + figures.lost
    counted = (*values, *([-math.inf] * figures.lost)) if line.statistic == "share" else values
    value = statistic(line, counted) if counted else None
    kind, verdict = _verdict(line, figures, value, ended)
    num = len(counted)
    deviation = statistics.stdev(values) if line.statistic == "mean" and num > 1 else None
    error = None if deviation is None else deviation / math.sqrt(num)
    return Outcome(kind, verdict, _ours(line, value, deviation), num, value, error)


def statistic(line: Line, values: Sequence[float]) -> float:
    """Of the values of all jobs; the share is in [0, 1]."""
    if line.statistic == "share":
        return sum(not Goal(low=line.least).short_by(value) for value in values) / len(values)
    if line.statistic == "mean":
        return statistics.fmean(values)
    return max(values) if line.statistic == "max" else min(values)


def comparable(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> list[tuple[Line, Line, bool]]:
    """Pairs of lines with means of the same metric, the smaller first, and whether they are told apart.

    Means of a part of their runs are left out: where runs are lost, what is left of them is no fair choice.
    """
    means = [
        (line, outcome.value, outcome.standard_error)
        for line, outcome in zip(lines, outcomes, strict=True)
        if outcome.kind not in ("open", "failed") and outcome.value is not None and outcome.standard_error is not None
    ]
    means.sort(key=lambda mean: mean[1])
    return [
        (one[0], other[0], other[1] - one[1] > APART * math.hypot(one[2], other[2]))
        for one, other in combinations(means, 2)
        if one[0].metric == other[0].metric
    ]


def goal_text(line: Line, goal: Goal | None) -> str:
    """A goal with its unit; empty without one."""
    if goal is None:
        return ""
    return f"{goal.text('percent')} of seeds" if line.statistic == "share" else goal.text(line.unit)


def number_text(line: Line, value: float) -> str:
    """A statistic of a line with its unit."""
    return shown(value, "percent" if line.statistic == "share" else line.unit)


def _verdict(line: Line, figures: Figures, value: float | None, ended: int) -> tuple[Kind, str]:
    if figures.planned == 0:
        return "open", "open"
    if figures.lost and line.statistic != "share":
        return "failed", f"failed: {figures.lost} of {figures.planned} runs"
    if ended < figures.planned or value is None:
        return "open", f"open: {ended} of {figures.planned} runs"
    if line.goal is None:
        return "shown", "no goal"
    if short := line.goal.short_by(value):
        return "missed", f"missed by {_short_text(line, short)}"
    if line.stretch and not line.stretch.short_by(value):
        return "stretch", "stretch met"
    return "met", "met"


def _short_text(line: Line, short: float) -> str:
    """A difference: of percentages it is in points."""
    if line.unit == "percent" or line.statistic == "share":
        return f"{100 * short:.2g} points"
    return f"{short:.2g}{UNITS[line.unit][2] if line.unit else ''}"


def _ours(line: Line, value: float | None, deviation: float | None) -> str:
    if value is None:
        return ""
    text = number_text(line, value)
    if line.statistic == "share":
        return f"{text} of seeds"
    if line.statistic != "mean":
        return f"{text} ({line.statistic})"
    return text if deviation is None else spread(value, deviation, line.unit)
