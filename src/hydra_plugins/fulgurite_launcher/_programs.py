"""From composed configs to jobs that train together, in this process. Imports torch, which takes seconds."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fulgurite import hydra_job
from fulgurite.build import Run, build
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.ranks import Ranks
from fulgurite.fused.run import run_together
from fulgurite.fused.settings import Settings
from fulgurite.fused.spread import SpreadEpochLoop, spread
from fulgurite.groups import structure_of
from fulgurite.sweep.folder import job_folder
from hydra_plugins.fulgurite_launcher._share import Share


def run_share(share: Share, ranks: Ranks | None = None) -> dict[int, JobReturn]:
    """Run the jobs of ``share``, program by program; their results by number.

    Args:
        share: the jobs.
        ranks: processes that run the same share on other parts of the batches.
    """
    ranks = ranks or Ranks()
    returns: dict[int, JobReturn] = {}
    make = _Maker(ranks)

    def start(number: int) -> None:
        config, failed_before = share.configs[number], share.task.num_failed
        returns[number] = hydra_job.run(
            config, job_folder(config), lambda cfg: share.task(_frozen(cfg), make), share.callbacks
        )
        if share.task.num_failed > failed_before:
            ranks.meet_failed(f"job {number + 1}")

    settings = Settings(
        tell=partial(print, flush=True) if ranks.rank == 0 else lambda line: None,
        halving=share.halving,
        compile=share.compile,
        probe=share.probe,
        sharers=share.sharers,
        ranks=ranks,
    )
    for program in share.programs:
        jobs = {str(number + 1): partial(start, number) for number in program.jobs}
        run_together(jobs, replace(settings, rungs=program.rungs))
    return returns


def _frozen(cfg: DictConfig) -> DictConfig:
    """All interpolations resolved, because Hydra's own values change as jobs take turns; without lines of its own."""
    # One that cannot be resolved is told when the job is built.
    with suppress(OmegaConfBaseException):
        OmegaConf.resolve(cfg)
    if "progress" in cfg.callbacks:
        cfg.callbacks.progress = None
    return cfg


class _Maker:
    """Builds the runs of a share: they share their data, and only the first of them tries its validation out.

    Args:
        ranks: who trains them.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._loaded: dict[str, Any] = {}
        self._tried: set[str] = set()

    def __call__(self, cfg: DictConfig) -> Run:
        loop = FusedEpochLoop if self._ranks.size == 1 else SpreadEpochLoop
        run = build(cfg, epoch_loop=loop, loaded=self._loaded)
        if self._ranks.size > 1:
            spread(run.trainer, self._ranks)
        structure = structure_of(cfg)
        if structure in self._tried:
            run.trainer.num_sanity_val_steps = 0
        self._tried.add(structure)
        return run
