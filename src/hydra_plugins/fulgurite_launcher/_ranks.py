"""A job on several devices: ``python -m hydra_plugins.fulgurite_launcher._ranks JOBFOLDER``, once for each device.

The first is started by ``_child``. Lightning starts the others by the same command line; each reads the job's frozen
config from its folder. Further words, which Lightning adds, mean nothing here.
"""

import os
import pickle
import signal
import sys
from pathlib import Path

from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from fulgurite import hydra_job, resume
from fulgurite.cli import guarded
from fulgurite.job import run_job
from fulgurite.replay.run_folder import read_config
from hydra_plugins.fulgurite_launcher import _child


def main() -> int:
    """Run the job as one of its processes; returns the exit code."""
    handed = os.environ.pop(_child.HANDED, "")
    return guarded(lambda: _lead(*map(int, handed.split(","))) if handed else _follow(Path(sys.argv[1])))


def _lead(order_file: int, life_line: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _child.end_with(life_line)
    with os.fdopen(order_file, "rb") as file:
        order = pickle.load(file)
    return _child.run(order)


def _follow(folder: Path) -> int:
    """Train along; the first process says and records what comes of it."""
    setup_globals()
    hydra = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
    assert isinstance(hydra, DictConfig)
    hydra_job.as_current(hydra)
    cfg = read_config(folder)
    # Nothing comes of the overrides here: the first process records them.
    run_job(cfg, [], begun=resume.find(folder).begun)
    return 0


if __name__ == "__main__":
    sys.exit(main())
