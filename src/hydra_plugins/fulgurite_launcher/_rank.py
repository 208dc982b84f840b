"""A driver that is one of several ranks: all run the same jobs, and the first alone says and records what they do."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict, read_write

from fulgurite import resume
from fulgurite.errors import is_interrupt
from fulgurite.fused.ranks import JoinedRanks
from fulgurite.job import run_job
from hydra_plugins.fulgurite_launcher._driver import LOST
from hydra_plugins.fulgurite_launcher._programs import run_share
from hydra_plugins.fulgurite_launcher._share import Share


def run_as_rank(share: Share) -> None:
    """Run the jobs of ``share`` together with the other ranks, to the end of all."""
    rank = int(os.environ["LOCAL_RANK"])
    device = torch.device(share.device, rank) if share.device == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        # Of this thread; Lightning does so in each job's.
        torch.cuda.set_device(device)

    def end(line: str) -> None:
        if line:
            print(f"driver {rank + 1} of {share.num_ranks} {line}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1 if line else LOST)

    ranks = JoinedRanks(rank, share.num_ranks, device, end)
    run_share(share if rank == 0 else _followed(share), ranks)
    ranks.part()


def _followed(share: Share) -> Share:
    """The same jobs, for a process that leaves nothing behind but lines in their logs."""
    for config in share.configs.values():
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.output_subdir = None
    return replace(share, task=_Follower(), callbacks=Callbacks())  # type: ignore[arg-type]


class _Follower:
    """In the place of ``Sweep``: runs jobs as it does, and says and records nothing.

    Attributes:
        num_failed: jobs that raised or diverged.
    """

    def __init__(self) -> None:
        self.num_failed = 0

    def __call__(self, cfg: DictConfig, build: Any) -> None:
        """Run one job, or go on with it."""
        try:
            # The first rank looks at the same time; it removes only what cannot be used, and both begin anew.
            begun = resume.find(Path(cfg.folder)).begun
            result = run_job(cfg, list(HydraConfig.get().overrides.task), build, begun)
            self.num_failed += result.status == "diverged"
        except (Exception, SystemExit) as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            self.num_failed += 1
