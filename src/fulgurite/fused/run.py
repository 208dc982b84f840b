"""Runs jobs together: each in turn until it wants training steps, then those steps of all as one."""

import logging
from collections.abc import Callable, Mapping, Sequence

from fulgurite.fused.group import Group
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.member import Member
from fulgurite.fused.program import UnfusableError
from fulgurite.fused.signature import signature

log = logging.getLogger(__name__)


def run_together(jobs: Mapping[str, Callable[[], None]], tell: Callable[[str], None]) -> None:
    """Run jobs to their ends, together as far as they can be.

    Args:
        jobs: by name; each builds its run with ``FusedEpochLoop``.
        tell: says a line to the user.

    Raises:
        KeyboardInterrupt: after each job was interrupted.
    """
    members = [Member(job, name) for name, job in jobs.items()]
    try:
        for member in members:
            member.resume()
        groups = _form_groups([member for member in members if member.request is not None], tell)
        while groups:
            for together in groups:
                _advance(*together)
            groups = [(group, members) for group, members in groups if group.waiting]
    except BaseException as error:
        for member in members:
            if member.is_alive():
                _end(member, error)
        raise


def _form_groups(members: Sequence[Member], tell: Callable[[str], None]) -> list[tuple[Group, list[Member]]]:
    alike: list[tuple[tuple, list[Member]]] = []
    for member in members:
        loop: FusedEpochLoop = member.request
        if (why := loop.why_alone()) is not None:
            tell(f"{member.name} runs alone: {why}")
            member.resume(None)
            continue
        mine = signature(loop)
        for known, others in alike:
            dbg(known, mine)
            if known == mine:
                others.append(member)
                break
        else:
            alike.append((mine, [member]))
    groups = []
    for _, together in alike:
        groups.append((Group([member.request for member in together]), together))
        tell(f"fused: {', '.join(member.name for member in together)}")
    return groups


def _advance(group: Group, members: list[Member]) -> None:
    """Make the next steps of a group, and let its members account for them."""
    number = min(group.loops[own].num_wanted() for own in group.waiting)
    for own, results in group.run(number).items():
        members[own].resume(results)
        group.ended[own] = members[own].request is None


def _end(member: Member, error: BaseException) -> None:
    """Raise ``error`` in a member that waits, until it has ended."""
    while member.is_alive() and member.request is not None:
        member.resume(error)


def dbg(a, b):
    for x, y in zip(a, b):
        if x != y:
            print("DIFF", x, y)
