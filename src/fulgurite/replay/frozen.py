"""Overrides of a frozen config: new values for keys that there are. The groups of a recorded run are settled."""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError, did_you_mean


def apply_overrides(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A copy of a composed config with values changed.

    Args:
        cfg: the config, interpolations unresolved: those that refer to a changed value follow it.
        overrides: in Hydra's syntax, such as ``optimizer.lr=0.01`` or ``+trainer.profiler=simple``.

    Raises:
        ConfigError: for a group such as ``model=mlp``, a sweep such as ``seed=1,2``, an unknown key, or a wrong type.
    """
    changed = cfg.copy()
    for text in overrides:
        override = _parse(text)
        _check(cfg, override, text)
        try:
            ConfigLoaderImpl._apply_overrides_to_config([override], changed)
        except (HydraException, OmegaConfBaseException) as error:
            cause = str(error.__cause__ or error).strip().splitlines()[0]
            raise ConfigError(f"{text} cannot be set: {cause}") from error
    return changed


def _parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(f"{text!r} is no override; write key=value, such as optimizer.lr=0.01") from error


def _check(cfg: DictConfig, override: Override, text: str) -> None:
    key = override.key_or_group
    if override.is_sweep_override():
        raise ConfigError(f"{text} names several values; give one, and use `fulgurite train -m` for a sweep")
    groups = {path.name for path in CONF_DIR.iterdir() if path.is_dir()}
    is_group = key in groups or "/" in key or "@" in key
    if is_group and not isinstance(override.value(), dict):
        raise ConfigError(
            f"{text} chooses another group option, and a recorded run keeps its own; change single values such as "
            f"optimizer.lr=0.01, or start a new run with `fulgurite train ... {text}`"
        )
    known = list(_keys(cfg))
    if not override.is_add() and not override.is_force_add() and key not in known:
        raise ConfigError(
            f"{key} is not a key of the run's config{did_you_mean(key, known)}; it is in .hydra/config.yaml"
        )


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """The dotted name of each key; what is behind an interpolation has its name elsewhere."""
    if isinstance(node, DictConfig):
        for key in map(str, node):
            yield f"{prefix}{key}"
            if not OmegaConf.is_interpolation(node, key) and not OmegaConf.is_missing(node, key):
                yield from _keys(node[key], f"{prefix}{key}.")
