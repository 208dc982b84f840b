"""How many devices a job of a sweep may take: one, where the sweep runs in this process."""

from typing import TYPE_CHECKING, Any

from fulgurite.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def refuse_many_devices(cfg: "DictConfig") -> None:
    """Refuse a job that starts processes of its own.

    Lightning starts them by typing the command line again, and that is the whole sweep: each process would work
    through the jobs by itself, and gradients of different jobs would be averaged. ``launcher=processes`` gives each job
    a command line of its own.

    Raises:
        ConfigError: for more than one device or machine.
    """
    if cfg.launcher.get("name") == "processes":
        return
    devices, nodes = cfg.trainer.get("devices", 1), cfg.trainer.get("num_nodes", 1)
    if isinstance(devices, int) and devices <= 1 and devices != -1 and nodes == 1:
        return
    if count(devices, str(cfg.trainer.get("accelerator"))) * nodes > 1:
        raise ConfigError(
            f"a sweep on this launcher needs trainer.devices=1 and trainer.num_nodes=1, got devices={devices} and "
            f"num_nodes={nodes}: use launcher=processes, or run each job by itself, without -m"
        )


def count(devices: Any, accelerator: str) -> int:
    """How many devices Lightning would take for ``trainer.devices``."""
    devices = "auto" if devices is None else devices
    if isinstance(devices, int) and devices >= 0:
        return devices
    if isinstance(devices, str) and devices not in ("auto", "-1"):
        return int(devices) if devices.isdecimal() else len(devices.strip(",").split(","))
    if not isinstance(devices, int | str):
        return len(devices)
    if accelerator in ("cpu", "mps"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())
