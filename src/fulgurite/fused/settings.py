"""How jobs are run together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fulgurite.fused.ranks import Ranks


@dataclass(frozen=True)
class Settings:
    """How to run jobs together.

    Attributes:
        tell: says a line to the user.
        halving: after 1, ``halving``, ``halving``^2 ... epochs only the best 1/``halving`` of a group go on.
        compile: compile the program of a group: ``True``, ``False``, or ``None`` where it pays.
        probe: time both ways first, and train alone what is not faster together.
        rungs: epochs after which these jobs were pruned already, before they were interrupted.
        sharers: processes that use the same device's memory in the same way, this one included.
        ranks: processes that train the same jobs on other parts of the batches.
    """

    tell: Callable[[str], None]
    halving: int | None = None
    compile: bool | None = None
    probe: bool = True
    rungs: frozenset[int] = frozenset()
    sharers: int = 1
    ranks: Ranks = field(default_factory=Ranks)
