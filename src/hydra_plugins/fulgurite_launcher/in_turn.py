"""The launcher of ordinary sweeps: one job after the other, in this process. Imported for a help text, too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from hydra_plugins.fulgurite_launcher._handed import HandedLauncher

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher._jobs import InTurnPool


@dataclass
class InTurnLauncherConfig:
    """``hydra/launcher=in_turn``, which ``launcher=basic`` chooses."""

    _target_: str = "hydra_plugins.fulgurite_launcher.in_turn.InTurnLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="in_turn", node=InTurnLauncherConfig)


class InTurnLauncher(HandedLauncher):
    """Does what Hydra's basic launcher does, with an eighth of its time between two jobs."""

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
