"""Drivers: fresh processes that each run a share of a sweep's jobs, while this one waits.

None is forked: a copy of a process in which torch has threads may hang. A driver is given its share through its
standard input, which stays open as long as this process lives: when it closes, the driver ends, however this process
has ended. What comes of a job is in its folder alone.
"""

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from omegaconf import OmegaConf

from fulgurite.children import Process, end
from hydra_plugins.fulgurite_launcher import _driver
from hydra_plugins.fulgurite_launcher._share import Share
from hydra_plugins.fulgurite_launcher._view import UNSEEN, View

# -P: nothing in the current folder takes the place of a library.
_COMMAND = [sys.executable, "-P", "-m", _driver.__name__]
# Between two looks at the drivers.
_POLL_S = 0.05
# For drivers to interrupt their jobs in.
_GRACE_S = 8.0
# For a rank that was killed to be seen as such; the others end as soon as it does.
_CAUSE_S = 1.0


def drive(
    work: Sequence[Share],
    environments: Sequence[Mapping[str, str]],
    ended: Callable[[int, str], None],
    view: View = UNSEEN,
) -> None:
    """Run each share in a process of its own, to the end of the last.

    Args:
        work: what each process does.
        environments: the environment of each.
        ended: called when a process has ended, with its place in ``work`` and how, in words.
        view: what is seen of their jobs.

    Raises:
        KeyboardInterrupt: for Ctrl-C or a termination signal, after all of them have ended.
    """
    with _started(work, environments, view) as processes:
        for own in _as_they_end(processes, view):
            ended(own, _told(processes, own))


def drive_ranks(share: Share, environments: Sequence[Mapping[str, str]], view: View = UNSEEN) -> str:
    """Run one share in several processes at once, none of which goes on without the others.

    Args:
        share: what they do.
        environments: the environment of each.
        view: what is seen of their jobs.

    Returns:
        How the first of them has ended that did not do all, in words; how all have, when they did.

    Raises:
        KeyboardInterrupt: see ``drive``.
    """
    with _started([share] * len(environments), environments, view, num_interrupted=1) as processes:
        for own in _as_they_end(processes, view):
            if processes[own].returncode:
                _wait_for_cause(processes)
                break
        codes = [process.poll() for process in processes]
        # Killed at once: they would wait for it.
        for process in processes:
            process.kill()
    others = [own for own, code in enumerate(codes) if code not in (None, 0, _driver.LOST)]
    return _told(processes, next(iter(others), next((own for own, code in enumerate(codes) if code), 0)))


def _wait_for_cause(processes: Sequence[Process]) -> None:
    """Wait until one has ended by itself, not because another had."""
    until = time.monotonic() + _CAUSE_S
    while all(process.poll() in (None, 0, _driver.LOST) for process in processes) and time.monotonic() < until:
        time.sleep(_POLL_S)


@contextmanager
def _started(
    work: Sequence[Share], environments: Sequence[Mapping[str, str]], view: View, num_interrupted: int | None = None
) -> Iterator[list[Process]]:
    """Processes with their shares, none of which outlives the context.

    Args:
        work: what each process does.
        environments: the environment of each.
        view: what is seen of their jobs.
        num_interrupted: how many, from the first, are asked to end; the others are killed after them.
    """
    processes: list[Process] = []
    with terminated_like_interrupted():
        try:
            sys.stdout.flush()
            for environment in environments:
                processes.append(_start(environment, view))
            for process, share in zip(processes, work, strict=True):
                _hand_over(process, share)
            yield processes
        finally:
            end(processes, _GRACE_S, num_interrupted)


def _told(processes: Sequence[Process], own: int) -> str:
    return f"driver {own + 1} of {len(processes)} {_end_of(processes[own])}"


def _start(environment: Mapping[str, str], view: View = UNSEEN) -> Process:
    out, error = (view.said if file.isatty() else None for file in (sys.stdout, sys.stderr))
    # A group of its own: Ctrl-C in a terminal is for this process, which tells the drivers: they hear of it once.
    return subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=out, stderr=error, env=environment, process_group=0)


def _hand_over(process: Process, share: Share) -> None:
    assert process.stdin is not None
    # The name that a sweep without one has in this process.
    unnamed = OmegaConf.create({"name": "${sweep_name:null}"}).name
    # One that has ended meanwhile is told when it is waited for.
    with suppress(BrokenPipeError):
        # Plain values first: with them it can import what the others need.
        pickle.dump((sys.argv, sys.path, unnamed), process.stdin)
        pickle.dump(share, process.stdin)
        process.stdin.flush()


def _as_they_end(processes: Sequence[Process], view: View) -> Iterator[int]:
    left = list(range(len(processes)))
    while left:
        for own in [own for own in left if processes[own].poll() is not None]:
            left.remove(own)
            view.look()
            yield own
        view.look()
        time.sleep(_POLL_S if left else 0.0)


def _end_of(process: Process) -> str:
    code = process.returncode
    if code == _driver.INTERRUPTED:
        return "was interrupted"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Take a termination signal for Ctrl-C while the context lasts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        # Some send it twice, and drivers that end need a while.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
