"""The folder of a sweep: its record, the one driver at work on it, and what is not taken into it."""

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.result import FILE_NAME, INDIFFERENT, git_state, versions, write_atomically
from fulgurite.resume import record_in

if TYPE_CHECKING:
    from omegaconf import DictConfig

RECORD = "sweep.json"
_LOCK = ".lock"
# Differences shown of two configs.
_MOST_SHOWN = 5
_REMEDY = "choose another sweep.name"


@dataclass(frozen=True)
class Planned:
    """A job that is to run.

    Attributes:
        overrides: what makes it.
        cfg: its composed config.
    """

    overrides: Sequence[str]
    cfg: "DictConfig"


def write_record(folder: Path, overrides: Sequence[str], swept: Sequence[str]) -> None:
    """Write ``sweep.json``: what is swept, as it was typed last."""
    typed = _values(overrides)
    plain = {
        "name": folder.name,
        "swept": {key: typed.get(key, "") for key in swept},
        "overrides": list(overrides),
        "command": shlex.join(sys.argv),
        "git": git_state(Path.cwd()),
        "versions": versions(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECORD, json.dumps(plain, indent=2) + "\n")


def recorded_keys(folder: Path) -> list[str]:
    """What the sweep in ``folder`` varies, in the order that names its jobs; empty when there is no record."""
    try:
        return list(json.loads((folder / RECORD).read_text(encoding="utf-8"))["swept"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def refuse_another(folder: Path, swept: Sequence[str], planned: Sequence[Planned]) -> None:
    """Refuse jobs that do not belong to the sweep in ``folder``.

    Raises:
        ConfigError: when that sweep varies other keys, or its jobs have another config, with the difference.
    """
    recorded = recorded_keys(folder)
    if recorded and set(recorded) != set(swept):
        raise ConfigError(
            f"the sweep {folder.name} varies {_listed(recorded)}, this command {_listed(swept)}; {_REMEDY}"
        )
    jobs = {path.parent: record_in(path.parent) for path in sorted(folder.glob(f"*/{FILE_NAME}"))}
    known = {_setting(result.overrides, swept): (path, result) for path, result in jobs.items() if result}
    met = False
    for job in planned:
        path, result = known.get(_setting(job.overrides, swept), (None, None))
        if path is None or result is None or not result.fingerprint:
            continue
        met = True
        now = _plain(job.cfg)
        if now and config.fingerprint(now) != result.fingerprint:
            title = config.describe(job.overrides, only=swept, between=" ")
            raise ConfigError(_changed(folder, title, differences(_recorded_config(path), now)))
    if planned and known and not met:
        then, now = (_rest(each, swept) for each in (next(iter(known.values()))[1].overrides, planned[0].overrides))
        # All jobs are new: what is not swept must be what it was for the others.
        if then != now:
            raise ConfigError(_changed(folder, "its jobs", differences(then, now)))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``optimizer.lr: 0.1 then, 0.2 now`` for each number of a run that two plain configs decide differently."""
    one, other = (dict(_leaves(each)) for each in (old, new))
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    return [f"{key}: {one.get(key, 'absent')} then, {other.get(key, 'absent')} now" for key in keys]


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
                "it or stop it, or choose another sweep.name"
            ) from error
        except OSError:
            # A file system without locks.
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _changed(folder: Path, what: str, found: Sequence[str]) -> str:
    shown = list(found[:_MOST_SHOWN]) or ["it cannot be read any more"]
    if len(found) > _MOST_SHOWN:
        shown.append(f"and {len(found) - _MOST_SHOWN} more")
    how = "; ".join(shown)
    return f"the sweep {folder.name} has {what} with another config: {how}; take the change back, or {_REMEDY}"


def _setting(overrides: Sequence[str], swept: Sequence[str]) -> tuple[tuple[str, str], ...]:
    values = _values(overrides)
    return tuple(sorted((key, values.get(key, "")) for key in swept))


def _rest(overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    """What is overridden for all jobs alike, and decides numbers."""
    left_out = (*INDIFFERENT, "hydra")
    values = _values(overrides).items()
    return {key: value for key, value in values if key not in swept and key.partition(".")[0] not in left_out}


def _values(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.partition("=") for override in overrides)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _plain(cfg: "DictConfig") -> dict[str, Any]:
    """The config as plain values; empty when it cannot be resolved, which is told when the job is built."""
    from omegaconf.errors import OmegaConfBaseException

    copied = cfg.copy()
    copied.folder = ""
    try:
        return config.resolve(copied)
    except OmegaConfBaseException:
        return {}


def _recorded_config(folder: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        cfg = OmegaConf.load(folder / ".hydra" / "config.yaml")
        cfg.folder = ""
        return config.resolve(cfg)  # type: ignore[arg-type]
    except (OSError, YAMLError, OmegaConfBaseException):
        return {}


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, without what decides no number."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in (*INDIFFERENT, "callbacks.progress") or key == "folder":
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "nothing"
