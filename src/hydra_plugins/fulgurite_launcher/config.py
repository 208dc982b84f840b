"""The arguments of the launcher; their values come from our own ``launcher`` group."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore


@dataclass
class FusedLauncherConfig:
    """``hydra/launcher=fused``."""

    _target_: str = "hydra_plugins.fulgurite_launcher.fused.FusedLauncher"
    max_members: int = "${launcher.max_members}"  # type: ignore[assignment]


ConfigStore.instance().store(group="hydra/launcher", name="fused", node=FusedLauncherConfig)
