"""The record of a sweep, ``sweep.json``: what was typed, what is varied, and each job's config."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fulgurite import config
from fulgurite.board.experiment import write_experiment
from fulgurite.board.values import ABSENT, text_of
from fulgurite.errors import ConfigError
from fulgurite.leaves import all_leaves
from fulgurite.result import git_state, uncommitted, versions, write_atomically

if TYPE_CHECKING:
    from omegaconf import DictConfig

RECORD = "sweep.json"
# What the code had other than its commit; `git apply` takes it.
PATCH = "uncommitted.patch"
_LARGEST_PATCH = 1_000_000
_KINDS = {"overrides": list, "swept": dict, "num_jobs": int, "config": dict, "jobs": list}


@dataclass(frozen=True)
class Planned:
    """A job that is to run.

    Attributes:
        overrides: what makes it.
        config: its config as plain values, without the folder; empty when it cannot be resolved, which is told when
            the job is built.
    """

    overrides: Sequence[str]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Sought:
    """What a search is to find out, whose jobs are not known beforehand.

    Attributes:
        domains: what each varied key may be.
        num_jobs: how many there will be at most.
    """

    domains: Mapping[str, str]
    num_jobs: int


def planned(overrides: Sequence[str], cfg: "DictConfig") -> Planned:
    """A job from its composed config, whose folder is forgotten."""
    from omegaconf.errors import OmegaConfBaseException

    cfg.folder = ""
    try:
        return Planned(list(overrides), config.resolve(cfg))
    except OmegaConfBaseException:
        return Planned(list(overrides), {})


def write_record(
    folder: Path,
    overrides: Sequence[str],
    swept: Sequence[str],
    jobs: Sequence[Planned],
    sought: Sought | None = None,
) -> None:
    """Write ``sweep.json``: what is swept, as it was typed last, and the config of each job that is known by now.

    Where the jobs are known, TensorBoard's record of the sweep is written, too.
    """
    typed = {**(sought.domains if sought else {}), **values_of(overrides)}
    base = jobs[0].config if jobs else {}
    plain = {
        "name": folder.name,
        "swept": {key: typed.get(key, "") for key in swept},
        "overrides": list(overrides),
        "command": shlex.join(sys.argv),
        "git": git_state(Path.cwd()),
        "versions": versions(),
        "is_search": sought is not None,
        "num_jobs": sought.num_jobs if sought else len(jobs),
        "config": base,
        "jobs": [_plain(job, base) for job in jobs],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECORD, json.dumps(plain, indent=2) + "\n")
    patch = uncommitted(Path.cwd())
    if patch and len(patch) <= _LARGEST_PATCH:
        write_atomically(folder / PATCH, patch + "\n")
    else:
        (folder / PATCH).unlink(missing_ok=True)
    if jobs:
        write_experiment(folder, {key: _texts(key, jobs) for key in swept}, base)


def _texts(key: str, jobs: Sequence[Planned]) -> list[str]:
    """What the jobs have for a key, each value once; a dash for a job that is without it."""
    texts = (text_of(key, job.overrides, job.config) for job in jobs)
    return list(dict.fromkeys(ABSENT if text is None else text for text in texts))


def _plain(job: Planned, base: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides and fingerprint of a job, and what its config has other than ``base``."""
    one, own = dict(all_leaves(base)), dict(all_leaves(job.config))
    return {
        "overrides": job.overrides,
        "fingerprint": config.fingerprint(dict(job.config)) if job.config else "",
        "changed": {key: value for key, value in own.items() if key not in one or one[key] != value},
        "removed": [key for key in one if key not in own],
    }


def recorded_keys(folder: Path) -> list[str]:
    """What the sweep in ``folder`` varies, in the order that names its jobs; empty when there is no record."""
    return list(recorded_values(folder))


def recorded_values(folder: Path) -> dict[str, str]:
    """What the sweep in ``folder`` varies, with the values as they were typed; empty when there is no record."""
    return dict(_record(folder).get("swept", {}))


def was_search(folder: Path) -> bool | None:
    """Whether the sweep in ``folder`` is a search; ``None`` where it is not known."""
    found = _record(folder).get("is_search")
    return found if isinstance(found, bool) else None


def recorded_base(folder: Path) -> dict[str, Any]:
    """The config of the first job of the sweep in ``folder``; empty where it is not known."""
    return dict(_record(folder).get("config", {}))


def recorded_number(folder: Path) -> int:
    """How many jobs the sweep was to have when it was typed last; 0 without a record."""
    return int(_record(folder).get("num_jobs", 0))


def recorded_jobs(folder: Path) -> dict[str, list[str]]:
    """Fingerprint and overrides of each job of the sweep in ``folder``, as it was typed last; empty for a search."""
    jobs = _record(folder).get("jobs", [])
    return {str(job["fingerprint"]): [str(each) for each in job["overrides"]] for job in jobs}


def recorded_overrides(folder: Path) -> list[str]:
    """What was typed last for the sweep in ``folder``.

    Raises:
        ConfigError: when its record is not there or damaged.
    """
    try:
        return [str(each) for each in _record(folder)["overrides"]]
    except KeyError as error:
        raise ConfigError(
            f"{folder} has no readable {RECORD}; give the command that made the sweep again, with "
            f"sweep.name={folder.name}"
        ) from error


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    # A value of the wrong kind tells as little as none.
    return {name: value for name, value in record.items() if isinstance(value, _KINDS.get(name, object))}


def values_of(overrides: Sequence[str]) -> dict[str, str]:
    """Keys of overrides with their values as they were typed."""
    pairs = (override.partition("=") for override in overrides)
    return {key.lstrip("+~"): value for key, _, value in pairs}
