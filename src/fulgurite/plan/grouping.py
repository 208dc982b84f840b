"""The groups of a sweep's jobs: who would train with whom, why others would not, what each group takes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fulgurite.fused.memory import memory_of, num_that_fit
from fulgurite.fused.signature import signature
from fulgurite.fused.unfusable import UnfusableError
from fulgurite.groups import structure_of
from fulgurite.plan.check import check_schedule
from fulgurite.plan.estimate import JobGroup, StepTimes, time_alone, time_together
from fulgurite.plan.jobs import Job, Problems, words_for
from fulgurite.plan.trial import Trial

# Jobs built in all to be timed together; of one group at most 16.
_MOST_BUILT = 48
_MOST_TOGETHER = 16
# Jobs of a kind that are tried before all of it is taken to fail.
_MOST_FAILURES = 3
# What a kind of job does not depend on.
_NO_KIND = ("seed", "folder", "output_root", "launcher", "logger")
# Said by the launcher, too.
_NO_OTHER = "no other job is like it"


@dataclass(frozen=True)
class Settings:
    """Of ``launcher=fused``: jobs in one program at most, and whether what is not faster together is taken apart."""

    max_members: int
    probe: bool


def group_jobs(
    jobs: Sequence[Job], settings: Settings, problems: Problems, tell: Callable[[str], None]
) -> list[JobGroup]:
    """Build jobs of each structure, make a few of their steps, and say what was seen.

    Args:
        jobs: that can be built.
        settings: of the launcher.
        problems: takes what is wrong with a job that can be built; nothing is timed when there are any.
        tell: is told what is being done.
    """
    structures: dict[str, list[Job]] = {}
    for job in jobs:
        structures.setdefault(structure_of(job.config), []).append(job)
    num_built = min(_MOST_TOGETHER, max(2, _MOST_BUILT // max(1, len(structures))))
    loaded: dict[str, Any] = {}
    found: list[JobGroup] = []
    for number, alike in enumerate(structures.values(), start=1):
        tell(f"trying group {number} of {len(structures)}")
        found += _Structure(alike, settings, problems, loaded).groups(num_built)
    return sorted(found, key=lambda group: group.jobs[0].number)


class _Structure:
    """Jobs whose configs differ in nothing but numbers, and in what needs no equal."""

    def __init__(self, jobs: list[Job], settings: Settings, problems: Problems, loaded: dict[str, Any]) -> None:
        self._jobs = jobs
        self._settings = settings
        self._problems = problems
        self._loaded = loaded

    def groups(self, num_built: int) -> list[JobGroup]:
        """The groups that it falls into, each tried with up to ``num_built`` jobs."""
        kinds: dict[str, list[Job]] = {}
        for job in self._jobs:
            kinds.setdefault(repr(_kind(job.plain)), []).append(job)
        # Jobs of which one can speak for all: kinds with equal steps are one group.
        alike: list[tuple[Any, list[Job], list[Trial]]] = []
        for jobs in kinds.values():
            trial = self._first(jobs)
            if trial is None:
                continue
            steps = trial.loop.why_alone() or signature(trial.loop)
            known = next((each for each in alike if each[0] == steps), None)
            if known is None:
                alike.append((steps, list(jobs), [trial]))
            else:
                known[1].extend(jobs)
                known[2].append(trial)
        try:
            self._check_schedules([trials[0] for _, _, trials in alike])
            healthy = [(steps, self._healthy(jobs), trials) for steps, jobs, trials in alike]
            return [self._group(steps, jobs, trials, num_built) for steps, jobs, trials in healthy if jobs]
        finally:
            for _, _, trials in alike:
                for trial in trials:
                    trial.end()

    def _first(self, jobs: Sequence[Job]) -> Trial | None:
        """The first of jobs of one kind that makes a step."""
        message = ""
        for job in jobs[:_MOST_FAILURES]:
            trial = Trial(job, self._loaded)
            if trial.error is None and trial.loop is not None:
                return trial
            message = "it makes no training step" if trial.error is None else words_for(trial.error, job.overrides)
            self._problems.add(job, message)
        for job in jobs[_MOST_FAILURES:]:
            self._problems.add(job, message)
        return None

    def _check_schedules(self, trials: Sequence[Trial]) -> None:
        """Lay the schedule of each job over its run."""
        tried = {repr(trial.job.plain["scheduler"]): "" for trial in trials}
        for job in self._jobs if trials else ():
            schedule = repr(job.plain["scheduler"])
            if schedule not in tried:
                tried[schedule] = check_schedule(job, int(trials[0].loop.trainer.estimated_stepping_batches)) or ""
            if tried[schedule]:
                self._problems.add(job, tried[schedule])

    def _healthy(self, jobs: Sequence[Job]) -> list[Job]:
        return sorted((job for job in jobs if not self._problems.fail(job)), key=lambda job: job.number)

    def _group(self, steps: Any, jobs: list[Job], trials: list[Trial], num_built: int) -> JobGroup:
        first, sizes = trials[0], self._sizes(jobs, num_that_fit(trials[0].loop))
        times, reason = StepTimes(first.first_s, {}), self._why_alone(steps, sizes)
        memory = memory_of(first.loop)
        if not self._problems.listed():
            self._start_others(jobs, trials, 1 if reason else min(num_built, max(sizes)))
            times, reason = self._time(trials, max(sizes), reason)
        programs = [] if reason else [size for size in sizes if size > 1]
        return JobGroup(
            jobs=jobs,
            model=type(first.loop.model).__name__,
            num_parameters=sum(each.numel() for each in first.loop.model.parameters()),
            batch_size=getattr(first.loop.loader, "batch_size", None) or 0,
            num_steps=first.num_steps,
            programs=programs,
            reason=reason or (_NO_OTHER if len(programs) < len(sizes) else ""),
            times=times,
            setup_s=min(trial.setup_s for trial in trials),
            validation_s=first.validation_s,
            memory=memory,
        )

    def _why_alone(self, steps: Any, sizes: Sequence[int]) -> str:
        """Why no program is tried; empty when one is."""
        if isinstance(steps, str):
            return steps
        if max(sizes) > 1:
            return ""
        return _NO_OTHER if sum(sizes) == 1 or self._settings.max_members > 1 else "launcher.max_members is 1"

    def _sizes(self, jobs: Sequence[Job], most_that_fit: int) -> list[int]:
        """How many of ``jobs`` are in each program.

        The launcher cuts jobs to ``max_members``, looks who is alike, and cuts those evenly to what fits into memory.
        """
        most = self._settings.max_members
        numbers = {job.number for job in jobs}
        sizes = []
        for start in range(0, len(self._jobs), most):
            size = sum(job.number in numbers for job in self._jobs[start : start + most])
            parts = math.ceil(size / most_that_fit)
            sizes += [size * (part + 1) // parts - size * part // parts for part in range(parts)]
        return sizes

    def _start_others(self, jobs: Sequence[Job], trials: list[Trial], number: int) -> None:
        """Take more of ``jobs`` to their first step, until there are ``number``."""
        started = {trial.job.number for trial in trials}
        others = [job for job in jobs if job.number not in started]
        for job in others[: max(0, number - len(trials))]:
            trials.append(Trial(job, self._loaded))

    def _time(self, trials: Sequence[Trial], size: int, reason: str) -> tuple[StepTimes, str]:
        """Times of a step, and why it is not made together, if so; ``size`` is that of the largest program."""
        alone = time_alone(trials[:1] if reason else trials[:size])
        for trial in trials:
            if trial.error is not None:
                self._problems.add(trial.job, words_for(trial.error, trial.job.overrides))
        ready = [trial for trial in trials[:size] if trial.is_waiting]
        if reason or len(ready) < 2:
            return StepTimes(alone, {}), reason or "its run is too short to be timed"
        try:
            together = {len(ready): time_together(ready)}
            rest = [trial for trial in ready if trial.is_waiting][:2]
            if size > len(ready) > 2 and len(rest) == 2:
                together[2] = time_together(rest)
        except UnfusableError as error:
            return StepTimes(alone, {}), str(error)
        except Exception as error:
            return StepTimes(alone, {}), f"its program fails: {words_for(error, trials[0].job.overrides)}"
        times = StepTimes(alone, together)
        slower = self._settings.probe and times.of_program(size) > size * alone
        return times, "it would not be faster" if slower else ""


def _kind(node: Any) -> Any:
    """Config as it decides what is built: without numbers, but for whether they are 0."""
    if isinstance(node, dict):
        return [(key, _kind(node[key])) for key in sorted(node, key=str) if key not in _NO_KIND]
    if isinstance(node, list):
        return [_kind(each) for each in node]
    return bool(node) if isinstance(node, int | float) else node
