"""How many drivers a sweep has, and which device and how many threads each of them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from fulgurite.errors import ConfigError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
# Where Linux shows a GPU that torch can use: NVIDIA's, one under Windows' Linux, AMD's.
_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Devices:
    """What drivers share.

    Attributes:
        num_drivers: processes that train.
        gpus: as ``CUDA_VISIBLE_DEVICES`` calls them; empty where the jobs train on a CPU.
    """

    num_drivers: int
    gpus: Sequence[str]

    def environment(self, driver: int, num_busy: int) -> dict[str, str]:
        """Environment variables of a driver, counted from 0, of ``num_busy`` that have work."""
        own = {} if not self.gpus else {_VISIBLE: self.gpus[driver % len(self.gpus)]}
        # A number of threads that the user has set is meant.
        return {"OMP_NUM_THREADS": str(max(1, _num_cores() // num_busy)), **os.environ, **own}

    def sharers(self, num_busy: int) -> int:
        """How many of ``num_busy`` drivers use the memory of the same device, at most."""
        return -(-num_busy // max(1, len(self.gpus)))


def of(configs: Sequence[DictConfig], drivers: int | None) -> Devices:
    """The devices of jobs.

    Args:
        configs: of all jobs.
        drivers: how many are asked for; ``None`` for as many as there are GPUs.

    Raises:
        ConfigError: when several drivers are asked for, and a job names its GPU.
    """
    if drivers == 1:
        return Devices(1, [])
    gpus = _gpus(configs)
    number = max(1, len(gpus)) if drivers is None else drivers
    named = next((each for each in (cfg.trainer.get("devices", 1) for cfg in configs) if _names_one(each)), None)
    if gpus and number > 1 and named is not None:
        raise ConfigError(
            f"trainer.devices must be 1 where launcher.drivers gives each driver a GPU, got {named}; "
            f"{_VISIBLE}=0,2 chooses GPUs"
        )
    return Devices(number, gpus)


def _names_one(devices: object) -> bool:
    """Whether ``trainer.devices`` says which device, not how many."""
    return "," in devices if isinstance(devices, str) else not isinstance(devices, int)


def _gpus(configs: Sequence[DictConfig]) -> list[str]:
    """The GPUs that this process may use, where a job asks for one or takes what is there."""
    if all(cfg.trainer.get("accelerator", "auto") not in ("auto", "gpu", "cuda") for cfg in configs):
        return []
    if _VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[_VISIBLE].split(",")]
        # What follows one that is no device is not used.
        return names[: next((own for own, name in enumerate(names) if name in ("", "-1")), len(names))]
    if sys.platform == "linux" and not any(Path(node).exists() for node in _NODES):
        # To import torch for the same answer takes seconds.
        return []
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
