"""The task function of a sweep: runs one job after the other, and outlives them."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fulgurite import config, resume
from fulgurite.board.session import write_end
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import is_interrupt
from fulgurite.explain import explain
from fulgurite.log import LOG_NAME
from fulgurite.result import FILE_NAME, Failure, Objective, Result, last_line
from fulgurite.sweep.limits import limits_of, time_limit

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fulgurite.build import Run

# Launchers in whose process no job on several devices can run.
_IN_THIS_PROCESS = (".BasicLauncher", ".InTurnLauncher")


class Sweep:
    """The task function of a multirun. A job that fails is recorded and named, and the next one starts.

    Attributes:
        folder: the sweep folder, known once a job has started.
        swept: keys with several values.
        num_failed_before: jobs that failed or diverged before, and are not run again by a search that knows of it.
    """

    def __init__(self, swept: Sequence[str], num_jobs: int, planned: Path | None = None) -> None:
        """``num_jobs`` is 0 when nobody knows how many there will be, ``planned`` the sweep folder if that is known."""
        self.folder: Path | None = None
        self._planned = planned
        self.swept = swept
        self._failed: set[int] = set()
        self.num_failed_before = 0
        self._num_jobs = num_jobs

    @property
    def num_failed(self) -> int:
        """Jobs that raised or diverged, and did not make up for it when they ran again."""
        return len(self._failed) + self.num_failed_before

    def __call__(self, cfg: "DictConfig", build: "Callable[[DictConfig], Run] | None" = None) -> float | None:
        """Run one job, go on with it, or skip it when it has ended before; its objective, ``None`` when it failed.

        Args:
            cfg: the composed config.
            build: makes the run; see ``run_job``.
        """
        from hydra.core.hydra_config import HydraConfig

        from fulgurite.job import run_job

        overrides = list(HydraConfig.get().overrides.task)
        folder = Path(cfg.folder)
        self.folder = folder.parent
        number = HydraConfig.get().job.num
        title = self._title(number)
        named = f"{title} {config.describe(overrides, only=self.swept, between=' ')}".rstrip()
        limits, before = limits_of(cfg.sweep), resume.record_in(folder)
        if before is not None and resume.is_over(before, limits.retries):
            return self._skip(number, named, before)
        try:
            found = resume.find(folder)
            print(f"{named}{found}", flush=True)
            resume.prepare(folder, found.begun)
            if str(HydraConfig.get().launcher._target_).endswith(_IN_THIS_PROCESS):
                refuse_many_devices(cfg)
            with time_limit(limits):
                result = run_job(cfg, overrides, build, found.begun)
        except (Exception, SystemExit) as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            self._failed.add(number)
            print(f"{title} failed: {_say(error, folder, overrides)}", file=sys.stderr, flush=True)
            _record(error, folder, overrides)
            return None
        if result.status == "diverged":
            print(f"{title} diverged: {result.error.message if result.error else ''}", file=sys.stderr, flush=True)
        self._count(number, result)
        return result.objective.value

    def collect(
        self, number: int, folder: Path, overrides: Sequence[str], end: str, before: Result | None = None
    ) -> float | None:
        """As ``settle``; the objective of the job, ``None`` when it failed."""
        result = self.settle(number, folder, overrides, end, before)
        return None if result.status == "failed" else result.objective.value

    def settle(
        self, number: int, folder: Path, overrides: Sequence[str], end: str, before: Result | None = None
    ) -> Result:
        """Take note of a job that another process was to run; its record.

        Args:
            number: of the job, from 0.
            folder: of the job.
            overrides: what makes the job.
            end: how that process has ended, for a job that it did not end.
            before: what was recorded of the job before that process.
        """
        result = resume.record_in(folder)
        if result is None or result == before or result.status not in (*resume.ENDED, "failed"):
            result = resume.abandon(folder, overrides, end)
            print(f"{self._title(number)} failed: {end}", file=sys.stderr, flush=True)
        self._count(number, result)
        return result

    def tell_end(self, number: int, result: Result) -> None:
        """Say of a job that prints no lines of its own that it has ended well."""
        if result.status in ("finished", "pruned"):
            value, seconds = result.objective.value, f"{result.seconds:.1f} s"
            reached = seconds if value is None else f"{result.objective.metric} {value:.4g}, {seconds}"
            print(f"{self._title(number)} {result.status} ({reached})", flush=True)

    def _count(self, number: int, result: Result) -> None:
        if result.status in ("failed", "diverged"):
            self._failed.add(number)
        else:
            # It may have run again.
            self._failed.discard(number)

    def _title(self, number: int) -> str:
        return f"[{number + 1}{f'/{self._num_jobs}' if self._num_jobs else ''}]"

    def _skip(self, number: int, named: str, result: Result) -> float | None:
        self._count(number, result)
        value = result.objective.value
        if result.status == "failed":
            times = "once" if result.attempts == 1 else f"{result.attempts} times"
            print(f"{named} failed {times} before; sweep.retries={result.attempts} runs it again", flush=True)
            return None
        reached = "" if value is None else f" ({result.objective.metric} {value:.4g})"
        print(f"{named} {result.status} before{reached}", flush=True)
        return value

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a worker of a launcher that is not ours: register there what a job's config needs."""
        vars(self).update(state)
        config.register(self.swept, unnamed=self._planned.name if self._planned else "")

    def finish(self) -> None:
        """Print the leaderboard of all jobs that the sweep folder holds."""
        if self.folder is None and self._planned is not None:
            self._look_back(self._planned)
        if self.folder is not None:
            from fulgurite.report.leaderboard import print_leaderboard
            from fulgurite.sweep.report import write_at_end

            print_leaderboard(self.folder)
            write_at_end(self.folder)

    def _look_back(self, folder: Path) -> None:
        """After a launcher that is not ours: jobs in other processes have counted for themselves."""
        records = [resume.record_in(path.parent) for path in folder.glob(f"*/{FILE_NAME}")]
        if records:
            self.folder = folder
            self.num_failed_before = sum(each is None or each.status in ("failed", "diverged") for each in records)


def _say(error: BaseException, folder: Path, overrides: Sequence[str]) -> str:
    if message := explain(error, overrides):
        return message
    words = filter(None, (type(error).__name__, last_line(str(error))))
    return f"{': '.join(words)} (traceback in {os.path.relpath(folder / LOG_NAME)})"


def _record(error: BaseException, folder: Path, overrides: Sequence[str]) -> None:
    """Write ``result.json`` for a job that failed before it could do so, or could not write then."""
    result = resume.record_in(folder) or Result("running", Objective("", "max"), overrides=list(overrides))
    if result.status == "running":
        failure = Failure(type(error).__name__, str(error), LOG_NAME)
        # On a full disk it stays as it was.
        with suppress(OSError):
            write_end(folder, replace(result, status="failed", error=failure).write(folder))
