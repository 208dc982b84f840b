"""Whether jobs belong to the sweep in a folder, or to another one, which is refused with the difference."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.leaves import deciding_leaves
from fulgurite.result import FILE_NAME, INDIFFERENT
from fulgurite.resume import record_in
from fulgurite.sweep.folder import ANOTHER_NAME
from fulgurite.sweep.record import Planned, recorded_keys, values_of, was_search

# Differences shown of two configs.
_MOST_SHOWN = 5


def refuse_another(folder: Path, swept: Sequence[str], jobs: Sequence[Planned], is_search: bool = False) -> None:
    """Refuse jobs that do not belong to the sweep in ``folder``.

    Raises:
        ConfigError: when that sweep varies other keys, is a search and this one is not, or its jobs have another
            config, with the difference.
    """
    searched = was_search(folder)
    if searched not in (None, is_search):
        kinds = ("all combinations of values", "a search")
        raise ConfigError(
            f"the sweep {folder.name} is {kinds[bool(searched)]}, this command {kinds[is_search]}; {ANOTHER_NAME}"
        )
    recorded = recorded_keys(folder)
    if recorded and set(recorded) != set(swept):
        raise ConfigError(
            f"the sweep {folder.name} varies {_listed(recorded)}, this command {_listed(swept)}; {ANOTHER_NAME}"
        )
    results = {path.parent: record_in(path.parent) for path in sorted(folder.glob(f"*/{FILE_NAME}"))}
    known = {_setting(result.overrides, swept): (path, result) for path, result in results.items() if result}
    met = False
    for job in jobs:
        path, result = known.get(_setting(job.overrides, swept), (None, None))
        if path is None or result is None or not result.fingerprint:
            continue
        met = True
        if job.config and config.fingerprint(dict(job.config)) != result.fingerprint:
            title = config.describe(job.overrides, only=swept, between=" ")
            raise ConfigError(_changed(folder, title, differences(_recorded_config(path), job.config)))
    if jobs and known and not met:
        then, now = (_rest(each, swept) for each in (next(iter(known.values()))[1].overrides, jobs[0].overrides))
        # All jobs are new: what is not swept must be what it was for the others.
        if then != now:
            raise ConfigError(_changed(folder, "its jobs", differences(then, now)))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``optimizer.lr: 0.1 then, 0.2 now`` for each number of a run that two plain configs decide differently."""
    one, other = (dict(deciding_leaves(each)) for each in (old, new))
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    return [f"{key}: {one.get(key, 'absent')} then, {other.get(key, 'absent')} now" for key in keys]


def _changed(folder: Path, what: str, found: Sequence[str]) -> str:
    shown = list(found[:_MOST_SHOWN]) or ["it cannot be read any more"]
    if len(found) > _MOST_SHOWN:
        shown.append(f"and {len(found) - _MOST_SHOWN} more")
    how = "; ".join(shown)
    return f"the sweep {folder.name} has {what} with another config: {how}; take the change back, or {ANOTHER_NAME}"


def _setting(overrides: Sequence[str], swept: Sequence[str]) -> tuple[tuple[str, str], ...]:
    values = values_of(overrides)
    return tuple(sorted((key, values.get(key, "")) for key in swept))


def _rest(overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    """What is overridden for all jobs alike, and decides numbers."""
    left_out = (*INDIFFERENT, "hydra")
    values = values_of(overrides).items()
    return {key: value for key, value in values if key not in swept and key.partition(".")[0] not in left_out}


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


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "nothing"
