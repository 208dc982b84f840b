"""What overrides set, as TensorBoard's HParams tab takes it: a number, a truth value or a text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Value = float | bool | str
Kind = Literal["number", "bool", "text"]

# Of a job that is without a key. It makes texts of the numbers of other jobs: the page leaves a row without a number
# out of its parallel coordinates.
ABSENT = "-"


def typed_values(overrides: Sequence[str]) -> dict[str, str]:
    """``["+a.b=1", "~c"]`` to ``{"a.b": "1"}``."""
    pairs = (override.partition("=") for override in overrides if not override.startswith("~"))
    return {key.lstrip("+"): value for key, _, value in pairs}


def text_of(key: str, overrides: Sequence[str], config: Mapping[str, Any]) -> str | None:
    """What a job has for a key: as it was typed, or else as it was composed; ``None`` when it has nothing.

    Args:
        key: of the config, with dots.
        overrides: what makes the job.
        config: its config as plain values.
    """
    typed = typed_values(overrides)
    if key in typed:
        return _unquoted(typed[key])
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    # The node of a group says nothing of its name.
    return None if isinstance(node, Mapping) else _as_typed(node)


def kind_of(texts: Sequence[str]) -> Kind:
    """The kind of a key, of which these values are known: what all of them can be."""
    if texts and all(_number(text) is not None for text in texts):
        return "number"
    return "bool" if texts and all(text.lower() in ("true", "false") for text in texts) else "text"


def value_of(text: str | None, kind: Kind) -> Value | None:
    """A value of a key of that kind; ``None`` where there is none and nothing can stand for it."""
    if kind == "text":
        return ABSENT if text is None else text
    if text is None:
        return None
    return _number(text) if kind == "number" else text.lower() == "true"


def _as_typed(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_as_typed, value))}]"
    return str(value)


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1].replace(f"\\{text[0]}", text[0]) if is_quoted else text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
