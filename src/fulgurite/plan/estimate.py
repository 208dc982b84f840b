"""What a group of jobs takes: seconds of a step alone and together, bytes of what a job keeps."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fulgurite.fused.group import Group
from fulgurite.fused.memory import Memory
from fulgurite.plan.jobs import Job
from fulgurite.plan.trial import Trial, synchronize

# Solo steps to time, seconds to do so, seconds to time fused ones.
_SOLO_STEPS = 10
_SOLO_S = 1.0
_FUSED_S = 1.0


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a training step.

    Attributes:
        alone: of one job.
        together: of a program, by its number of jobs; empty when none was timed.
    """

    alone: float
    together: dict[int, float]

    def of_program(self, num_jobs: int) -> float:
        """Seconds of a step of a program, on the line through the two that were timed."""
        (low, low_s), (high, high_s) = min(self.together.items()), max(self.together.items())
        if num_jobs == high or low == high:
            return high_s * num_jobs / high
        slope = max(0.0, (high_s - low_s) / (high - low))
        return high_s + slope * (num_jobs - high)


@dataclass(frozen=True)
class JobGroup:
    """Jobs of equal structure.

    Attributes:
        jobs: in the order of the sweep.
        model: name of its class.
        num_parameters: of one job.
        batch_size: samples in a step of one job.
        num_steps: training steps of one job.
        programs: how many jobs each fused program has; empty when they train alone.
        reason: why some or all of them train alone; empty when none does.
        times: of a step.
        setup_s: seconds of one job before its first step.
        validation_s: seconds of one job's validations and test.
        memory: of one job.
    """

    jobs: list[Job]
    model: str
    num_parameters: int
    batch_size: int
    num_steps: int
    programs: list[int]
    reason: str
    times: StepTimes
    setup_s: float
    validation_s: float
    memory: Memory

    @property
    def alone_s(self) -> float:
        """Seconds of all jobs, one after the other."""
        return len(self.jobs) * (self.setup_s + self.validation_s + self.num_steps * self.times.alone)

    @property
    def fused_s(self) -> float:
        """Seconds of all jobs with ``launcher=fused``."""
        saved = sum(size * self.times.alone - self.times.of_program(size) for size in self.programs)
        return self.alone_s - self.num_steps * saved


def time_alone(trials: Sequence[Trial]) -> float:
    """Seconds of a solo step: the median over several, in which all trials take equal part."""
    times: list[float] = []
    while len(times) < _SOLO_STEPS and sum(times) < _SOLO_S and all(trial.is_waiting for trial in trials):
        times += [trial.step() for trial in trials]
    return statistics.median(times or [trial.first_s for trial in trials])


def time_together(trials: Sequence[Trial]) -> float:
    """Seconds of a step of all trials as one program; as of a solo step, without what a job does between two.

    Raises:
        UnfusableError: when their step cannot be batched.
    """
    group = Group([trial.loop for trial in trials])
    device = trials[0].loop.loader.x.device
    seconds = 0.0
    # The first steps are slower.
    for number in (1, 2, None):
        if group.waiting:
            seconds = _advance(group, trials, number or max(10, int(_FUSED_S / group.step_s)), device)
    return seconds


def _advance(group: Group, trials: Sequence[Trial], at_most: int, device: torch.device) -> float:
    """Make up to ``at_most`` steps of a group; seconds of one."""
    number = min(at_most, group.num_wanted())
    started = time.perf_counter()
    results = group.run(number)
    synchronize(device)
    # Elsewhere than on a CPU, the group's own time is that of handing the work over.
    step_s = group.step_s if device.type == "cpu" else (time.perf_counter() - started) / number
    for own, result in results.items():
        trials[own].member.resume(result)
        group.ended[own] = not trials[own].is_waiting
    return step_s
