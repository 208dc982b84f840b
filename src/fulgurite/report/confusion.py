"""The confusion matrix that a run has left in ``figures/confusion.json``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_NAME = "confusion.json"


@dataclass(frozen=True)
class Confusion:
    """Counts of what a class was taken for.

    Attributes:
        stage: the part of the data, ``val`` or ``test``.
        labels: C names of classes.
        counts: C rows of C counts: row is the true class, column the predicted one.
    """

    stage: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def read_confusion(run: Path) -> Confusion | None:
    """The matrix in a run folder; ``None`` where there is none, or it is no square of counts."""
    try:
        plain = json.loads((run / "figures" / FILE_NAME).read_text(encoding="utf-8"))
        return _checked(plain)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _checked(plain: Mapping[str, Any]) -> Confusion:
    labels = tuple(str(label) for label in plain["labels"])
    counts = tuple(tuple(int(count) for count in row) for row in plain["counts"])
    if not labels or {len(counts), *map(len, counts)} != {len(labels)} or min(map(min, counts)) < 0:
        raise ValueError(f"counts must be {len(labels)} rows of {len(labels)} counts")
    return Confusion(str(plain.get("stage", "val")), labels, counts)
