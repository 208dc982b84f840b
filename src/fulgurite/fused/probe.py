"""What is faster: steps of members together or alone, compiled or not."""

import math
import statistics
from collections.abc import Sequence

from fulgurite.fused.answers import Answer
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.member import Member, waiting

# Steps of each kind behind a choice.
PROBED_STEPS = 10
# Seconds that compiling takes, of 5 to 20.
_COMPILE_S = 20.0


def time_alone(members: Sequence[Member]) -> float:
    """Seconds of a solo step. The members make a few of their steps themselves, all the same number."""
    # The first is slower than all others.
    times = []
    for turn in range(1 + math.ceil(PROBED_STEPS / len(members))):
        for member in waiting(members):
            loop: FusedEpochLoop = member.request
            member.resume(Answer.STEP)
            if turn:
                times.append(loop.step_s)
    return statistics.median(times) if times else math.inf


def compiling_pays(num_steps: int, step_s: float, gain: float) -> bool:
    """Whether compiling takes less time than it saves: the part ``gain`` of ``num_steps`` of ``step_s`` seconds."""
    return num_steps * step_s * gain > _COMPILE_S


def in_ms(seconds: float) -> str:
    """For a line to the user."""
    return f"{1000 * seconds:.2g} ms"
