"""Event files for TensorBoard, each written whole. Knows TensorBoard's formats, and nothing of runs."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


def write_summaries(path: Path, summaries: Sequence[Any], step: int = 0) -> None:
    """Write an event file, whole or not at all.

    Args:
        path: of the file; TensorBoard reads those with ``tfevents`` in their names.
        summaries: ``Summary`` protos.
        step: of all of them, on the axis of their charts.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    now = time.time()
    first = Event(wall_time=now, file_version="brain.Event:2")
    events = (Event(wall_time=now, step=step, summary=summary) for summary in summaries)
    write_records(path, (event.SerializeToString() for event in (first, *events)))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write serialised events with their checksums, whole or not at all."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    # TensorBoard must not take it for an event file.
    partial = path.with_name(f".events.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            writer = RecordWriter(file)
            for record in records:
                writer.write(record)
            writer.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_records(path: Path) -> list[bytes]:
    """The serialised events of a file, a last one that was written in part left out."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    return list(RawEventFileLoader(str(path)).Load())


def read_values(path: Path) -> Iterator[Any]:
    """The values of all summaries in a file, as protos with ``tag`` and ``metadata``."""
    from tensorboard.compat.proto.event_pb2 import Event

    for record in read_records(path):
        yield from Event.FromString(record).summary.value


def scalar(tag: str, value: float) -> Any:
    """A summary of one number."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def text(tag: str, markdown: str) -> Any:
    """A summary of a text in Markdown."""
    from tensorboard.plugins.text.summary_v2 import text_pb

    return text_pb(tag, markdown)


def hparams_summary(tag: str, data: Any) -> Any:
    """A summary of the HParams tab.

    Args:
        tag: which of its three records it is.
        data: an ``HParamsPluginData`` proto.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    about = metadata.create_summary_metadata(data)
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])
