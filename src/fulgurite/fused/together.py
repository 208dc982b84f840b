"""Trains members of one signature as one program: whether it pays, until when, and who is left."""

import math
from collections.abc import Sequence

from fulgurite.fused.answers import Answer
from fulgurite.fused.group import CHANGED, Group
from fulgurite.fused.halving import Rungs
from fulgurite.fused.horizon import num_left
from fulgurite.fused.member import Member, named, waiting
from fulgurite.fused.probe import PROBED_STEPS, compiling_pays, in_ms
from fulgurite.fused.settings import Settings
from fulgurite.fused.unfusable import DoesNotFitError, UnfusableError, in_all_ranks, why_not_compiled

# The part of a traced step that compiling takes off.
_COMPILE_GAIN = 0.3


def train(members: list[Member], solo_s: float, settings: Settings) -> bool:
    """Train members as one program where they can be and it pays; ``False`` when they do not fit into memory.

    Args:
        members: of one signature.
        solo_s: seconds of a step of one of them alone; infinite where that was not timed.
        settings: how.
    """
    try:
        if settings.halving:
            members = _catch_up(members, settings)
        if len(members) < 2:
            release(members)
            return True
        group = _grouped(members, settings)
    except DoesNotFitError:
        return False
    except UnfusableError as error:
        unpruned = ", none of them pruned" if settings.halving else ""
        settings.tell(f"{named(members)} train alone{unpruned}: {error}")
        release(members)
        return True
    rungs = Rungs(settings)
    rungs.prune(group, members)
    _advance(group, members, settings, PROBED_STEPS)
    if _is_faster(group, members, solo_s, settings):
        _compile_if_it_pays(group, group.step_s, settings)
        _train_on(group, members, settings, rungs)
    release(members)
    return True


def release(members: Sequence[Member]) -> None:
    """Let those that have not ended train alone, one after the other, to their ends."""
    for member in waiting(members):
        member.resume(Answer.ALONE)


def _grouped(members: Sequence[Member], settings: Settings) -> Group:
    """A group, or an error, in all ranks."""
    return in_all_ranks(settings.ranks, lambda: Group([member.request for member in members]))


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


def _is_faster(group: Group, members: Sequence[Member], solo_s: float, settings: Settings) -> bool:
    """Whether the last steps of a group took no longer than the members' own would; a line says so."""
    (fused_s,) = settings.ranks.first(group.step_s)
    together, alone_s = f"{in_ms(fused_s)} together", len(members) * solo_s
    compared = together if math.isinf(solo_s) else f"{together}, {in_ms(alone_s)} one after the other"
    how = "as one" if fused_s <= alone_s else "alone"
    settings.tell(f"{named(members)} train {how}: a step takes {compared}")
    return fused_s <= alone_s


def _train_on(group: Group, members: list[Member], settings: Settings, rungs: Rungs) -> None:
    """Go on with a program until its members have ended, or are to go on alone."""
    while group.waiting:
        rungs.prune(group, members)
        if 2 * len(group.waiting) <= len(members):
            members, step_s = waiting(members), group.step_s
            if len(members) == 1:
                return
            try:
                group = _grouped(members, settings)
            except UnfusableError as error:
                _leave(members, error, settings)
                return
            _compile_if_it_pays(group, step_s, settings)
        _advance(group, members, settings)


def _advance(group: Group, members: list[Member], settings: Settings, at_most: int | None = None) -> None:
    """Make the next steps of a group, and let its members account for them."""
    changed = group.changed()
    flags = settings.ranks.any(*(own in changed for own in range(len(members))))
    for own in [own for own, is_changed in enumerate(flags) if is_changed]:
        _leave([members[own]], CHANGED, settings)
        group.ended[own] = True
    if not group.waiting:
        return
    number = group.num_wanted() if at_most is None else min(group.num_wanted(), at_most)
    try:
        made = group.run(number)
    except UnfusableError as error:
        _leave(waiting(members), error, settings)
        group.ended = [True] * len(group.ended)
        return
    for own, results in made.items():
        members[own].request.shared_s += number * group.step_s / len(made)
        members[own].resume(results)
        group.ended[own] = members[own].request is None


def _leave(members: Sequence[Member], reason: object, settings: Settings) -> None:
    """Say why members leave their program, and let them train alone."""
    settings.tell(f"{named(members)} {'goes' if len(members) == 1 else 'go'} on alone: {reason}")
    release(members)


def _compile_if_it_pays(group: Group, step_s: float, settings: Settings) -> None:
    (step_s,) = settings.ranks.first(step_s)
    left = max((num_left(group.loops[own]) for own in group.waiting), default=0)
    pays = compiling_pays(left, step_s, _COMPILE_GAIN)
    if settings.compile or (settings.compile is None and pays):
        settings.tell(f"compiling their program: {left:,} steps of {in_ms(step_s)} are left")
        try:
            group.compile()
        except Exception as error:
            settings.tell(f"not compiled, which costs time and nothing else: {why_not_compiled(error)}")
