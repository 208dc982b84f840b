"""The launcher that Hydra finds: thin, because Hydra imports it for a help text and for shell completion, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from fulgurite.errors import ConfigError, check_bool, check_choice, check_int
from hydra_plugins.fulgurite_launcher._handed import HandedLauncher


@dataclass
class FusedLauncherConfig:
    """``hydra/launcher=fused``; the values come from our own ``launcher`` group."""

    _target_: str = "hydra_plugins.fulgurite_launcher.fused.FusedLauncher"
    drivers: Any = "${launcher.drivers}"
    spread: Any = "${launcher.spread}"
    max_members: Any = "${launcher.max_members}"
    compile: Any = "${launcher.compile}"
    probe: Any = "${launcher.probe}"
    halving: Any = "${launcher.halving}"


ConfigStore.instance().store(group="hydra/launcher", name="fused", node=FusedLauncherConfig)


class FusedLauncher(HandedLauncher):
    """Trains the jobs of a sweep as one program, as far as they are alike.

    Args:
        drivers: processes that share out the work, each on a GPU or on its share of the cores; ``auto`` for as many as
            there are GPUs, or as ``trainer.devices`` says.
        spread: what is shared out: ``members``, whole jobs, or ``data``, each batch of all jobs.
        max_members: jobs in one program at most.
        compile: ``true``, ``false``, or ``auto``: where it pays.
        probe: time both ways first, and train alone what is not faster together.
        halving: after 1, ``halving``, ``halving``^2 ... epochs only the best 1/``halving`` go on; ``null`` for all.

    Raises:
        ConfigError: for a value that is not allowed.
    """

    def __init__(
        self, drivers: int | str, spread: str, max_members: int, compile: bool | str, probe: bool, halving: int | None
    ) -> None:
        self.drivers = None if drivers == "auto" else _check_drivers(drivers)
        self.spread = check_choice("launcher.spread", spread, ["members", "data"])
        self.max_members = check_int("launcher.max_members", max_members)
        self.compile = None if compile == "auto" else check_bool("launcher.compile", compile)
        self.probe = check_bool("launcher.probe", probe)
        self.halving = None if halving is None else check_int("launcher.halving", halving, low=2)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results in the order of ``job_overrides``."""
        from hydra_plugins.fulgurite_launcher._core import launch

        return launch(self, job_overrides, initial_job_idx)


def _check_drivers(value: Any) -> int:
    try:
        return check_int("launcher.drivers", value)
    except ConfigError as error:
        raise ConfigError(f"launcher.drivers must be an integer >= 1 or auto, got {value!r}") from error
