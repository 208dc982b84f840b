"""From the overrides of a sweep's jobs to their configs, and through a pool to what came of them. Imports no torch."""

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from omegaconf import DictConfig, open_dict

from fulgurite import hydra_job
from fulgurite.compose import Composer
from fulgurite.resume import follows_at_once, record_in
from fulgurite.sweep.folder import job_folder
from fulgurite.sweep.limits import limits_of
from fulgurite.sweep.pool import Pool

# Jobs in this process between two collections of all garbage, each of which takes a third of a second.
_COLLECT_EVERY = 32


class Configs:
    """Composes the jobs of a sweep.

    Args:
        launcher: Hydra's launcher, set up.
        known: overrides of jobs that are known beforehand: their files are read now.
    """

    def __init__(self, launcher: Any, known: Sequence[Sequence[str]] = ()) -> None:
        setup_globals()
        configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
        Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        loader = launcher.hydra_context.config_loader
        self._compose = Composer(loader, partial(loader.load_sweep_config, launcher.config))
        self._compose.freeze(known)

    def __call__(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The config of a job, with Hydra's own part."""
        config = self._compose(overrides)
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        return config


def composed(launcher: Any, job_overrides: Sequence[Sequence[str]], first: int) -> Iterator[tuple[int, DictConfig]]:
    """Numbers and configs of jobs, one by one as they are asked for; their files are read before the first.

    Args:
        launcher: Hydra's launcher, set up.
        job_overrides: of each job.
        first: number of the first of them.
    """
    compose = Configs(launcher, job_overrides)
    for number, overrides in enumerate(job_overrides, first):
        yield number, compose(number, overrides)


def run_all(pool: Pool, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run jobs, each as soon as a slot is free; their results in this order.

    Args:
        pool: where they run.
        job_overrides: of each job.
        first: number of the first of them.
    """
    returns: dict[int, JobReturn] = {}
    for started, overrides in enumerate(job_overrides):
        if started - len(returns) == pool.num_slots:
            returns.update([pool.wait()])
        pool.start(first + started, overrides)
    while len(returns) < len(job_overrides):
        returns.update([pool.wait()])
    return [returns[number] for number in sorted(returns)]


class InTurnPool:
    """One slot, in this process: a job has ended when ``start`` returns.

    Args:
        launcher: Hydra's launcher, set up.
        known: see ``Configs``.
    """

    num_slots = 1

    def __init__(self, launcher: Any, known: Sequence[Sequence[str]] = ()) -> None:
        self._compose = Configs(launcher, known)
        self._task, self._callbacks = launcher.task_function, launcher.hydra_context.callbacks
        self._ended: deque[tuple[int, JobReturn]] = deque()
        self._num_run = 0

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Run a job."""
        config = self._compose(number, overrides)
        folder, retries = job_folder(config), limits_of(config.sweep).retries
        before = record_in(folder)
        result = hydra_job.run(config, folder, self._task, self._callbacks)
        while (record := record_in(folder)) != before and follows_at_once(record, retries):
            before = record
            result = hydra_job.run(self._compose(number, overrides), folder, self._task, self._callbacks)
        # Configs, which nobody asks for: a third of a megabyte each, in cycles.
        result.cfg = result.hydra_cfg = None
        self._num_run += 1
        if self._num_run % _COLLECT_EVERY == 0:
            gc.collect()
        self._ended.append((number, result))

    def wait(self) -> tuple[int, JobReturn]:
        """What came of the job."""
        return self._ended.popleft()
