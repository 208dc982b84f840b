"""From a config node to an object, with what it refuses told in the user's words: the only file that instantiates."""

import inspect
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from fulgurite.errors import ConfigError, FulguriteError, did_you_mean


def make(cfg: DictConfig, key: str, **extra: Any) -> Any:
    """Instantiate the node at ``key``, such as ``model`` or ``logger.csv``."""
    node = OmegaConf.select(cfg, key)
    _check_arguments(key, node)
    return named(key, _instantiated)(node, extra)


def make_all(cfg: DictConfig, group: str) -> list[Any]:
    """Instantiate each named node of a group such as ``callbacks``; a null switches one off."""
    return [make(cfg, f"{group}.{name}") for name, node in cfg[group].items() if node is not None]


def _instantiated(node: DictConfig, extra: dict[str, Any]) -> Any:
    """What Hydra's ``instantiate`` makes of a node; one without others inside takes a tenth of the time here."""
    plain: Any = OmegaConf.to_container(node, resolve=True)
    target, is_partial = plain.pop("_target_"), plain.pop("_partial_", False)
    if _asks_hydra(plain):
        return instantiate(node, **extra, _convert_="all")
    try:
        made = partial(get_object(target), **{**plain, **extra})
        return made if is_partial else made()
    except Exception as error:
        raise InstantiationException(f"Error in call to target '{target}':\n{error!r}") from error


def _asks_hydra(value: Any) -> bool:
    """Whether there is a key such as ``_target_`` or ``_args_`` in it, at any depth."""
    if isinstance(value, dict):
        return any(str(key).startswith("_") or _asks_hydra(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_asks_hydra, value))


def named(group: str, function: Any) -> Any:
    """``function``, with what it refuses told as an error of the config group."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except InstantiationException as error:
            cause = error.__cause__
            if isinstance(cause, ConfigError):
                raise ConfigError(_prefixed(group, str(cause))) from cause
            if isinstance(cause, FulguriteError):
                raise cause from None
            if isinstance(cause, ValueError | TypeError | RuntimeError | ImportError):
                raise ConfigError(f"{group}: {cause}") from cause
            raise
        except ConfigError as error:
            raise ConfigError(_prefixed(group, str(error))) from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{group}: {error}") from error

    return call


def _prefixed(group: str, message: str) -> str:
    """Put the group before a message that starts with a bare argument: ``dropout must`` to ``model.dropout must``."""
    first = message.split(" ", 1)[0]
    return message if "." in first and not first.startswith("spec.") or "=" in first else f"{group}.{message}"


def _check_arguments(group: str, node: DictConfig) -> None:
    """Refuse a key that the class does not take; Hydra's own ``+key=value`` would let a typo through to a TypeError.

    Raises:
        ConfigError: with the nearest argument and all of them.
    """
    target = node.get("_target_")
    if target is None:
        raise ConfigError(f"{group} names no class: its yaml needs a _target_")
    try:
        function = get_object(target)
    except Exception as error:
        raise ConfigError(f"{group}._target_={target} cannot be imported: {error}") from error
    known = _arguments(function)
    unknown = [key for key in map(str, node) if key not in known and not key.startswith("_")]
    if known and unknown:
        raise ConfigError(
            f"{group}.{unknown[0]} is not an argument of {target.rpartition('.')[2]}"
            f"{did_you_mean(unknown[0], known)}; it takes {', '.join(sorted(known))}"
        )


def _arguments(function: Any) -> list[str]:
    """Names of the arguments, those that ``**options`` hands to a base class included."""
    classes = inspect.getmro(function) if inspect.isclass(function) else [function]
    names: list[str] = []
    for one in classes:
        try:
            parameters = inspect.signature(one).parameters.values()
        except (ValueError, TypeError):
            return []
        names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names
