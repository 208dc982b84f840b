"""Jobs in processes of their own, as many at a time as there are slots, while this one waits.

On Linux they are forks of a server that has imported all that a job needs and nothing else: a job starts in
milliseconds. What comes of a job is read from its folder. Imports no torch.
"""

import gc
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from fulgurite import hydra_job
from fulgurite.result import Result
from fulgurite.resume import abandon, follows_at_once, is_over, record_in
from fulgurite.sweep.folder import job_folder
from fulgurite.sweep.limits import Limits, limits_of
from hydra_plugins.fulgurite_launcher import _child
from hydra_plugins.fulgurite_launcher._drivers import terminated_like_interrupted
from hydra_plugins.fulgurite_launcher._jobs import Configs
from hydra_plugins.fulgurite_launcher._server import context
from hydra_plugins.fulgurite_launcher._slots import Slots, slots_of
from hydra_plugins.fulgurite_launcher._view import View
from hydra_plugins.fulgurite_launcher._view import opened as view_opened

# For jobs to record that they were interrupted.
_GRACE_S = 8.0
# For a job to end by itself when its time is over, and for one that has not to write down where it is.
_TIMEOUT_GRACE_S = 5.0
_LOOK_S = 0.3


@dataclass(frozen=True)
class _Running:
    """A job under way.

    Attributes:
        number: in the sweep, from 0.
        slot: where it runs.
        process: the first, or only, process of it.
        config: of the job.
        folder: of the job.
        limits: of the job.
        until: when its process is ended, by the monotonic clock; ``None`` for never.
        before: what was recorded of it before.
    """

    number: int
    slot: int
    process: Any
    config: DictConfig
    folder: Path
    limits: Limits
    until: float | None
    before: Result | None

    @property
    def overrides(self) -> list[str]:
        """As they were typed: what they refer to may be known in the job's process alone."""
        return OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)  # type: ignore[return-value]

    def send(self, number: int) -> None:
        """Send a signal to all processes of the job."""
        if os.name != "posix":
            self.process.kill()
            return
        with suppress(ProcessLookupError):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                # It has not made a group of its own yet.
                if self.process.is_alive():
                    os.kill(self.process.pid, number)


