"""How much of the objective's variance each swept key explains by itself.

Epsilon squared: jobs are grouped by the value of one key, and the share of the variance that lies between the groups is
corrected for what chance alone puts there,

    epsilon² = (SS_between - (k - 1) MS_within) / SS_total,

with k groups. Keys that are numbers with more than ``MOST_GROUPS`` different values, as a search draws them, are cut
into groups of equal size by rank.

Source: T. L. Kelley, "An unbiased correlation ratio measure", PNAS 21 (1935).

Of an objective that is positive and spans two decades, as losses do when some runs are far off, the logarithm is taken:
one such run would otherwise decide alone.

Limits: keys that matter only together are not seen; the share depends on the range that was swept; in a search keys
that were varied together share what they explain. A seed counts as chance.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fulgurite.report.collect import Job
from fulgurite.report.swept import Swept, is_log

MOST_GROUPS = 6
_GROUPS_OF_NUMBERS = 4
FEWEST_JOBS = 8
# Jobs a group, on average.
_FEWEST_EACH = 2


@dataclass(frozen=True)
class Importance:
    """What a key explains.

    Attributes:
        key: its full name.
        share: of the variance, in [0, 1]; ``None`` when it cannot be told.
        num_groups: groups that were compared.
        reason: why it cannot be told, else empty.
    """

    key: str
    share: float | None
    num_groups: int
    reason: str = ""


def importances(jobs: Sequence[Job], keys: Sequence[Swept]) -> list[Importance]:
    """The share of each key but the seed over the finished jobs, the largest first, unknown ones last."""
    finished = [at for at, job in enumerate(jobs) if _value(job) is not None]
    values = [float(_value(jobs[at]) or 0.0) for at in finished]
    if is_log(values):
        values = [math.log(value) for value in values]
    # Objectives of different names have no variance in common.
    names = {job.result.objective.metric for job in (jobs[at] for at in finished) if job.result}
    found = [
        Importance(key.key, None, 0, "the jobs have different objectives")
        if len(names) > 1
        else _importance(key, _groups(key, finished), values)
        for key in keys
        if key.key != "seed"
    ]
    return sorted(found, key=lambda each: (each.share is None, -(each.share or 0.0)))


def epsilon_squared(groups: Mapping[object, Sequence[float]]) -> float | None:
    """Kelley's share of variance between groups, in [0, 1]; ``None`` where nothing varies, or all groups are single."""
    # A share has no unit: of values in [-1, 1] no square is too large for a number.
    scale = max((abs(value) for group in groups.values() for value in group), default=0.0) or 1.0
    scaled = [[value / scale for value in group] for group in groups.values()]
    values = [value for group in scaled for value in group]
    free = len(values) - len(groups)
    if free < 1 or len(groups) < 2:
        return None
    mean = statistics.fmean(values)
    total = sum((value - mean) ** 2 for value in values)
    if total <= 1e-24 * len(values) * mean**2:
        return None
    within = sum((value - statistics.fmean(group)) ** 2 for group in scaled for value in group)
    share = (total - within - (len(groups) - 1) * within / free) / total
    return min(1.0, max(0.0, share))


def _value(job: Job) -> float | None:
    return job.result.objective.value if job.result and job.status == "finished" else None


def _importance(key: Swept, groups: Sequence[object], values: Sequence[float]) -> Importance:
    members: dict[object, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        members.setdefault(group, []).append(value)
    needed = max(FEWEST_JOBS, _FEWEST_EACH * len(members))
    if len(values) < needed:
        reason = f"it needs {needed} finished jobs, there are {len(values)}"
        return Importance(key.key, None, len(members), reason)
    if len(members) < 2:
        return Importance(key.key, None, len(members), "all finished jobs have one value")
    share = epsilon_squared(members)
    return Importance(key.key, share, len(members), "" if share is not None else "the objective does not vary")


def _groups(key: Swept, chosen: Sequence[int]) -> list[object]:
    """The group of each chosen job: its value, or the quarter that it lies in."""
    numbers = [(key.numbers[at] if key.numbers else None) for at in chosen]
    known = sorted(number for number in numbers if number is not None)
    if len(known) < len(numbers) or len(set(known)) <= MOST_GROUPS:
        return [key.values[at] for at in chosen]
    # By the first rank of a value: equal ones stay together.
    return [_GROUPS_OF_NUMBERS * known.index(number) // len(known) for number in numbers if number is not None]
