"""Rows of numbers from a CSV file."""

import csv
import math
from pathlib import Path

from fulgurite.errors import DataError


def read_points(path: Path, num_features: int) -> list[tuple[int, list[float]]]:
    """Rows of a CSV file, each with the number of its line.

    A first line without any number is a header. Empty lines are passed over.

    Args:
        path: comma-separated values.
        num_features: columns that a row must have.

    Raises:
        DataError: when the file cannot be read, has no rows, or a row has other columns or anything but finite numbers.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give a CSV file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, line) for number, line in enumerate(csv.reader(file), start=1) if "".join(line).strip()]
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give a CSV file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as CSV ({error}); give a text file of numbers, one sample a line"
        ) from None
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path} holds no numbers; give one sample a line, {num_features} a line")
    return [(number, _row(path, number, line, num_features)) for number, line in lines]


def _row(path: Path, number: int, line: list[str], num_features: int) -> list[float]:
    if len(line) != num_features:
        raise DataError(
            f"{path} line {number} has {len(line)} columns, and this run's samples have {num_features}; "
            "give the features alone, in the order of the training data"
        )
    for cell in line:
        if not _is_number(cell):
            raise DataError(f"{path} line {number}: {cell!r} is not a finite number")
    return [float(cell) for cell in line]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