class ProcessPool:
    """Slots for jobs, each a process; see ``fulgurite.sweep.pool.Pool``.

    Args:
        launcher: Hydra's launcher, set up.
        slots: what the jobs share.
        known: see ``Configs``.
        view: what is seen of the jobs.
    """

    def __init__(self, launcher: Any, slots: Slots, known: Sequence[Sequence[str]], view: View) -> None:
        self._view = view
        self.num_slots = slots.number
        self._slots = slots
        self._context = context()
        self._compose = Configs(launcher, known)
        self._task, self._callbacks = launcher.task_function, launcher.hydra_context.callbacks
        # The name that a sweep without one has in this process.
        self._unnamed = OmegaConf.create({"name": "${sweep_name:null}"}).name
        self._free = deque(range(slots.number))
        self._running: dict[int, _Running] = {}
        self._ended: deque[tuple[int, JobReturn]] = deque()

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Start a job in a free slot; one that is over is told here."""
        config = self._compose(number, overrides)
        folder = job_folder(config)
        if is_over(record_in(folder), limits_of(config.sweep).retries):
            self._ended.append((number, hydra_job.run(config, folder, self._task, self._callbacks)))
        else:
            self._start(number, config, self._free.popleft())

    def wait(self) -> tuple[int, JobReturn]:
        """Wait until one more job has ended."""
        while not self._ended:
            dates = [each.until for each in self._running.values() if each.until is not None]
            left = max(0.0, min(dates) - time.monotonic()) if dates else None
            for ready in wait_for([*self._running, *self._view.handles], self._view.wait_s(left)):
                if ready in self._running:
                    self._finish(self._running.pop(ready))  # type: ignore[arg-type]
            self._view.look()
            for sentinel, job in list(self._running.items()):
                if job.until is not None and time.monotonic() >= job.until:
                    _end_overdue(job)
                    self._finish(self._running.pop(sentinel), job.limits.too_long)
        return self._ended.popleft()

    def _start(self, number: int, config: DictConfig, slot: int) -> None:
        folder, limits = job_folder(config), limits_of(config.sweep)
        self._task.folder = folder.parent
        order = _child.Order(
            config=config,
            job_folder=folder.absolute(),
            task=self._task,
            callbacks=self._callbacks,
            environment={**os.environ, **self._slots.environment(slot)},
            working_dir=os.getcwd(),
            threads=self._slots.threads,
            num_processes=self._slots.num_processes(config),
            unnamed=self._unnamed,
            silent=self.num_slots > 1,
        )
        before = record_in(folder)
        sys.stdout.flush()
        process = self._context.Process(target=_child.main, args=(order, self._view.said), name=f"job {number + 1}")
        process.start()
        until = None if limits.timeout_s is None else time.monotonic() + limits.timeout_s + _TIMEOUT_GRACE_S
        self._running[process.sentinel] = _Running(number, slot, process, config, folder, limits, until, before)

    def _finish(self, job: _Running, end: str = "") -> None:
        """Tell what came of a job whose process has ended, or start it again.

        Args:
            job: the job.
            end: why it was ended; empty when it has ended by itself.
        """
        job.process.join()
        # Processes of its own that it has left behind.
        job.send(signal.SIGKILL)
        # What it has said comes before what is said of it.
        self._view.look()
        end = end or _end_of(job.process.exitcode)
        result = self._task.settle(job.number, job.folder, job.overrides, end, job.before)
        job.process.close()
        if self.num_slots > 1:
            self._task.tell_end(job.number, result)
        if follows_at_once(result, job.limits.retries):
            self._start(job.number, self._compose(job.number, job.overrides), job.slot)
            return
        self._free.append(job.slot)
        value = None if result.status == "failed" else result.objective.value
        returned = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED, _return_value=value)
        self._ended.append((job.number, returned))

    def close(self) -> None:
        """Interrupt the jobs under way; kill those that do not listen, at once when the user is impatient."""
        jobs = list(self._running.values())
        try:
            for job in jobs:
                job.send(signal.SIGINT)
            until = time.monotonic() + _GRACE_S
            for job in jobs:
                job.process.join(max(0.0, until - time.monotonic()))
        finally:
            for job in jobs:
                job.send(signal.SIGKILL)
                job.process.join()
                record = record_in(job.folder)
                if record is not None and record.status == "running":
                    abandon(job.folder, job.overrides, "")


@contextmanager
def opened(launcher: Any, known: Sequence[Sequence[str]]) -> Iterator[ProcessPool]:
    """A pool, none of whose processes outlives the context.

    Args:
        launcher: Hydra's launcher, set up.
        known: overrides of the jobs, where they are known beforehand.
    """
    # The command line composes without it; each config is a cycle.
    gc.enable()
    slots = slots_of(launcher.config, launcher.num_workers, launcher.gpus_per_job, len(known) or None)
    folder, swept = Path(str(launcher.config.hydra.sweep.dir)), launcher.task_function.swept
    with terminated_like_interrupted(), view_opened(folder, swept, slots.number > 1) as view:
        pool = ProcessPool(launcher, slots, known, view)
        try:
            yield pool
        finally:
            pool.close()


def _end_overdue(job: _Running) -> None:
    """End a job that has not ended when its time was over: it hangs where no exception reaches it."""
    if _child.LOOK is not None and job.process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(job.process.pid, _child.LOOK)
        job.process.join(_LOOK_S)
    job.send(signal.SIGKILL)


def _end_of(code: int) -> str:
    """How a process has ended that has not recorded it."""
    if code == _child.INTERRUPTED:
        return "its process was interrupted"
    if code == 0:
        return "its process ended with exit code 0 and has recorded no end; is the disk full?"
    if code > 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"
