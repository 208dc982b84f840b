"""What a parameter of a search may be: numbers between two bounds, or one of several options."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Digits of a number that is drawn: enough to say which it is, few enough to read in the name of a folder.
_DIGITS = 5


def rounded(value: float, low: float, high: float) -> float:
    """``value`` with few digits, still between the bounds."""
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


@dataclass(frozen=True)
class Float:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: smallest.
        high: largest.
        log: even in the logarithm.
        step: distance of neighbours from ``low`` on; ``None`` for all numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __str__(self) -> str:
        if self.step is not None:
            return f"range({self.low:g},{self.high + self.step:g},{self.step:g})"
        text = f"interval({self.low:g},{self.high:g})"
        return f"tag(log,{text})" if self.log else text

    def at(self, share: float) -> float:
        """The number at a share in [0, 1) of the way."""
        if self.step is not None:
            own = int(share * (round((self.high - self.low) / self.step) + 1))
            return round(self.low + own * self.step, 10)
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return rounded(math.exp(low + share * (high - low)), self.low, self.high)
        return rounded(self.low + share * (self.high - self.low), self.low, self.high)

    def ends(self) -> list[float]:
        """The extremes."""
        return [self.low, self.high]

    def all(self) -> list[float] | None:
        """All numbers, where they are countable."""
        if self.step is None:
            return None
        return [round(self.low + own * self.step, 10) for own in range(round((self.high - self.low) / self.step) + 1)]


@dataclass(frozen=True)
class Int:
    """Whole numbers from ``low`` to ``high``, both included.

    Attributes:
        low: smallest.
        high: largest.
        log: even in the logarithm.
        step: distance of neighbours from ``low`` on.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __str__(self) -> str:
        text = (
            f"int(interval({self.low},{self.high}))"
            if self.step == 1
            else f"range({self.low},{self.high + 1},{self.step})"
        )
        return f"tag(log,{text})" if self.log else text

    def at(self, share: float) -> int:
        """The number at a share in [0, 1) of the way."""
        if self.log:
            # Each number has the width that it has after rounding.
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return min(max(round(math.exp(low + share * (high - low))), self.low), self.high)
        return self.low + self.step * int(share * ((self.high - self.low) // self.step + 1))

    def ends(self) -> list[int]:
        """The extremes."""
        return [self.low, self.high]

    def all(self) -> list[int] | None:
        """All numbers."""
        return list(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True)
class Choice:
    """One of several options, in no order.

    Attributes:
        options: by label, the overrides that each of them stands for.
    """

    options: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return ",".join(f"({label})" if " " in label else label for label in self.options)

    def at(self, share: float) -> str:
        """The label at a share in [0, 1) of the way."""
        return list(self.options)[int(share * len(self.options))]

    def ends(self) -> list[str]:
        """All labels."""
        return list(self.options)

    def all(self) -> list[str] | None:
        """All labels."""
        return list(self.options)
