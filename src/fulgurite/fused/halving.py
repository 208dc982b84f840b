"""Successive halving in place (Jamieson and Talwalkar, 2016): at each rung the worst members of a group are pruned."""

import math
from collections.abc import Sequence
from typing import Any

from fulgurite.errors import Pruned
from fulgurite.fused.group import Group
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.member import Member
from fulgurite.fused.settings import Settings


class Rungs:
    """Epochs after which members are pruned; none of them where ``settings`` want no halving.

    Args:
        settings: how the members are run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next = 1

    def prune(self, group: Group, members: Sequence[Member]) -> None:
        """End all members but the best, where those of the group have come to a rung."""
        halving = self._settings.halving
        if not halving:
            return
        epoch = group.loops[group.waiting[0]].trainer.current_epoch
        while self._next in self._settings.rungs or self._next < epoch:
            self._next *= halving
        if _are_at(self._next, group):
            self._keep_best(group, members, math.ceil(len(group.waiting) / halving))
            self._next *= halving

    def _keep_best(self, group: Group, members: Sequence[Member], number: int) -> None:
        scores = self._settings.ranks.first(*(_score(group.loops[own]) for own in group.waiting))
        of_member = dict(zip(group.waiting, scores, strict=True))
        ranked = sorted(of_member, key=of_member.__getitem__, reverse=True)
        kept, pruned = ranked[:number], ranked[number:]
        for own in pruned:
            members[own].end(Pruned("others of its sweep are better"))
            group.ended[own] = True
        if pruned:
            names = ", ".join(members[own].name for own in sorted(kept))
            self._settings.tell(f"{len(pruned)} of {len(ranked)} jobs are pruned; {names} go on")


def _are_at(epoch: int, group: Group) -> bool:
    """Whether all members have ended ``epoch`` epochs and begun no other."""
    loops = [group.loops[own] for own in group.waiting]
    return all(loop.trainer.current_epoch == epoch and not loop.batch_progress.current.ready for loop in loops)


def _score(loop: FusedEpochLoop) -> float:
    """The latest value of what its checkpoints are chosen by, larger for better."""
    checkpoints: list[Any] = loop.trainer.checkpoint_callbacks
    watching = [each for each in checkpoints if each.monitor is not None]
    value = watching[0].current_score if watching else None
    if value is None or not math.isfinite(value):
        return -math.inf
    return float(value) if watching[0].mode == "max" else -float(value)
