"""Reader of digits in CSV files: a label and 784 pixels a line, row by row from the upper left, 0 to 255.

Source: the files that Joseph Redmon made of MNIST, as Rashid, "Make your own neural network" (2016), uses them: whole,
and in subsets of 100 and 10 lines.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fulgurite.errors import DataError

_SIDE = 28
_COLUMNS = 1 + _SIDE**2


def read_csv_digits(path: Path) -> tuple[Tensor, Tensor]:
    """Read a file: images N x 28 x 28 of unsigned bytes, and labels N.

    A first line that does not begin with a number is a header. Empty lines are passed over.

    Raises:
        DataError: when the file cannot be read, has no digits, or a line is not a label and 784 pixels from 0 to 255.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
            is_header = bool(first.strip()) and not first.split(",")[0].strip().isdigit()
            lines = (line for line in chain([] if is_header else [first], file) if line.strip())
            # loadtxt warns when there is nothing to load.
            one = next(lines, None)
            if one is None:
                raise DataError(f"{path} holds no digits; give a label and {_COLUMNS - 1} pixels a line")
            numbers = np.loadtxt(chain([one], lines), dtype=np.int16, delimiter=",", comments=None, ndmin=2)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give a CSV file") from error
    except ValueError as error:
        # What follows is advice for who calls NumPy.
        what = str(error).partition(";")[0]
        raise DataError(
            f"{path} is not a CSV file of digits ({what}); give a label and {_COLUMNS - 1} whole pixels a line"
        ) from error
    return _checked(path, numbers)


def _checked(path: Path, numbers: np.ndarray) -> tuple[Tensor, Tensor]:
    if numbers.shape[1] != _COLUMNS:
        raise DataError(
            f"{path} has {numbers.shape[1]} columns; it must have {_COLUMNS}: a label and {_SIDE} x {_SIDE} pixels"
        )
    if numbers.min() < 0 or numbers.max() > 255:
        raise DataError(f"{path} has numbers from {numbers.min()} to {numbers.max()}; labels and pixels are 0 to 255")
    images = torch.from_numpy(numbers[:, 1:].astype(np.uint8)).view(-1, _SIDE, _SIDE)
    return images, torch.from_numpy(numbers[:, 0].astype(np.int64))
