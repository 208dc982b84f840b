"""From the overrides of a sweep's jobs to jobs that train together."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fulgurite.build import Run, build
from fulgurite.compose import Composer
from fulgurite.config import Engine
from fulgurite.errors import ConfigError
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.run import run_together
from fulgurite.fused.together import Settings
from fulgurite.groups import groups, structure_of
from fulgurite.resume import has_ended
from fulgurite.sweep import job_folder

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_launcher.fused import FusedLauncher


def launch(launcher: "FusedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
    """Compose all jobs, then run them group by group."""
    setup_globals()
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    configs = _compose_all(launcher, job_overrides, initial_job_idx)
    returns: dict[int, JobReturn] = {}
    make = _Maker()

    def start(own: int) -> None:
        returns[own] = run_job(
            hydra_context=launcher.hydra_context,
            task_function=lambda cfg: launcher.task_function(_frozen(cfg), make),
            config=configs[own],
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    settings = Settings(
        tell=partial(print, flush=True),
        halving=launcher.halving,
        compile=launcher.compile,
        probe=launcher.probe,
    )
    ended = {own for own, cfg in enumerate(configs) if has_ended(job_folder(cfg))}
    for own in sorted(ended):
        start(own)
    # The groups are those of all jobs: a sweep that goes on has the programs that it had.
    for every in groups(configs, launcher.max_members):
        members = [own for own in every if own not in ended]
        run_together({str(initial_job_idx + own + 1): partial(start, own) for own in members}, settings)
    return [returns[own] for own in range(len(job_overrides))]


def _compose_all(
    launcher: "FusedLauncher", job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[DictConfig]:
    loader = launcher.hydra_context.config_loader
    compose = Composer(loader, partial(loader.load_sweep_config, launcher.config))
    configs = []
    for number, overrides in enumerate(job_overrides, initial_job_idx):
        config = compose(overrides)
        if config.engine != Engine.eager:
            raise ConfigError(
                f"engine={config.engine.value} is for jobs that train one by one; with launcher=fused leave it out and "
                "use launcher.compile=true"
            )
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        configs.append(config)
    return configs


def _frozen(cfg: DictConfig) -> DictConfig:
    """All interpolations resolved, because Hydra's own values change as jobs take turns; without lines of its own."""
    # One that cannot be resolved is told when the job is built.
    with suppress(OmegaConfBaseException):
        OmegaConf.resolve(cfg)
    if "progress" in cfg.callbacks:
        cfg.callbacks.progress = None
    return cfg


class _Maker:
    """Builds the runs of a sweep: they share their data, and only the first of them tries its validation out."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._tried: set[str] = set()

    def __call__(self, cfg: DictConfig) -> Run:
        run = build(cfg, epoch_loop=FusedEpochLoop, loaded=self._loaded)
        structure = structure_of(cfg)
        if structure in self._tried:
            run.trainer.num_sanity_val_steps = 0
        self._tried.add(structure)
        return run
