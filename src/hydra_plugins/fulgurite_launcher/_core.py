"""From the overrides of a sweep's jobs to jobs that train together."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf

from fulgurite.build import build
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.plan import groups
from fulgurite.fused.run import Settings, run_together
from fulgurite.log import quiet_libraries
from hydra_plugins.fulgurite_launcher._compose import Composer

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher.fused import FusedLauncher


def launch(launcher: "FusedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
    """Compose all jobs, then run them group by group."""
    setup_globals()
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    compose = Composer(launcher.hydra_context, launcher.config)
    configs = [compose(overrides, initial_job_idx + own) for own, overrides in enumerate(job_overrides)]
    returns: dict[int, JobReturn] = {}
    make = partial(build, epoch_loop=FusedEpochLoop, loaded={})

    def start(own: int) -> None:
        returns[own] = run_job(
            hydra_context=launcher.hydra_context,
            task_function=lambda cfg: launcher.task_function(_frozen(cfg), make),
            config=configs[own],
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    settings = Settings(tell=partial(print, flush=True), compile=launcher.compile, probe=launcher.probe)
    with quiet_libraries():
        for members in groups(configs, launcher.max_members):
            run_together({str(initial_job_idx + own + 1): partial(start, own) for own in members}, settings)
    return [returns[own] for own in range(len(job_overrides))]


def _frozen(cfg: DictConfig) -> DictConfig:
    """All interpolations resolved, because Hydra's own values change as jobs take turns; without lines of its own."""
    OmegaConf.resolve(cfg)
    cfg.callbacks.progress = None
    return cfg
