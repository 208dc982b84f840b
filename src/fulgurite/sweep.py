"""A multirun on this machine, one job after the other: what is refused before it, and how it outlives its jobs."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf, open_dict

from fulgurite import config, resume, sweep_folder, sweep_record
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import ConfigError, is_interrupt
from fulgurite.explain import explain
from fulgurite.limits import limits_of, time_limit
from fulgurite.log import LOG_NAME
from fulgurite.result import Failure, Objective, Result

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from fulgurite.build import Run

# Who decides on the jobs or where they run; with one of these set, the plan is theirs.
_PLANNED_ELSEWHERE = ("hydra/sweeper", "hydra/launcher", "hydra.sweeper", "hydra.launcher")
# Launchers in whose process no job on several devices can run.
_IN_THIS_PROCESS = (".BasicLauncher", ".InTurnLauncher")


def swept_keys(overrides: Sequence[str]) -> list[str]:
    """Keys with several values.

    Raises:
        OverrideParseException: for an override that cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [each.get_key_element().lstrip("+~") for each in parsed if each.is_sweep_override()]


@dataclass(frozen=True)
class Plan:
    """What a sweep is going to do.

    Attributes:
        jobs: what each job is; empty when another sweeper or launcher plans.
        folder: the sweep folder; ``None`` when nobody knows it yet.
    """

    jobs: list[sweep_record.Planned]
    folder: Path | None


def prepare(overrides: Sequence[str]) -> Plan:
    """The jobs of a sweep and its folder.

    Composes all of them: a mistake in any is told before anything is trained, and their configs are put on record.

    Raises:
        ConfigError: for a job on several devices, one that is there twice, or one that does not belong to the sweep of
            that name.
    """
    from hydra import compose, initialize_config_dir
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from fulgurite.compose import Composer

    if any(override.lstrip("+").startswith(_PLANNED_ELSEWHERE) for override in overrides):
        return Plan([], None)
    folders: list[Path] = []

    def load(job: list[str]) -> "DictConfig":
        if folders:
            return compose(config.CONFIG_NAME, overrides=job)
        cfg = compose(config.CONFIG_NAME, overrides=job, return_hydra_config=True)
        folders.append(folder_of_sweep(cfg))
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        parser = OverridesParser.create(config_loader=loader)
        compose_job = Composer(loader, load)
        jobs = BasicSweeper.split_arguments(parser.parse_overrides(list(overrides)), None)[0]
        refuse_twins(jobs)
        planned = [_planned(job, compose_job.peek) for job in jobs]
    if folders and folders[0].is_dir():
        sweep_record.refuse_another(folders[0], swept_keys(overrides), planned)
    return Plan(planned, folders[0] if folders else None)


def refuse_twins(jobs: Sequence[Sequence[str]]) -> None:
    """Refuse a job that is there twice: both would write the same folder, at the same time in a fused sweep.

    Raises:
        ConfigError: with what was typed twice.
    """
    numbers: dict[tuple[str, ...], int] = {}
    for number, job in enumerate(jobs, start=1):
        first = numbers.setdefault(tuple(job), number)
        if first != number:
            same = " ".join(job)
            raise ConfigError(f"jobs {first} and {number} are the same ({same}); give each value of a key once")


def _planned(job: list[str], compose_job: "Callable[[list[str]], DictConfig]") -> sweep_record.Planned:
    try:
        cfg = compose_job(job)
        # This launcher starts a process for each device itself, and looks at the devices, too.
        if cfg.launcher.get("spread") != "data":
            refuse_many_devices(cfg)
        limits_of(cfg.sweep, str(cfg.launcher.get("name")))
    except Exception as error:
        # Told with this job's choices: a key may exist in model=mlp and not in model=cnn.
        message = explain(error, job)
        if message is None:
            raise
        raise ConfigError(message) from error
    return sweep_record.planned(job, cfg)


def job_folder(cfg: "DictConfig") -> Path:
    """The folder of a job, as Hydra will choose it.

    Args:
        cfg: its config, with Hydra's own part.
    """
    return _evaluated(cfg, "hydra.sweep.dir") / str(_evaluated(cfg, "hydra.sweep.subdir"))


def folder_of_sweep(cfg: "DictConfig") -> Path:
    """The folder of the sweep that a job belongs to, as Hydra will choose it.

    Args:
        cfg: the job's config, with Hydra's own part.
    """
    return _evaluated(cfg, "hydra.sweep.dir")


def _evaluated(cfg: "DictConfig", key: str) -> Path:
    from hydra.core.hydra_config import HydraConfig

    from fulgurite.hydra_job import as_current

    before = HydraConfig.instance().cfg
    as_current(cfg)
    try:
        return Path(str(OmegaConf.select(cfg, key)))
    finally:
        HydraConfig.instance().cfg = before


@contextmanager
def checked_once() -> Iterator[None]:
    """Keep Hydra from composing each job one time more, only to see whether it can: ``plan`` has done so."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    before = BasicSweeper.validate_batch_is_legal
    BasicSweeper.validate_batch_is_legal = lambda self, batch: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        BasicSweeper.validate_batch_is_legal = before  # type: ignore[method-assign]


@contextmanager
def opened(
    folder: Path,
    overrides: Sequence[str],
    swept: Sequence[str],
    jobs: Sequence[sweep_record.Planned],
    domains: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Work on the sweep in ``folder`` alone, its record written, while the context lasts.

    Args:
        folder: of the sweep.
        overrides: as typed.
        swept: keys that are varied.
        jobs: that are planned.
        domains: what keys may be that are varied by no override.

    Raises:
        ConfigError: while another process works on it.
    """
    with sweep_folder.only_driver(folder):
        sweep_record.write_record(folder, overrides, swept, jobs, domains)
        yield


def how_to_go_on(folder: Path) -> str:
    """What is said of a sweep that was interrupted."""
    return f"to go on with it, give the same command with sweep.name={folder.name}"


class Sweep:
    """The task function of a multirun. A job that fails is recorded and named, and the next one starts.

    Attributes:
        folder: the sweep folder, known once a job has started.
        swept: keys with several values.
        num_failed_before: jobs that failed or diverged before, and are not run again by a search that knows of it.
    """

    def __init__(self, swept: Sequence[str], num_jobs: int) -> None:
        """``num_jobs`` is 0 when nobody knows how many there will be."""
        self.folder: Path | None = None
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

    def finish(self) -> None:
        """Print the leaderboard of all jobs that the sweep folder holds."""
        if self.folder is not None:
            from fulgurite.report.leaderboard import print_leaderboard

            print_leaderboard(self.folder)


def _say(error: BaseException, folder: Path, overrides: Sequence[str]) -> str:
    if message := explain(error, overrides):
        return message
    lines = str(error).strip().splitlines()
    return f"{': '.join([type(error).__name__, *lines[-1:]])} (traceback in {os.path.relpath(folder / LOG_NAME)})"


def _record(error: BaseException, folder: Path, overrides: Sequence[str]) -> None:
    """Write ``result.json`` for a job that failed before it could do so, or could not write then."""
    result = resume.record_in(folder) or Result("running", Objective("", "max"), overrides=list(overrides))
    if result.status == "running":
        failure = Failure(type(error).__name__, str(error), LOG_NAME)
        # On a full disk it stays as it was.
        with suppress(OSError):
            replace(result, status="failed", error=failure).write(folder)
