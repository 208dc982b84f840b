"""How many jobs run at a time, and which GPUs and how many threads each of them has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from fulgurite.devices import count
from fulgurite.errors import ConfigError
from hydra_plugins.fulgurite_launcher._devices import VISIBLE, num_cores, usable_gpus

_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Slots:
    """What the jobs of a sweep share.

    Attributes:
        number: jobs at a time.
        gpus: shares of the GPUs, as ``CUDA_VISIBLE_DEVICES`` calls them, for one job each; empty on a CPU.
        threads: of each process of a job; ``None`` leaves it to torch.
    """

    number: int
    gpus: Sequence[Sequence[str]]
    threads: int | None

    def environment(self, slot: int) -> dict[str, str]:
        """Environment variables of a job in a slot, counted from 0."""
        own = {} if self.threads is None else {_THREADS: str(self.threads)}
        if self.gpus:
            own[VISIBLE] = ",".join(self.gpus[slot % len(self.gpus)])
        return own

    def num_processes(self, cfg: DictConfig) -> int:
        """Processes that a job consists of."""
        devices, nodes = cfg.trainer.get("devices", 1), cfg.trainer.get("num_nodes", 1)
        if self.gpus and devices in (-1, "-1", "auto"):
            return len(self.gpus[0]) * nodes
        return count(devices, str(cfg.trainer.get("accelerator"))) * nodes


def slots_of(cfg: DictConfig, num_workers: int | None, gpus_per_job: int | None, most: int | None) -> Slots:
    """The slots of a sweep.

    Args:
        cfg: what its jobs have in common.
        num_workers: how many are asked for; ``None`` for as many as there are GPUs for, or cores.
        gpus_per_job: GPUs of each; ``None`` for as many as the jobs ask for.
        most: jobs that there are, if known.

    Raises:
        ConfigError: when there are not as many GPUs.
    """
    gpus = usable_gpus([cfg])
    if gpus_per_job is not None and len(gpus) < gpus_per_job:
        raise ConfigError(
            f"launcher.gpus_per_job={gpus_per_job} needs {gpus_per_job} GPUs, and {len(gpus)} can be used here; leave "
            "it out, or choose less"
        )
    size = gpus_per_job or _num_asked_for(cfg, gpus)
    shares = [gpus[first : first + size] for first in range(0, len(gpus) - size + 1, size)]
    # A number of threads that the user has set is meant.
    given = os.environ.get(_THREADS, "")
    on_cpu = max(1, num_cores() // (size * int(given or 1))) if (given or "1").isdecimal() else 1
    number = num_workers or len(shares) or on_cpu
    number = number if most is None else max(1, min(number, most))
    processes = number * size
    return Slots(number, shares, None if given or processes == 1 else max(1, num_cores() // processes))


def _num_asked_for(cfg: DictConfig, gpus: Sequence[str]) -> int:
    devices = cfg.trainer.get("devices", 1)
    if gpus and devices in (-1, "-1", "auto"):
        return len(gpus)
    return max(1, count(devices, "gpu" if gpus else "cpu"))
