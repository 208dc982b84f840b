"""What a line of the table is to reach, and whether it did. Numbers are as measured: 0.975 for 97.5 %."""

import math
from dataclasses import dataclass

# Factor, decimals and what stands behind a number; without a unit four significant digits are shown.
UNITS = {"percent": (100.0, 2, " %"), "pixels": (1.0, 3, " px")}
# Metrics are numbers of 32 bits: an accuracy of 0.95 is recorded as 0.94999999.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Goal:
    """A range that a statistic is to lie in, its ends included; one of them may be infinite."""

    low: float = -math.inf
    high: float = math.inf

    def short_by(self, value: float) -> float:
        """How far ``value`` is outside; 0 when the goal is met."""
        nearest = min(max(value, self.low), self.high)
        return 0.0 if math.isclose(value, nearest, rel_tol=_ROUNDING) else abs(value - nearest)

    def text(self, unit: str) -> str:
        """``≥ 97.35 %``, ``≤ 0.5 px`` or ``97.35 to 97.65 %``."""
        if self.high == math.inf:
            return f"≥ {_short(self.low, unit)}"
        if self.low == -math.inf:
            return f"≤ {_short(self.high, unit)}"
        return f"{_short(self.low, unit).partition(' ')[0]} to {_short(self.high, unit)}"


def shown(value: float, unit: str) -> str:
    """A number with its unit, such as ``97.53 %``.

    Args:
        value: as measured.
        unit: a key of ``UNITS``, or empty.
    """
    if unit not in UNITS:
        return f"{value:#.4g}".rstrip(".")
    factor, decimals, behind = UNITS[unit]
    return f"{value * factor:.{decimals}f}{behind}"


def spread(mean: float, deviation: float, unit: str) -> str:
    """``97.53 ± 0.14 %``: the deviation with as many decimals as the mean."""
    number, space, behind = shown(mean, unit).partition(" ")
    factor = UNITS[unit][0] if unit in UNITS else 1.0
    if "e" in number:
        return f"{number} ± {deviation * factor:.2g}{space}{behind}"
    return f"{number} ± {deviation * factor:.{len(number.partition('.')[2])}f}{space}{behind}"


def _short(value: float, unit: str) -> str:
    """A number that somebody has chosen: without noughts at its end."""
    number, space, behind = shown(value, unit).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number and 'e' not in number else number}{space}{behind}"
