"""The arguments of the launcher; their values come from our own ``launcher`` group."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class FusedLauncherConfig:
    """``hydra/launcher=fused``."""

    _target_: str = "hydra_plugins.fulgurite_launcher.fused.FusedLauncher"
    max_members: Any = "${launcher.max_members}"
    compile: Any = "${launcher.compile}"
    probe: Any = "${launcher.probe}"


ConfigStore.instance().store(group="hydra/launcher", name="fused", node=FusedLauncherConfig)
