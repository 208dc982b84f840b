"""The folder of a sweep and of its jobs: where they are, and the one driver at work."""

import math
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fulgurite.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LOCK = ".lock"
# What is said to a person whose sweep cannot have a folder; a row of the table of results has no other.
ANOTHER_NAME = "choose another sweep.name"


def job_folder(cfg: "DictConfig") -> Path:
    """The folder of a job, as Hydra will choose it.

    Args:
        cfg: its config, with Hydra's own part.
    """
    return _evaluated(cfg, "hydra.sweep.dir") / str(_evaluated(cfg, "hydra.sweep.subdir"))


def folder_of_sweep(cfg: "DictConfig") -> Path:
    """The folder of the sweep that a job belongs to, as Hydra will choose it.

    Args:
        cfg: the job's config, with Hydra's own part.
    """
    return _evaluated(cfg, "hydra.sweep.dir")


def _evaluated(cfg: "DictConfig", key: str) -> Path:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from fulgurite.hydra_job import as_current

    before = HydraConfig.instance().cfg
    as_current(cfg)
    try:
        return Path(str(OmegaConf.select(cfg, key)))
    finally:
        HydraConfig.instance().cfg = before


def named_folder(name: str) -> Path:
    """The folder of the sweep that is called ``name``, or lies there.

    Raises:
        ConfigError: when there is none, with the nearest of those that are there.
    """
    place = Path("outputs", "sweeps")
    for folder in (place / name, Path(name)):
        # Unlike Path.is_dir it takes a name that is too long for none.
        if os.path.isdir(folder) and name not in ("", "."):
            return folder
    known = sorted(path.name for path in place.glob("*") if path.is_dir())
    raise ConfigError(
        f"there is no sweep {name} in {place}{did_you_mean(name, known)}; the argument is a name, or a folder such as "
        "my_outputs/sweeps/NAME"
    )


@contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Work on the sweep in ``folder`` alone. The lock goes with its process, however that ends.

    Raises:
        ConfigError: while another process works on it.
    """
    try:
        import fcntl
    except ImportError:
        # Windows has no such locks; two drivers at once are not noticed there.
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+", encoding="utf-8") as file:
        try:
            # Of the process, not of the file: children that outlive a killed driver do not hold it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise ConfigError(
                f"the sweep {folder.name} is being worked on by {file.read().strip() or 'another process'}; wait for "
                f"it or stop it, or {ANOTHER_NAME}"
            ) from error
        except OSError:
            # A file system without locks.
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def driver_of(folder: Path) -> str:
    """The process that works on the sweep in ``folder``; empty when there is none."""
    try:
        said = (folder / _LOCK).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    found = re.fullmatch(r"process (\d+) on (.+)", said)
    if found is None or (found[2] == socket.gethostname() and not is_alive(int(found[1]))):
        return ""
    return said


def at_work_since(folder: Path) -> float:
    """When that process began to work on it, in seconds since 1970; infinite when there is none."""
    try:
        began = (folder / _LOCK).stat().st_mtime
    except OSError:
        return math.inf
    return began if driver_of(folder) else math.inf


def is_alive(process: int) -> bool:
    """Whether there is a process of this number on this machine, and it has not ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's.
        return True
    try:
        # In a container nobody may ask how a killed process ended; it is kept, dead, for whoever would.
        return (
            Path("/proc", str(process), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2][1]
            != "Z"
        )
    except (OSError, IndexError):
        return True
