"""The curves in a run folder, cut back to a checkpoint: what a killed run has logged beyond it will be logged again."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fulgurite.board.events import read_records, write_records
from fulgurite.result import write_atomically

CSV_NAME = "metrics.csv"
EVENTS = "events.out.tfevents.*"
# A file's time is that of a coarse clock.
_SLACK_S = 0.02


@dataclass(frozen=True)
class Cut:
    """A checkpoint, as the place where curves end.

    Attributes:
        epochs: epochs completed.
        steps: optimiser steps made.
        until: when it was written, in seconds since 1970.
        row: what is logged again as the run goes on, with its ``step`` and ``epoch``; empty when there is none.
    """

    epochs: int
    steps: int
    until: float
    row: Mapping[str, Any]

    @property
    def names(self) -> set[str]:
        """Names of the metrics that are logged again."""
        return set(self.row) - {"step", "epoch"}


def cut_curves(folder: Path, cut: Cut) -> None:
    """Drop from ``metrics.csv`` and the TensorBoard events what will be logged again: all beyond ``cut``, and tests."""
    path = folder / CSV_NAME
    if path.exists():
        rows = [row for row in read_rows(path) if _stays(row, cut)]
        write_rows(path, sorted({name for row in rows for name, value in row.items() if value}), rows)
    for events in folder.glob(EVENTS):
        _cut_events(events, cut)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, a last one that was written in part left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]


def write_rows(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``metrics.csv``, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    if names:
        writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def _stays(row: Mapping[str, str], cut: Cut) -> bool:
    if not row.get("step", "").isdecimal():
        return False
    named = {name for name, value in row.items() if value}
    is_again = bool(named & cut.names) and int(row["step"]) == cut.row["step"]
    return int(row["step"]) <= cut.steps and not is_again and not any(name.startswith("test/") for name in named)


def _cut_events(path: Path, cut: Cut) -> None:
    """Keep the events that stay.

    A tag is drawn against epochs or against steps, and no event says which: of those with a step between the two
    numbers, what was written before the checkpoint stays.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    def stays(event: Any) -> bool:
        tags = {value.tag for value in event.summary.value}
        is_again = bool(tags & cut.names) and event.step == cut.row["epoch"] + 1
        is_early = event.step <= cut.epochs or (event.step <= cut.steps and event.wall_time <= cut.until + _SLACK_S)
        return is_early and not is_again and not any(tag.startswith("test/") for tag in tags)

    write_records(path, [record for record in read_records(path) if stays(Event.FromString(record))])
