"""What a user can mend, said in one message: the errors of Hydra and OmegaConf in the words of this project.

Imports no torch. Everything here runs after something went wrong, so the config may be composed again for advice.
"""

import difflib
import os
import re
from collections.abc import Sequence
from enum import EnumType
from types import UnionType
from typing import Any, get_args, get_type_hints

import yaml
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from fulgurite import config, help
from fulgurite.errors import FulguriteError, did_you_mean

_KINDS = {int: "an integer", bool: "true or false", str: "text", float: "a number", type(None): "null"}
_HELP = "`python train.py --help` lists the groups, `python train.py --cfg job` all keys"


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str | None:
    """One message for an error that the user can mend, or ``None`` for a bug.

    Args:
        error: what was raised.
        overrides: what was typed, as Hydra overrides.
    """
    if isinstance(error, FulguriteError):
        return str(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return _syntax(error.override)
    if isinstance(error, ConfigCompositionException):
        return _composition(error, overrides)
    if isinstance(error, MissingMandatoryValue):
        return f"{_key(error)} has no value; give one with {_key(error)}=..."
    if isinstance(error, InterpolationResolutionError):
        return _interpolation(error, overrides)
    if isinstance(error, yaml.YAMLError):
        return f"a config file is no valid YAML: {_one_line(error)}"
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, FulguriteError):
        return str(error.__cause__)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _one_line(error)
    if isinstance(error, RuntimeError) and re.search(
        r"inline_container|PytorchStreamWriter|file write failed", str(error)
    ):
        return "a checkpoint could not be written: the disk is full, or a quota or file size limit is reached"
    return _no_option(overrides)


def explain_folder(error: OSError) -> str:
    """The message for an output folder that cannot be made or written."""
    return (
        f"the output folder {error.filename} cannot be written ({error.strerror}); choose another with output_root=DIR"
    )


def suggest(key: str, overrides: Sequence[str] = ()) -> list[str]:
    """Up to three keys or groups of the config that ``key`` may have been meant for, the likeliest first.

    A key whose last component is the same comes first (``lr``: ``optimizer.lr``), then those that are spelt alike.
    """
    known = _known_keys(overrides)
    last = re.split(r"[./]", key)[-1]
    same_last = [name for name in known if name.rpartition(".")[2] == last]
    alike = _nearest(key, known, cutoff=0.75)
    by_last: dict[str, list[str]] = {}
    for name in known:
        by_last.setdefault(name.rpartition(".")[2], []).append(name)
    loosely = [name for near in _nearest(last, list(by_last), cutoff=0.65) for name in by_last[near]]
    best = difflib.get_close_matches(key, same_last, n=3, cutoff=0) or alike or loosely
    return best[:3]


def _nearest(word: str, choices: Sequence[str], cutoff: float) -> list[str]:
    """The choice most like ``word``, and those that are as like it."""
    near = difflib.get_close_matches(word, choices, n=3, cutoff=cutoff)
    likeness = [difflib.SequenceMatcher(a=choice, b=word).ratio() for choice in near]
    return [choice for choice, ratio in zip(near, likeness, strict=True) if ratio > max(likeness) - 0.01]


def _known_keys(overrides: Sequence[str]) -> list[str]:
    """All keys of the config with the options that were typed, and all groups; read off the files, which is quick."""
    chosen = help.groups() | _choices(overrides)
    names = ["hydra", *_flatten(_load(config.CONFIG_NAME))]
    for group, option in chosen.items():
        name = f"{group}/{(option or '').split(',')[0]}"
        names += [group, *_flatten(_load(name), "" if _is_global(name) else f"{group}.")]
    return list(dict.fromkeys(names))


def _is_global(name: str) -> bool:
    """Whether a config file holds whole keys, not those of its group."""
    path = config.CONF_DIR / f"{name}.yaml"
    return path.is_file() and path.read_text(encoding="utf-8").startswith("# @package _global_")


