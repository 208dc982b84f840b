"""What a member gets when it asks for training steps. Shapes: N steps, B batch, C classes or numbers."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from torch import Tensor

from fulgurite.fused.records import Call


class Answer(Enum):
    """What a member may be told instead of results."""

    STEP = auto()  # make one step yourself, then ask again
    ALONE = auto()  # make all further steps yourself


class Results(NamedTuple):
    """Of N steps of one member.

    Attributes:
        losses: N.
        outputs: N x B x C; ``None`` for a model that hands none out.
        targets: N x B or N x B x C.
        calls: what each step logged and measured.
        recorded: what it did so with, N x ... each.
        seconds: that all members' steps took together.
        grad_norm: of the last update's gradient before clipping, a scalar; ``None`` where no log shows it.
    """

    losses: Tensor
    outputs: Tensor | None
    targets: Tensor
    calls: Sequence[Call]
    recorded: Sequence[Tensor]
    seconds: float
    grad_norm: Tensor | None
