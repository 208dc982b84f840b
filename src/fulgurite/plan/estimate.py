"""What a group of jobs takes: seconds of a step alone and together, bytes of what a job keeps."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.fused.group import Group
from fulgurite.plan.trial import Trial, _WatchedLoop, synchronize

# A solo step is timed this many times, the fused one for about so many seconds.
_SOLO_STEPS = 10
_SOLO_S = 1.0
_FUSED_S = 0.4


@dataclass(frozen=True)
class Memory:
    """Bytes of one job but for ``data``, which jobs share.

    Attributes:
        parameters: and buffers.
        gradients: of the trained parameters.
        optimizer: its state after a step.
        activations: what one step keeps for its backward pass.
        data: training and validation part.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    data: int

    def of(self, num_jobs: int) -> int:
        """Bytes of that many jobs at a time."""
        return num_jobs * (self.parameters + self.gradients + self.optimizer + self.activations) + self.data


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


def memory_of(loop: _WatchedLoop) -> Memory:
    """Of a job that has made a step."""
    model, data = loop.model, 0
    trained = [each for each in model.parameters() if each.requires_grad]
    states = [
        each for optimizer in loop.trainer.optimizers for state in optimizer.state.values() for each in state.values()
    ]
    loaders = [loop.loader, *_listed(loop.trainer.val_dataloaders)]
    parts = {id(part.x): part for part in loaders if isinstance(part, BatchLoader)}
    data = sum(_bytes([part.x, part.y]) for part in parts.values())
    return Memory(
        parameters=_bytes([*model.parameters(), *model.buffers()]),
        gradients=_bytes(trained),
        optimizer=_bytes(states),
        activations=loop.kept_bytes or 0,
        data=data,
    )


def time_alone(trials: Sequence[Trial]) -> float:
    """Seconds of a solo step: the median over several, in which all trials take equal part."""
    times: list[float] = []
    while len(times) < _SOLO_STEPS and sum(times) < _SOLO_S and all(trial.is_waiting for trial in trials):
        times += [trial.step() for trial in trials]
    return statistics.median(times or [trial.first_s for trial in trials])


def time_together(trials: Sequence[Trial]) -> float:
    """Seconds of a step of all trials as one program, with what each does between two steps.

    Raises:
        UnfusableError: when their step cannot be batched.
    """
    group = Group([trial.loop for trial in trials])
    device = trials[0].loop.loader.x.device
    for number in (1, 2):
        step_s = _advance(group, trials, number, device) if group.waiting else 0.0
    if group.waiting:
        step_s = _advance(group, trials, max(3, int(_FUSED_S / step_s)), device)
    return step_s


def _advance(group: Group, trials: Sequence[Trial], at_most: int, device: Any) -> float:
    """Make up to ``at_most`` steps of a group; seconds of one."""
    number = min(at_most, *(group.loops[own].num_wanted() for own in group.waiting))
    started = time.perf_counter()
    for own, results in group.run(number).items():
        trials[own].member.resume(results)
        group.ended[own] = not trials[own].is_waiting
    synchronize(device)
    return (time.perf_counter() - started) / number


def _bytes(values: Sequence[Any]) -> int:
    return sum(each.nbytes for each in values if isinstance(each, Tensor))


def _listed(loaders: Any) -> list[Any]:
    return list(loaders) if isinstance(loaders, list | tuple) else [loaders]
