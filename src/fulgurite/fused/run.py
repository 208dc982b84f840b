"""Runs jobs together: each in turn until it wants training steps, then those steps of all as one."""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import pairwise

from pytorch_lightning.utilities.exceptions import SIGTERMException

from fulgurite.fused.answers import Answer
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.member import Member, named, waiting
from fulgurite.fused.memory import num_that_fit
from fulgurite.fused.probe import time_alone
from fulgurite.fused.ranks import Ranks, Turn
from fulgurite.fused.settings import Settings
from fulgurite.fused.signals import signals_ignored, terminated_like_interrupted
from fulgurite.fused.signature import signature
from fulgurite.fused.together import train
from fulgurite.fused.unfusable import ELSEWHERE
from fulgurite.log import quiet_libraries
from fulgurite.training.allocator import keep_freed_memory
from fulgurite.training.products import suitable_products


def run_together(jobs: Mapping[str, Callable[[], None]], settings: Settings) -> None:
    """Run jobs to their ends, together as far as they can be.

    Args:
        jobs: by name; each builds its run with ``FusedEpochLoop``.
        settings: how.

    Raises:
        KeyboardInterrupt: after each job was interrupted.
        BaseException: the first that a job has raised, after all have ended.
    """
    # Before there are other threads, which would have blocks of their own.
    keep_freed_memory()
    members = [Member(job, name, partial(_meet, settings.ranks)) for name, job in jobs.items()]
    try:
        # Around all of them: a member that ends first would take the others' warning filters with it.
        with quiet_libraries(), terminated_like_interrupted():
            # Garbage collections would look through all members' objects many times an epoch: a third of a small
            # network's time.
            gc.freeze()
            for member in members:
                member.resume()
            gc.freeze()
            for together in _alike(members, settings):
                with _products(together[0]):
                    _run_group(together, settings)
    except BaseException as error:
        settings.ranks.leave()
        _end(members, error)
        raise
    finally:
        gc.unfreeze()
    for member in members:
        if member.error is not None:
            raise member.error


def _end(members: Sequence[Member], error: BaseException) -> None:
    """End those that have not ended, because of ``error``."""
    with signals_ignored():
        for member in members:
            # Lightning handles Ctrl-C itself in the main thread only; this it lets through.
            member.end(SIGTERMException() if isinstance(error, KeyboardInterrupt) else RuntimeError(str(error)))


def _meet(ranks: Ranks, member: Member) -> None:
    """See that a member's turn has ended in all ranks, and in the same way."""
    loop: FusedEpochLoop | None = member.request
    if loop is None:
        ranks.meet(Turn.ENDED, 0, 0)
    else:
        ranks.meet(Turn.WAITS, loop.trainer.current_epoch, loop.batch_progress.total.ready)


def _alike(members: Sequence[Member], settings: Settings) -> list[list[Member]]:
    """Members whose steps may be one program; those that cannot be in any are run to their end."""
    alike: list[tuple[tuple, list[Member]]] = []
    for member in waiting(members):
        loop: FusedEpochLoop = member.request
        reason = loop.why_alone()
        mine = signature(loop) if reason is None else ()
        # A hook may have changed the model in one of the ranks.
        is_alone, *differs = settings.ranks.any(reason is not None, *(known != mine for known, _ in alike))
        if is_alone:
            settings.tell(f"job {member.name} trains alone: {reason or ELSEWHERE}")
            with _products(member):
                member.resume(Answer.ALONE)
        elif all(differs):
            alike.append((mine, [member]))
        else:
            alike[differs.index(False)][1].append(member)
    return [together for _, together in alike]


def _products(member: Member) -> AbstractContextManager[None]:
    """What a solo run of this member would choose; outside a program, members make their products one by one, too."""
    loop: FusedEpochLoop = member.request
    return suitable_products(loop.model, getattr(loop.loader, "batch_size", None) or 1, loop.model.device)


def _run_group(members: list[Member], settings: Settings) -> None:
    """Train members of one signature to their ends, as many at a time as fit into memory."""
    # To be compared at their rungs, members train together whatever it costs.
    probe = settings.probe and not settings.halving and len(members) > 1
    (solo_s,) = settings.ranks.first(time_alone(members) if probe else math.inf)
    members = waiting(members)
    if not members:
        return
    if len(members) == 1:
        settings.tell(f"job {members[0].name} trains alone: no other job is like it")
    fit = int(settings.ranks.least(max(1, num_that_fit(members[0].request) // settings.sharers)))
    if fit < len(members):
        settings.tell(f"{named(members)} are more than fit into memory; {fit} are taken at a time")
    _run_parts(_cut(members, fit), solo_s, settings)


def _run_parts(parts: Sequence[list[Member]], solo_s: float, settings: Settings) -> None:
    """Train parts of a group one after the other, whatever happens to one of their members or to their program."""
    for part in parts:
        fits = True
        try:
            fits = train(part, solo_s, settings)
        except Exception as error:
            settings.ranks.meet_failed(error)
            for member in part:
                member.end(RuntimeError(f"the program of {len(part)} fused jobs failed: {error}"))
            settings.tell(f"{named(part)} failed together: {error}")
        if not fits:
            settings.tell(f"{named(part)} do not fit into memory; half of them are taken at a time")
            left = waiting(part)
            _run_parts(_cut(left, math.ceil(len(left) / 2)), solo_s, settings)


def _cut(members: list[Member], most: int) -> list[list[Member]]:
    """Parts of nearly equal size, ``most`` members in each at most."""
    number = math.ceil(len(members) / most)
    bounds = [len(members) * each // number for each in range(number + 1)]
    return [members[start:end] for start, end in pairwise(bounds)]
