"""Trains members of one signature as one program: whether it pays, until when, and who is left."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fulgurite.errors import Pruned
from fulgurite.fused.group import CHANGED, Group
from fulgurite.fused.loop import Answer, FusedEpochLoop
from fulgurite.fused.member import Member, named, waiting
from fulgurite.fused.memory import is_out_of_memory
from fulgurite.fused.program import compiling_pays
from fulgurite.fused.ranks import Ranks
from fulgurite.fused.records import UnfusableError

# Steps of each kind behind the choice between training together and alone.
_PROBED_STEPS = 10
# The part of a traced step that compiling takes off.
_COMPILE_GAIN = 0.3


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


def train(members: list[Member], solo_s: float, settings: Settings) -> bool:
    """Train members as one program where they can be and it pays; ``False`` when they do not fit into memory."""
    if len(members) == 1:
        release(members)
        return True
    try:
        if settings.halving:
            members = _catch_up(members, settings)
            if not members:
                return True
        group = _grouped(members, settings)
    except UnfusableError as error:
        unpruned = ", none of them pruned" if settings.halving else ""
        settings.tell(f"{named(members)} train alone{unpruned}: {error}")
        release(members)
        return True
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    rung = _prune_at(1, group, members, settings)
    _advance(group, members, settings, _PROBED_STEPS)
    (fused_s,) = settings.ranks.first(group.step_s)
    if fused_s > len(members) * solo_s:
        settings.tell(f"{named(members)} train alone: a step takes {_compared(solo_s, fused_s, len(members))}")
        release(members)
        return True
    settings.tell(f"{named(members)} train as one: a step takes {_compared(solo_s, fused_s, len(members))}")
    _compile_if_it_pays(group, fused_s, settings)
    _train_on(group, members, settings, rung)
    return True


def _grouped(members: Sequence[Member], settings: Settings) -> Group:
    """A group, or an error, in all ranks; out of memory in all when it is so in one."""
    try:
        group = Group([member.request for member in members])
    except Exception as error:
        if settings.ranks.any(is_out_of_memory(error))[0]:
            raise MemoryError from error
        settings.ranks.meet_failed(error)
        raise
    if settings.ranks.any(False)[0]:
        raise MemoryError
    return group


def _catch_up(members: list[Member], settings: Settings) -> list[Member]:
    """Bring members that were interrupted in different epochs to the same one; those that have not ended by then."""
    while True:
        members = waiting(members)
        epochs = {member: member.request.trainer.current_epoch for member in members}
        behind = [member for member in members if epochs[member] < max(epochs.values())]
        if not behind:
            return members
        group = _grouped(behind, settings)
        while all(member.request and member.request.trainer.current_epoch == epochs[member] for member in behind):
            _advance(group, behind, settings)


def _train_on(group: Group, members: list[Member], settings: Settings, rung: int) -> None:
    """Go on with a program to the ends of its members."""
    while group.waiting:
        rung = _prune_at(rung, group, members, settings)
        if group.waiting and 2 * len(group.waiting) <= len(members):
            members = waiting(members)
            if len(members) == 1:
                release(members)
                return
            (step_s,) = settings.ranks.first(group.step_s)
            try:
                group = _grouped(members, settings)
            except UnfusableError as error:
                settings.tell(f"{named(members)} go on alone: {error}")
                release(members)
                return
            _compile_if_it_pays(group, step_s, settings)
        if group.waiting:
            _advance(group, members, settings)


def time_alone(members: Sequence[Member]) -> float:
    """Seconds of a solo step. The members make a few of their steps themselves, all the same number."""
    # The first is slower than all others.
    times = []
    for turn in range(1 + math.ceil(_PROBED_STEPS / len(members))):
        for member in waiting(members):
            loop: FusedEpochLoop = member.request
            member.resume(Answer.STEP)
            if turn:
                times.append(loop.step_s)
    return statistics.median(times) if times else math.inf


def _advance(group: Group, members: list[Member], settings: Settings, at_most: int | None = None) -> None:
    """Make the next steps of a group, and let its members account for them."""
    changed = group.changed()
    flags = settings.ranks.any(*(own in changed for own in range(len(members))))
    for own in [own for own, is_changed in enumerate(flags) if is_changed]:
        settings.tell(f"job {members[own].name} goes on alone: {CHANGED}")
        members[own].resume(Answer.ALONE)
        group.ended[own] = True
    if not group.waiting:
        return
    number = min(group.loops[own].num_wanted() for own in group.waiting)
    try:
        made = group.run(number if at_most is None else min(number, at_most))
    except UnfusableError as error:
        left = [members[own] for own in group.waiting]
        settings.tell(f"{named(left)} go on alone: {error}")
        release(left)
        group.ended = [True] * len(group.ended)
        return
    for own, results in made.items():
        members[own].resume(results)
        group.ended[own] = members[own].request is None


def _prune_at(rung: int, group: Group, members: list[Member], settings: Settings) -> int:
    """Prune members that have come to a rung; the next one."""
    if not settings.halving:
        return rung
    while rung in settings.rungs or rung < group.loops[group.waiting[0]].trainer.current_epoch:
        rung *= settings.halving
    if _are_at(rung, group):
        _prune(group, members, settings)
        rung *= settings.halving
    return rung


def _are_at(epoch: int, group: Group) -> bool:
    """Whether all members have ended ``epoch`` epochs and begun no other."""
    loops = [group.loops[own] for own in group.waiting]
    return all(loop.trainer.current_epoch == epoch and not loop.batch_progress.current.ready for loop in loops)


def _prune(group: Group, members: list[Member], settings: Settings) -> None:
    """End all members but the best."""
    assert settings.halving is not None
    scores = dict(
        zip(group.waiting, settings.ranks.first(*(group.loops[own].score() for own in group.waiting)), strict=True)
    )
    ranked = sorted(group.waiting, key=scores.__getitem__, reverse=True)
    kept = math.ceil(len(ranked) / settings.halving)
    for own in ranked[kept:]:
        members[own].end(Pruned("others of its sweep are better"))
        group.ended[own] = True
    if ranked[kept:]:
        names = ", ".join(members[own].name for own in sorted(ranked[:kept]))
        settings.tell(f"{len(ranked) - kept} of {len(ranked)} jobs are pruned; {names} go on")


def _compile_if_it_pays(group: Group, step_s: float, settings: Settings) -> None:
    left = max((group.loops[own].num_left() for own in group.waiting), default=0)
    pays = compiling_pays(left, step_s, _COMPILE_GAIN)
    if settings.compile or (settings.compile is None and pays):
        settings.tell(f"compiling their program: {left:,} steps of {1000 * step_s:.2g} ms are left")
        try:
            group.compile()
        except Exception as error:
            settings.tell(f"not compiled, which costs time and nothing else: {str(error).splitlines()[0]}")


def release(members: Sequence[Member]) -> None:
    """Let those that have not ended train alone, one after the other, to their ends."""
    for member in waiting(members):
        member.resume(Answer.ALONE)


def _compared(solo_s: float, fused_s: float, size: int) -> str:
    together = f"{1000 * fused_s:.2g} ms together"
    return together if math.isinf(solo_s) else f"{together}, {1000 * size * solo_s:.2g} ms one after the other"
