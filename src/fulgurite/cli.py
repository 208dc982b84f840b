"""The command line. Knows Hydra; imports torch only inside a job."""

import os
import sys
from collections.abc import Sequence

from omegaconf import DictConfig


def main() -> None:
    """The console command ``fulgurite``."""
    train(sys.argv[2:])


def train(argv: Sequence[str] | None = None) -> None:
    """What ``python train.py`` does: one run, or with ``-m`` a sweep."""
    from hydra._internal.utils import _run_hydra, get_args_parser

    from fulgurite import config

    config.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    parser = get_args_parser()
    args = parser.parse_args(list(sys.argv[1:] if argv is None else argv))
    _run_hydra(
        args=args,
        args_parser=parser,
        task_function=_task,
        config_path=str(config.CONF_DIR),
        config_name=config.CONFIG_NAME,
    )


def _task(cfg: DictConfig) -> float | None:
    from hydra.core.hydra_config import HydraConfig

    from fulgurite.job import run_job

    result = run_job(cfg, list(HydraConfig.get().overrides.task))
    print(result)
    return result.objective.value