def _load(name: str) -> dict[str, Any]:
    """A config file as plain values, with those of its own folder that it builds on; empty when there is none."""
    path = config.CONF_DIR / f"{name}.yaml"
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError):
        return {}
    bases = [base for base in node.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    folder = name.rpartition("/")[0]
    for base in bases if folder else []:
        node = _load(f"{folder}/{base}") | node
    return node


def _choices(overrides: Sequence[str]) -> dict[str, str]:
    """The overrides that choose an option of a group."""
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    return {key: value for key, _, value in pairs if os.path.isdir(config.CONF_DIR / key) and key}


def _flatten(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    keys = [f"{prefix}{key}" for key in node if not str(key).startswith("_")]
    return [name for key in keys for name in (key, *_flatten(node[key[len(prefix) :]], f"{key}."))]


def _composition(error: ConfigCompositionException, overrides: Sequence[str]) -> str:
    text = str(error)
    if isinstance(error.__cause__, ValidationError):
        return _wrong_type(text, error.__cause__)
    if match := re.match(r"Could not override '(.+?)'|Could not delete from config\. '(.+?)' does not", text):
        return _unknown_key(match[1] or match[2], overrides)
    if match := re.match(r"Ambiguous value for argument '(.+)'", text):
        return f"{match[1]} holds several values: add -m to run each, or write a list as [a,b]"
    if match := re.match(r"Multiple values for (\S+?)\.", text):
        return f"the group {match[1]} has an option already: write {match[1]}=OPTION without the +"
    return _one_line(error)


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    near = suggest(key, overrides)
    group = key.partition(".")[0]
    option = _choices(overrides).get(group)
    where = f" in {group}={option}" if option else ""
    return f"there is no key {key}{where}; " + (f"did you mean {' or '.join(near)}?" if near else _HELP)


def _wrong_type(text: str, cause: ValidationError) -> str:
    key = _key(cause)
    value = text.partition("=")[2] or str(cause).partition("\n")[0]
    kind = _kind(key)
    return f"{key} must be {kind}, got {value}{did_you_mean(value, kind.removeprefix('one of ').split(', '))}"


def _kind(key: str) -> str:
    """What the typed schema wants at ``key``."""
    wanted: Any = config.TrainConfig
    for part in key.split("."):
        wanted = get_type_hints(wanted).get(part, str)
    if isinstance(wanted, EnumType):
        return f"one of {', '.join(wanted.__members__)}"
    kinds = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
    return " or ".join(_KINDS.get(kind, f"a group of keys, such as {key}.KEY=VALUE") for kind in kinds)


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return f"there is no config {option}; {_HELP}"
    if (group, option) == ("hydra/launcher", "joblib"):
        return 'launcher=joblib needs an extra package: pip install "fulgurite[joblib]"'
    known = [str(name) for name in error.options or []]
    if not known:
        return f"{group}={option}: the group {group} has no such option; its files lie in {config.CONF_DIR / group}"
    hint = _elsewhere(group, option) or did_you_mean(option, known)
    return f"{group} must be one of {', '.join(known)}; got {option}{hint}"


def _elsewhere(group: str, option: str) -> str:
    """What to say of an experiment that is taken for a sweep, or the other way round."""
    other = {"experiment": "sweep", "sweep": "experiment"}.get(group, "")
    return f" (did you mean {other}={option}?)" if other and option in help.options(other) else ""


def _no_option(overrides: Sequence[str]) -> str | None:
    """Hydra dies of a group that is set to a number, a list or null; say so when one is."""
    for group, option in _choices(overrides).items():
        known = help.options(group)
        if known and option.split(",")[0] not in known:
            return f"{group} must be one of {', '.join(known)}; got {option}"
    if any(override.startswith("=") for override in overrides):
        return "an override needs a key before its =: KEY=VALUE"
    return None


def _syntax(override: str) -> str:
    if "=" in override:
        return (
            f"cannot read {override}: close each bracket and quote, and quote text that holds a space, "
            "a comma or a bracket: 'KEY=\"a, b\"'"
        )
    groups = [group for group in help.groups() if override in help.options(group)]
    return f"{override} lacks a value: write {f'{groups[0]}={override}' if groups else f'{override}=VALUE'}"


def _interpolation(error: InterpolationResolutionError, overrides: Sequence[str]) -> str:
    match = re.search(r"Interpolation key '(.+?)' not found", str(error))
    if match is None:
        # What a resolver of our own refuses.
        return _one_line(error).removeprefix("ConfigError raised while resolving interpolation: ")
    # OmegaConf names the key that it was asked for, which may lie far from the one that holds the reference.
    typed = [override for override in overrides if f"${{{match[1]}}}" in override]
    return f"{typed[0] if typed else _key(error)} refers to {match[1]}, which the config lacks; {_HELP}"


def _key(error: OmegaConfBaseException) -> str:
    return str(error.full_key or error.key or "a key")


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [
        line for line in lines if line and not line.startswith(("full_key", "object_type", "reference_type", "See "))
    ]
    return "; ".join(kept)
