"""What is typed for a row. Imports neither Hydra nor torch."""

import shlex
from collections.abc import Sequence

from fulgurite.reproduce.rows import Row


def train_words(row: Row, seeds: int = 0, extra: Sequence[str] = ()) -> list[str]:
    """What follows ``python train.py -m`` for a row.

    Args:
        row: the row.
        seeds: how many; the row's own number when that is more.
        extra: further overrides, which decide no number.
    """
    number = max(row.seeds, seeds)
    launched = any(word.startswith("launcher=") for word in (*row.words, *extra))
    return [
        *row.words,
        f"seed=range({number})",
        *([] if launched else ["launcher=fused"]),
        *extra,
    ]


def train_command(row: Row) -> str:
    """The command of a row, as it can be typed without the table."""
    return f"python train.py -m {shlex.join(train_words(row))}"
