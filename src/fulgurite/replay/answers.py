"""Tables of what a model said of pictures or of rows of numbers: all of it for a file, the first rows for the screen.

Shapes: N samples, C classes or numbers to predict.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

# More rows than anyone reads; the file has all of them.
MOST_SHOWN = 100
_MOST_FEATURES_SHOWN = 4


@dataclass(frozen=True)
class Answers:
    """Predictions: all of them as rows for the file, the first ones as a table for the screen."""

    header: list[str]
    rows: list[list[object]]
    table: Table
    note: str = ""


def label_of(path: Path, num_classes: int) -> int | None:
    """The class that a file's name starts or ends with: 7 for ``7_anna.png`` and ``own_7.png``; otherwise ``None``."""
    words = re.split(r"[_\-. ]+", path.stem)
    numbers = [int(word) for word in (words[0], words[-1]) if re.fullmatch("0|[1-9][0-9]{0,3}", word)]
    return next((number for number in numbers if number < num_classes), None)


def of_classes(files: Sequence[Path], chances: Sequence[Sequence[float]]) -> Answers:
    """Answers for pictures of one class each, with the labels that their names tell.

    Args:
        files: N.
        chances: N x C probabilities.
    """
    table = Table("file", "prediction", "most likely", "label", "", highlight=False)
    table.columns[0].overflow = "fold"
    rows: list[list[object]] = []
    for file, chance in zip(files, chances, strict=True):
        ranked = sorted(range(len(chance)), key=chance.__getitem__, reverse=True)
        label = label_of(file, len(chance))
        right = "" if label is None else "right" if label == ranked[0] else "wrong"
        told = [file, ranked[0], "" if label is None else label, right]
        rows.append([*told, *(f"{p:.6f}" for p in chance)])
        if len(rows) <= MOST_SHOWN:
            top = "  ".join(f"{c} {chance[c]:.1%}" for c in ranked[:3])
            table.add_row(*(Text(str(cell)) for cell in (*told[:2], top, *told[2:])))
    header = ["file", "prediction", "label", "right", *(f"probability_{c}" for c in range(len(chances[0])))]
    verdicts = [row[3] for row in rows if row[3]]
    return Answers(header, rows, table, f"{verdicts.count('right')} of {len(verdicts)} right." if verdicts else "")


def of_several(names: Sequence[str], task: str, files: Sequence[Path], outputs: Sequence[Sequence[float]]) -> Answers:
    """Answers for pictures by labels or by numbers, of which a picture has one of each name."""
    told = _told(names, task)
    rows: list[list[object]] = [[file, *told.cells(each)] for file, each in zip(files, outputs, strict=True)]
    header = ["file", *told.header]
    table = Table(*header, highlight=False)
    table.columns[0].overflow = "fold"
    for row in rows[:MOST_SHOWN]:
        table.add_row(*(Text(f"{cell:.4g}" if isinstance(cell, float) else str(cell)) for cell in row))
    return Answers(header, rows, table)


@dataclass(frozen=True)
class _Told:
    """How outputs of one sample are told: columns, and what fills them."""

    header: list[str]
    cells: Callable[[Sequence[float]], list[object]]


def _told(names: Sequence[str], task: str) -> _Told:
    """For labels 0 or 1 and a probability each; for numbers themselves."""
    if task == "regression":
        return _Told(list(names), list)
    return _Told(
        [*names, *(f"probability_{name}" for name in names)], lambda each: [*(int(p > 0.5) for p in each), *each]
    )


def of_points(
    names: Sequence[str], task: str, points: Sequence[tuple[Path, int, list[float]]], outputs: Sequence[list[float]]
) -> Answers:
    """Answers for rows of numbers.

    Args:
        names: of the outputs, or of the classes: their numbers where they have no others.
        task: of the data.
        points: N of file, line, and features.
        outputs: N x C.
    """
    if task == "classification":
        found = ["prediction", *(f"probability_{name}" for name in names)]
        answers: list[list[object]] = [[names[each.index(max(each))], *each] for each in outputs]
    else:
        told = _told(names, task)
        found, answers = told.header, [told.cells(each) for each in outputs]
    num_features = len(points[0][2])
    rows: list[list[object]] = [[f, n, *row, *y] for (f, n, row), y in zip(points, answers, strict=True)]
    header = ["file", "line", *numbered("x", num_features), *found]
    # The features of a wide sample do not fit on a screen.
    shown = [i for i in range(len(header)) if num_features <= _MOST_FEATURES_SHOWN or not 2 <= i < 2 + num_features]
    table = Table(*(header[i] for i in shown), highlight=False)
    for row in rows[:MOST_SHOWN]:
        cells = [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row]
        table.add_row(*(Text(cells[i]) for i in shown))
    return Answers(header, rows, table)


def numbered(name: str, count: int) -> list[str]:
    """``["x"]`` for one column, ``["x_1", "x_2"]`` for two."""
    return [name] if count == 1 else [f"{name}_{i}" for i in range(1, count + 1)]
