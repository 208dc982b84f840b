"""Runs jobs together: each in turn until it wants training steps, then those steps of all as one."""

import gc
import math
import signal
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from pytorch_lightning.utilities.exceptions import SIGTERMException

from fulgurite.errors import Pruned
from fulgurite.fused.group import Group
from fulgurite.fused.loop import Answer, FusedEpochLoop
from fulgurite.fused.member import Member
from fulgurite.fused.memory import is_out_of_memory, num_that_fit
from fulgurite.fused.records import UnfusableError
from fulgurite.fused.signature import signature
from fulgurite.log import quiet_libraries

# Steps of each kind behind the choice between training together and alone.
_PROBED_STEPS = 10
# Compiling costs 5 to 20 seconds and takes about a third off a step.
_COMPILE_S = 20.0
_COMPILE_GAIN = 0.3


@dataclass(frozen=True)
class Settings:
    """How to run jobs together.

    Attributes:
        tell: says a line to the user.
        halving: after 1, ``halving``, ``halving``^2 ... epochs only the best 1/``halving`` of a group go on.
        compile: compile the program of a group: ``True``, ``False``, or ``None`` where it pays.
        probe: time both ways first, and train alone what is not faster together.
    """

    tell: Callable[[str], None]
    halving: int | None = None
    compile: bool | None = None
    probe: bool = True


def run_together(jobs: Mapping[str, Callable[[], None]], settings: Settings) -> None:
    """Run jobs to their ends, together as far as they can be.

    Args:
        jobs: by name; each builds its run with ``FusedEpochLoop``.
        settings: how.

    Raises:
        KeyboardInterrupt: after each job was interrupted.
        BaseException: the first that a job has raised, after all have ended.
    """
    members = [Member(job, name) for name, job in jobs.items()]
    try:
        # Around all of them: a member that ends first would take the others' warning filters with it.
        with quiet_libraries(), _terminated_like_interrupted():
            # Garbage collections would look through all members' objects many times an epoch: a third of a small
            # network's time.
            gc.freeze()
            for member in members:
                member.resume()
            gc.freeze()
            for together in _alike(members, settings):
                _run_group(together, settings)
    except BaseException as error:
        for member in members:
            # Lightning handles Ctrl-C itself in the main thread only; this it lets through.
            _end(member, SIGTERMException() if isinstance(error, KeyboardInterrupt) else RuntimeError(str(error)))
        raise
    finally:
        gc.unfreeze()
    for member in members:
        if member.error is not None:
            raise member.error


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Take a termination signal for Ctrl-C while the context lasts, as a solo run does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _alike(members: Sequence[Member], settings: Settings) -> list[list[Member]]:
    """Members whose steps may be one program; those that cannot be in any are run to their end."""
    alike: list[tuple[tuple, list[Member]]] = []
    for member in _waiting(members):
        loop: FusedEpochLoop = member.request
        reason = loop.why_alone()
        if reason is not None:
            settings.tell(f"{member.name} trains alone: {reason}")
            member.resume(Answer.ALONE)
            continue
        mine = signature(loop)
        others = next((others for known, others in alike if known == mine), None)
        if others is None:
            alike.append((mine, [member]))
        else:
            others.append(member)
    return [together for _, together in alike]


def _run_group(members: list[Member], settings: Settings) -> None:
    """Train members of one signature to their ends, as many at a time as fit into memory."""
    solo_s = _time_alone(members) if settings.probe and len(members) > 1 else math.inf
    members = _waiting(members)
    if not members:
        return
    if len(members) == 1:
        settings.tell(f"{members[0].name} trains alone: no other job is like it")
    fit = num_that_fit(members[0].request)
    if fit < len(members):
        settings.tell(f"{_named(members)} are more than fit into memory; {fit} are taken at a time")
    _run_parts(_cut(members, fit), solo_s, settings)


def _run_parts(parts: Sequence[list[Member]], solo_s: float, settings: Settings) -> None:
    """Train parts of a group one after the other, whatever happens to one of their members or to their program."""
    for part in parts:
        fits = True
        try:
            fits = _train(part, solo_s, settings)
        except Exception as error:
            for member in part:
                _end(member, RuntimeError(f"the program of {len(part)} fused jobs failed: {error}"))
            settings.tell(f"{_named(part)} failed together: {error}")
        if not fits:
            settings.tell(f"{_named(part)} do not fit into memory; half of them are taken at a time")
            _run_parts(_cut(part, math.ceil(len(part) / 2)), solo_s, settings)


