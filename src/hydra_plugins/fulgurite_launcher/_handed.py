"""What all launchers of ours do alike: keep what Hydra hands over."""

from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class HandedLauncher(Launcher):
    """A launcher that keeps what Hydra hands over.

    Attributes:
        config: what the jobs have in common.
        hydra_context: Hydra's config loader and callbacks.
        task_function: runs a job.
    """

    config: Any = None
    hydra_context: Any = None
    task_function: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep it."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
