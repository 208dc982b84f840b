"""The sweeper that Hydra finds: thin, because Hydra imports it for a help text and for shell completion, too."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SearchSweeperConfig:
    """``hydra/sweeper=search``, which the files of our own ``sweep`` group choose; they hold all that can be said."""

    _target_: str = "hydra_plugins.fulgurite_sweeper.search.SearchSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="search", node=SearchSweeperConfig)


class SearchSweeper(Sweeper):
    """Asks a sampler for settings, and has the launcher run them."""

    def __init__(self) -> None:
        self.config: Any = None
        self.hydra_context: Any = None
        self.task_function: Any = None
        self.launcher: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search."""
        from hydra_plugins.fulgurite_sweeper._core import run

        return run(self, arguments)