def _cut(members: list[Member], most: int) -> list[list[Member]]:
    """Parts of nearly equal size, ``most`` members in each at most."""
    number = math.ceil(len(members) / most)
    bounds = [len(members) * each // number for each in range(number + 1)]
    return [members[start:end] for start, end in pairwise(bounds)]


def _train(members: list[Member], solo_s: float, settings: Settings) -> bool:
    """Train members as one program where they can be and it pays; ``False`` when they do not fit into memory."""
    if len(members) == 1:
        _release(members)
        return True
    try:
        group = Group([member.request for member in members])
    except UnfusableError as error:
        settings.tell(f"{_named(members)} train alone: {error}")
        _release(members)
        return True
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    _advance(group, members, _PROBED_STEPS)
    fused_s = group.step_s
    if fused_s > len(members) * solo_s:
        settings.tell(f"{_named(members)} train alone: a step takes {_compared(solo_s, fused_s, len(members))}")
        _release(members)
        return True
    settings.tell(f"{_named(members)} train as one: a step takes {_compared(solo_s, fused_s, len(members))}")
    _compile_if_it_pays(group, fused_s, settings)
    _train_on(group, members, settings)
    return True


def _train_on(group: Group, members: list[Member], settings: Settings) -> None:
    """Go on with a program to the ends of its members."""
    rung = 1
    while group.waiting:
        if settings.halving and _are_at(rung, group):
            _prune(group, members, settings)
            rung *= settings.halving
        if group.waiting and 2 * len(group.waiting) <= len(members):
            members = _waiting(members)
            if len(members) == 1:
                _release(members)
                return
            step_s = group.step_s
            group = Group([member.request for member in members])
            _compile_if_it_pays(group, step_s, settings)
        if group.waiting:
            _advance(group, members)


def _time_alone(members: Sequence[Member]) -> float:
    """Seconds of a solo step. The members make a few of their steps themselves, all the same number."""
    # The first is slower than all others.
    times = []
    for turn in range(1 + math.ceil(_PROBED_STEPS / len(members))):
        for member in _waiting(members):
            loop: FusedEpochLoop = member.request
            member.resume(Answer.STEP)
            if turn:
                times.append(loop.step_s)
    return statistics.median(times) if times else math.inf


def _advance(group: Group, members: list[Member], at_most: int | None = None) -> None:
    """Make the next steps of a group, and let its members account for them."""
    number = min(group.loops[own].num_wanted() for own in group.waiting)
    for own, results in group.run(number if at_most is None else min(number, at_most)).items():
        members[own].resume(results)
        group.ended[own] = members[own].request is None


def _are_at(epoch: int, group: Group) -> bool:
    """Whether all members have ended ``epoch`` epochs and begun no other."""
    loops = [group.loops[own] for own in group.waiting]
    return all(loop.trainer.current_epoch == epoch and not loop.batch_progress.current.ready for loop in loops)


def _prune(group: Group, members: list[Member], settings: Settings) -> None:
    """End all members but the best."""
    assert settings.halving is not None
    ranked = sorted(group.waiting, key=lambda own: group.loops[own].score(), reverse=True)
    kept = math.ceil(len(ranked) / settings.halving)
    for own in ranked[kept:]:
        _end(members[own], Pruned("others of its sweep are better"))
        group.ended[own] = True
    if ranked[kept:]:
        names = ", ".join(members[own].name for own in sorted(ranked[:kept]))
        settings.tell(f"{len(ranked) - kept} of {len(ranked)} jobs are pruned; {names} go on")


def _compile_if_it_pays(group: Group, step_s: float, settings: Settings) -> None:
    left = max((group.loops[own].num_left() for own in group.waiting), default=0)
    pays = left * step_s * _COMPILE_GAIN > _COMPILE_S
    if settings.compile or (settings.compile is None and pays):
        settings.tell(f"compiling their program: {left:,} steps of {1000 * step_s:.2g} ms are left")
        try:
            group.compile()
        except Exception as error:
            settings.tell(f"not compiled, which costs time and nothing else: {str(error).splitlines()[0]}")


def _release(members: Sequence[Member]) -> None:
    """Let those that have not ended train alone, one after the other, to their ends."""
    for member in _waiting(members):
        member.resume(Answer.ALONE)


def _end(member: Member, error: BaseException) -> None:
    """Raise ``error`` in a member that waits, until it has ended."""
    while member.request is not None:
        member.resume(error)


def _waiting(members: Sequence[Member]) -> list[Member]:
    return [member for member in members if member.request is not None]


def _named(members: Sequence[Member]) -> str:
    return f"jobs {members[0].name} to {members[-1].name} ({len(members)})"


def _compared(solo_s: float, fused_s: float, size: int) -> str:
    together = f"{1000 * fused_s:.2g} ms together"
    return together if math.isinf(solo_s) else f"{together}, {1000 * size * solo_s:.2g} ms one after the other"
