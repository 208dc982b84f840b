"""Seeds as a function of what they are for, so that no generator state has to be saved or restored.

Everything random in training is drawn from ``derive_seed(seed, stream, position)``: the order of epoch e, the
augmentation of step s, the dropout of step s. A resumed run therefore draws what the uninterrupted one would have.
"""

from enum import IntEnum

_MASK = (1 << 64) - 1


class Stream(IntEnum):
    """Which use a seed is for; two uses never share one."""

    SPLIT = 1
    ORDER = 2
    AUGMENTATION = 3
    STEP = 4
    POINTS = 5
    WEIGHTS = 6
    # Numbers between are left for others.
    SHIFTS = 20
    OUTLIERS = 21
    MEMORY = 30


def derive_seed(*parts: int) -> int:
    """Mix integers into one seed in [0, 2^63): equal parts give equal seeds, near parts unrelated ones.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014), applied to each part in turn.
    """
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1
