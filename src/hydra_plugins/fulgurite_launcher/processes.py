"""The launcher of sweeps whose jobs have a process each: thin, because Hydra imports it for a help text, too."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from fulgurite.errors import check_int
from hydra_plugins.fulgurite_launcher._handed import HandedLauncher

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher._pool import ProcessPool


@dataclass
class ProcessesLauncherConfig:
    """``hydra/launcher=processes``; the values come from our own ``launcher`` group."""

    _target_: str = "hydra_plugins.fulgurite_launcher.processes.ProcessesLauncher"
    num_workers: Any = "${launcher.num_workers}"
    gpus_per_job: Any = "${launcher.gpus_per_job}"


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessesLauncherConfig)


class ProcessesLauncher(HandedLauncher):
    """Runs each job of a sweep in a process of its own, several at a time.

    Args:
        num_workers: jobs at a time; ``None`` for as many as there are GPUs for, or on a CPU cores.
        gpus_per_job: GPUs that each job sees; ``None`` for as many as ``trainer.devices`` says.

    Raises:
        ConfigError: for a value that is not allowed.
    """

    def __init__(self, num_workers: int | None, gpus_per_job: int | None) -> None:
        self.num_workers = None if num_workers is None else check_int("launcher.num_workers", num_workers)
        self.gpus_per_job = None if gpus_per_job is None else check_int("launcher.gpus_per_job", gpus_per_job)

    def pool(self, known: Sequence[Sequence[str]] = ()) -> "AbstractContextManager[ProcessPool]":
        """Slots for jobs, as ``fulgurite.sweep.pool.Pool`` describes them.

        Args:
            known: overrides of the jobs, where they are known beforehand: there are no more slots than jobs.
        """
        from hydra_plugins.fulgurite_launcher._pool import opened

        return opened(self, known)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results in the order of ``job_overrides``."""
        from hydra_plugins.fulgurite_launcher._jobs import run_all

        with self.pool(job_overrides) as pool:
            return run_all(pool, job_overrides, initial_job_idx)
