"""From the overrides of a sweep's jobs to their configs and folders. Imports no torch."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, open_dict

from fulgurite.compose import Composer


def composed(launcher: Any, job_overrides: Sequence[Sequence[str]], first: int) -> Iterator[tuple[int, DictConfig]]:
    """Numbers and configs of jobs, one by one as they are asked for; their files are read before the first.

    Args:
        launcher: Hydra's launcher, set up.
        job_overrides: of each job.
        first: number of the first of them.
    """
    setup_globals()
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    loader = launcher.hydra_context.config_loader
    compose = Composer(loader, partial(loader.load_sweep_config, launcher.config))
    compose.freeze(job_overrides)
    for number, overrides in enumerate(job_overrides, first):
        config = compose(overrides)
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        yield number, config
