"""What is known of the running of a row beside its sweep's own files: words, time and machine."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fulgurite.reproduce.machine import machine
from fulgurite.result import write_atomically

_NAME = "reproduce.json"


@dataclass(frozen=True)
class Record:
    """The record of a row.

    Attributes:
        words: the row's, as they were when it ran.
        seconds: wall-clock time that training took, over all attempts.
        unknown: some attempt was killed, whose time is not in ``seconds``.
        at_work: an attempt was begun, and has not ended.
        machine: that it ran on, such as ``2 cores``.
        error: why not all of it has come out; empty otherwise.
    """

    words: tuple[str, ...]
    seconds: float = 0.0
    unknown: bool = False
    at_work: bool = False
    machine: str = ""
    error: str = ""


def read_record(folder: Path) -> Record | None:
    """The record in a row's folder; ``None`` where none can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        plain = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        return Record(**{**plain, "words": tuple(plain["words"])})
    return None


@contextmanager
def attempt(words: tuple[str, ...], folder: Path) -> Iterator[None]:
    """Take the time of an attempt to train a row, however it ends."""
    record = replace(_before(words, folder), at_work=True)
    _write(record, folder)
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = record.seconds + time.monotonic() - began
        _write(replace(record, seconds=seconds, machine=machine(words), at_work=False), folder)


def note(words: tuple[str, ...], folder: Path, error: str) -> None:
    """Put down how an attempt has ended: with an error, or without if that is empty."""
    _write(replace(_before(words, folder), error=error), folder)


def _before(words: tuple[str, ...], folder: Path) -> Record:
    """The record as it was left; of an attempt that was killed the time is not known."""
    record = read_record(folder) or Record(words)
    return replace(record, words=words, unknown=record.unknown or record.at_work, at_work=False)


def _write(record: Record, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _NAME, json.dumps(asdict(record), indent=2) + "\n")
