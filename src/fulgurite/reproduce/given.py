"""A part of a YAML file that knows its place in it, so that what is refused is named by file, row and key."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from fulgurite.config import check_name
from fulgurite.errors import ConfigError, check_bool, check_choice, check_int, check_number, did_you_mean

_REQUIRED: Any = object()


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's own takes the last of two rows of one name, and says nothing."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is there twice", node.value[at][0].start_mark
                )
        return super().construct_mapping(node, deep)


def load(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        ConfigError: when it cannot be read, with the line.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error


class Node:
    """A mapping in the file.

    Args:
        place: where it stands, for messages.
        value: what stands there.

    Attributes:
        place: where it stands.
        keys: in their order.

    Raises:
        ConfigError: when that is no mapping.
    """

    def __init__(self, place: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place} must be keys with values, got {value!r}")
        self.place = place
        self.keys = tuple(str(key) for key in value)
        self._value = value

    def get(self, key: str) -> Any:
        """The value of a key; ``None`` without."""
        return self._value.get(key)

    def error(self, what: str) -> ConfigError:
        """``what`` is wrong, said with the place."""
        return ConfigError(f"{self.place}: {what}")

    def only(self, *known: str) -> None:
        """Refuse other keys, with the nearest known one.

        Raises:
            ConfigError: for the first of them.
        """
        for key in self.keys:
            if key not in known:
                raise self.error(f"there is no key {key}{did_you_mean(key, known)}; the keys are {', '.join(known)}")

    def node(self, key: str) -> "Node":
        """The mapping below a key."""
        return Node(f"{self.place}: {key}", self._taken(key, _REQUIRED))

    def nodes(self, key: str) -> list["Node"]:
        """The mappings that a key lists, at least one."""
        listed = self._taken(key, _REQUIRED)
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
            raise self.error(f"{key} must be a list, got {listed!r}")
        return [Node(f"{self.place}: {key}[{at}]", each) for at, each in enumerate(listed)]

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A text of one line."""
        value = self._taken(key, default)
        if isinstance(value, str) and "\n" not in value.strip():
            return value.strip()
        raise self.error(f"{key} must be a text of one line, got {value!r}")

    def texts(self, key: str, default: tuple[str, ...] = _REQUIRED) -> tuple[str, ...]:
        """A list of texts."""
        value = self._taken(key, default)
        if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise self.error(f"{key} must be a list of words such as [experiment=rashid_200], got {value!r}")

    def integer(self, key: str, low: int) -> int:
        """An integer of at least ``low``."""
        return self._checked(check_int, key, self._taken(key, _REQUIRED), low=low)

    def number(self, key: str) -> float:
        """A finite number."""
        return number(self, key, self._taken(key, _REQUIRED))

    def truth(self, key: str) -> bool:
        """True or false; false without the key."""
        return self._checked(check_bool, key, self._taken(key, False))

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """One of ``choices``, or the default without the key."""
        value = self._taken(key, default)
        return default if value == default else self._checked(check_choice, key, value, choices=choices)

    def _taken(self, key: str, default: Any) -> Any:
        value = self._value.get(key, default)
        if value is _REQUIRED:
            raise self.error(f"{key} is missing")
        return value

    def _checked(self, check: Any, key: str, value: Any, **allowed: Any) -> Any:
        try:
            return check(key, value, **allowed)
        except ConfigError as error:
            raise self.error(str(error)) from error


def number(node: Node, key: str, value: Any) -> float:
    """``value`` when it is a finite number; 1e-3, which YAML takes for a text, is one, too.

    Raises:
        ConfigError: otherwise.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return node._checked(check_number, key, value)


def folder_name(node: Node, name: str) -> str:
    """The name of a row, when it can be a folder's.

    Raises:
        ConfigError: otherwise.
    """
    try:
        return check_name(name)
    except ConfigError:
        raise node.error("the name of a row may have letters, digits and . _ + -") from None
