"""From the overrides of a sweep's jobs to shares of them: one for this process, or one for each driver.

Imports no torch: where drivers do the work, each of them imports it, at the same time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from fulgurite import hydra_job
from fulgurite.config import Engine
from fulgurite.errors import ConfigError
from fulgurite.groups import shares
from fulgurite.result import Result
from fulgurite.resume import abandon, is_over, record_in
from fulgurite.sweep.folder import job_folder
from fulgurite.sweep.limits import limits_of
from hydra_plugins.fulgurite_launcher import _devices, _drivers, _jobs, _view
from hydra_plugins.fulgurite_launcher._share import Program, Share

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher.fused import FusedLauncher


def launch(launcher: "FusedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
    """Compose all jobs, skip those that have ended, and run the others, group by group."""
    configs = dict(_jobs.composed(launcher, job_overrides, initial_job_idx))
    for config in configs.values():
        _check(config)
    find = _devices.of_ranks if launcher.spread == "data" else _devices.of
    devices = find(list(configs.values()), launcher.drivers)
    records = {number: record_in(job_folder(cfg)) for number, cfg in configs.items()}
    retries = {number: limits_of(cfg.sweep).retries for number, cfg in configs.items()}
    ended = {own: record for own, record in records.items() if record is not None and is_over(record, retries[own])}
    returns = {number: _skip(launcher, configs[number]) for number in ended}
    work = _share_out(launcher, configs, ended, devices)
    if devices.are_ranks and work:
        returns |= _run_ranks(work[0], devices, records)
    elif len(work) > 1:
        returns |= _run_drivers(work, devices, records)
    elif work:
        from hydra_plugins.fulgurite_launcher._programs import run_share

        with _view.drawn_meanwhile(_folder_of(work), launcher.task_function.swept):
            returns |= run_share(work[0])
    return [returns[number] for number in configs]


def _check(config: DictConfig) -> None:
    if config.engine != Engine.eager:
        raise ConfigError(
            f"engine={config.engine.value} is for jobs that train one by one; with launcher=fused leave it out and "
            "use launcher.compile=true"
        )
    if config.hydra.job.chdir:
        raise ConfigError(
            "hydra.job.chdir must be false with launcher=fused, got true: its jobs share one working directory; "
            "leave it out, or use launcher=basic"
        )


def _skip(launcher: "FusedLauncher", config: DictConfig) -> JobReturn:
    """Have it said of a job that it has ended before."""
    return hydra_job.run(config, job_folder(config), launcher.task_function, launcher.hydra_context.callbacks)


def _share_out(
    launcher: "FusedLauncher", configs: dict[int, DictConfig], ended: dict[int, Result], devices: _devices.Devices
) -> list[Share]:
    """The shares that hold work."""
    numbers = list(configs)
    # The programs are those of all jobs: a sweep that goes on has the programs that it had.
    num_parts = 1 if devices.are_ranks else devices.num_drivers
    cut = shares(list(configs.values()), launcher.max_members, num_parts)
    parts = [[_left([numbers[own] for own in program], ended) for program in part] for part in cut]
    busy = [part for part in ([each for each in part if each.jobs] for part in parts) if part]
    return [
        Share(
            configs={number: configs[number] for program in part for number in program.jobs},
            programs=part,
            task=launcher.task_function,
            callbacks=launcher.hydra_context.callbacks,
            compile=launcher.compile,
            probe=launcher.probe,
            halving=launcher.halving,
            sharers=devices.sharers(devices.num_drivers if devices.are_ranks else len(busy)),
            num_ranks=devices.num_drivers if devices.are_ranks else 1,
            device="cuda" if devices.gpus else "cpu",
        )
        for part in busy
    ]


def _left(numbers: Sequence[int], ended: dict[int, Result]) -> Program:
    """What is left of a program."""
    before = [ended[number] for number in numbers if number in ended]
    return Program(
        jobs=[number for number in numbers if number not in ended],
        rungs=frozenset(record.epochs for record in before if record.status == "pruned"),
    )


def _run_drivers(
    work: Sequence[Share], devices: _devices.Devices, before: dict[int, Result | None]
) -> dict[int, JobReturn]:
    """Run each share in a process of its own; what came of its jobs is read from their folders.

    Args:
        work: what each of them does.
        devices: what they share.
        before: the records of all jobs until now.
    """
    returns: dict[int, JobReturn] = {}
    with _abandoned_on_interrupt(work), _view.opened(_folder_of(work), work[0].task.swept) as view:
        _drivers.drive(
            work,
            [devices.environment(own, len(work)) for own in range(len(work))],
            lambda own, end: returns.update(_collect(work[own], end, before)),
            view,
        )
    return returns


def _run_ranks(share: Share, devices: _devices.Devices, before: dict[int, Result | None]) -> dict[int, JobReturn]:
    """Run a share in several processes at once; what came of its jobs is read from their folders.

    Args:
        share: what all of them do.
        devices: one for each.
        before: the records of all jobs until now.
    """
    with _abandoned_on_interrupt([share]):
        with _view.opened(_folder_of([share]), share.task.swept) as view:
            end = _drivers.drive_ranks(share, devices.rank_environments(), view)
        return _collect(share, end, before)


def _collect(share: Share, end: str, before: dict[int, Result | None]) -> dict[int, JobReturn]:
    """What came of the jobs of a share whose process has ended, in the words ``end``."""
    returns = {}
    for number, config in sorted(share.configs.items()):
        overrides = list(config.hydra.overrides.task)
        value = share.task.collect(number, job_folder(config), overrides, end, before[number])
        returns[number] = JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=value)
    return returns


@contextmanager
def _abandoned_on_interrupt(work: Sequence[Share]) -> Iterator[None]:
    """Record jobs as interrupted whose process did not come to do so."""
    # Also where nothing comes of them: it is said of the sweep how to go on.
    work[0].task.folder = _folder_of(work)
    try:
        yield
    except KeyboardInterrupt:
        for config in (each for share in work for each in share.configs.values()):
            record = record_in(job_folder(config))
            if record is not None and record.status == "running":
                abandon(job_folder(config), record.overrides, "")
        raise


def _folder_of(work: Sequence[Share]) -> Path:
    """Of the sweep."""
    return job_folder(next(iter(work[0].configs.values()))).parent
