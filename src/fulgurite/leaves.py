"""A plain config as dotted names with values."""

from collections.abc import Iterator, Mapping
from typing import Any

from fulgurite.result import INDIFFERENT, ONLOOKERS

_ONLOOKERS = tuple(f"callbacks.{name}" for name in ONLOOKERS)


def deciding_leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted names and values, without what decides no number."""
    for name, value in all_leaves(node):
        first, last = name.partition(".")[0], name.rpartition(".")[2]
        if first not in INDIFFERENT and not name.startswith(_ONLOOKERS) and last != "folder":
            yield name, value


def all_leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; an empty mapping is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from all_leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
