"""The launcher of ordinary sweeps: one job after the other, in this process. Imported for a help text, too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher._jobs import InTurnPool


@dataclass
class InTurnLauncherConfig:
    """``hydra/launcher=in_turn``, which ``launcher=basic`` chooses."""

    _target_: str = "hydra_plugins.fulgurite_launcher.in_turn.InTurnLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="in_turn", node=InTurnLauncherConfig)


class InTurnLauncher(Launcher):
    """Does what Hydra's basic launcher does, with an eighth of its time between two jobs."""

    def __init__(self) -> None:
        self.config: Any = None
        self.hydra_context: Any = None
        self.task_function: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    @contextmanager
    def pool(self, known: Sequence[Sequence[str]] = ()) -> "Iterator[InTurnPool]":
        """One slot for jobs, in this process, as ``fulgurite.sweep.pool.Pool`` describes it.

        Args:
            known: overrides of the jobs, where they are known beforehand.
        """
        from hydra_plugins.fulgurite_launcher._jobs import InTurnPool

        yield InTurnPool(self, known)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results in the order of ``job_overrides``."""
        from hydra_plugins.fulgurite_launcher._jobs import run_all

        with self.pool(job_overrides) as pool:
            return run_all(pool, job_overrides, initial_job_idx)
