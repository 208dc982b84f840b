"""How many drivers a sweep has, and which device and how many threads each of them."""

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from fulgurite.devices import count
from fulgurite.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Where Linux shows a GPU that torch can use: NVIDIA's, one under Windows' Linux, AMD's.
_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
# What Lightning makes its ordinary DDP of.
_DDP = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
# By these Lightning would take another for the one who has started the ranks, and their numbers for others.
_OTHERS = ("SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "GROUP_RANK")


@dataclass(frozen=True)
class Devices:
    """What drivers share.

    Attributes:
        num_drivers: processes that train.
        gpus: as ``CUDA_VISIBLE_DEVICES`` calls them; empty where the jobs train on a CPU.
        are_ranks: all of them run the same jobs, each on its part of every batch.
    """

    num_drivers: int
    gpus: Sequence[str]
    are_ranks: bool = False

    def environment(self, driver: int, num_busy: int) -> dict[str, str]:
        """Environment variables of a driver, counted from 0, of ``num_busy`` that have work."""
        own = {} if not self.gpus else {VISIBLE: self.gpus[driver % len(self.gpus)]}
        # A number of threads that the user has set is meant.
        return {"OMP_NUM_THREADS": str(max(1, num_cores() // num_busy)), **os.environ, **own}

    def rank_environments(self) -> list[dict[str, str]]:
        """Environment variables of all drivers, for which they are the processes of one DDP run.

        They see all GPUs: Lightning gives each its own.
        """
        kept = {key: value for key, value in os.environ.items() if key not in _OTHERS}
        common = {
            "OMP_NUM_THREADS": str(max(1, num_cores() // self.num_drivers)),
            **kept,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "NODE_RANK": "0",
        }
        return [{**common, "LOCAL_RANK": str(rank)} for rank in range(self.num_drivers)]

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
    gpus = usable_gpus(configs)
    number = max(1, len(gpus)) if drivers is None else drivers
    named = next((each for each in (cfg.trainer.get("devices", 1) for cfg in configs) if _names_one(each)), None)
    if gpus and number > 1 and named is not None:
        raise ConfigError(
            f"trainer.devices must be 1 where launcher.drivers gives each driver a GPU, got {named}; "
            f"{VISIBLE}=0,2 chooses GPUs"
        )
    return Devices(number, gpus)


def of_ranks(configs: Sequence[DictConfig], drivers: int | None) -> Devices:
    """The devices of jobs that each train on all of them.

    Args:
        configs: of all jobs.
        drivers: how many are asked for; ``None`` for as many as the jobs say.

    Raises:
        ConfigError: when the jobs are no DDP jobs on as many devices of one kind.
    """
    for cfg in configs:
        _check_ddp(cfg)
    places = {(cfg.trainer.devices, cfg.trainer.accelerator) for cfg in configs}
    if len(places) > 1:
        raise ConfigError(
            "trainer.devices and trainer.accelerator must be the same in all jobs with launcher.spread=data, got "
            + " and ".join(f"{devices} {accelerator}" for devices, accelerator in sorted(places, key=str))
        )
    asked, accelerator = places.pop()
    number, gpus = count(asked, str(accelerator)), usable_gpus(configs)
    if number < 2:
        raise ConfigError(
            f"trainer.devices must be 2 or more with launcher.spread=data, which shares out each batch, got {number}; "
            "use trainer=ddp or trainer=ddp_cpu, or launcher.spread=members"
        )
    if drivers not in (None, number):
        raise ConfigError(
            f"launcher.drivers must be auto, or {number} as trainer.devices is, with launcher.spread=data; "
            f"got {drivers}"
        )
    if gpus and len(gpus) < number:
        raise ConfigError(
            f"trainer.devices={number} with launcher.spread=data needs {number} GPUs, and {len(gpus)} can be used "
            f"here; use trainer=ddp_cpu or trainer.devices={len(gpus)}"
        )
    return Devices(number, gpus, are_ranks=True)


def _check_ddp(cfg: DictConfig) -> None:
    strategy, num_nodes = cfg.trainer.get("strategy", "auto"), cfg.trainer.get("num_nodes", 1)
    if strategy not in _DDP:
        raise ConfigError(
            f"trainer.strategy must be one of {', '.join(_DDP)} with launcher.spread=data, got {strategy}"
        )
    if num_nodes != 1:
        raise ConfigError(f"trainer.num_nodes must be 1 with launcher.spread=data, got {num_nodes}")
    if _names_one(cfg.trainer.devices) and cfg.trainer.devices != "auto":
        raise ConfigError(
            f"trainer.devices must be a number with launcher.spread=data, got {cfg.trainer.devices}; "
            f"{VISIBLE}=0,2 chooses GPUs"
        )


def _free_port() -> int:
    """One that is free now; the system hands it out again late."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _names_one(devices: object) -> bool:
    """Whether ``trainer.devices`` says which device, not how many."""
    return "," in devices if isinstance(devices, str) else not isinstance(devices, int)


def usable_gpus(configs: Sequence[DictConfig]) -> list[str]:
    """The GPUs that this process may use, where a job asks for one or takes what is there."""
    if all(cfg.trainer.get("accelerator", "auto") not in ("auto", "gpu", "cuda") for cfg in configs):
        return []
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        # What follows one that is no device is not used.
        return names[: next((own for own, name in enumerate(names) if name in ("", "-1")), len(names))]
    if sys.platform == "linux" and not any(Path(node).exists() for node in _NODES):
        # To import torch for the same answer takes seconds.
        return []
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
