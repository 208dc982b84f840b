"""A run's own records beside its curves: what it is at its start, what came of it at its end.

Their names put the first before the event files of Lightning's logger and the other after those that are there:
TensorBoard reads the files of a folder in the order of their names, and does not go back.
"""

import time
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from fulgurite.board.card import TAG, card
from fulgurite.board.charts import layout
from fulgurite.board.events import hparams_summary, scalar, text, write_summaries
from fulgurite.board.experiment import FINAL, columns, uses_tensorboard
from fulgurite.board.values import Kind, text_of, value_of
from fulgurite.report.collect import RERUN_MARK
from fulgurite.result import Result, Status

_START = "events.out.tfevents.{}.0.start"
# The sign comes after those of any host's name, which the logger's files have there.
_END = "events.out.tfevents.{}.~.end"


def write_start(folder: Path, result: Result, config: Mapping[str, Any]) -> None:
    """Write what a run is; nothing where it has no TensorBoard logger.

    What an earlier attempt has left is dropped: a run that goes on has neither an end nor final numbers.

    Args:
        folder: of the run.
        result: its record at its start.
        config: the composed config as plain values.
    """
    _drop(folder, _START, _END)
    if uses_tensorboard(config):
        summaries = [text(TAG, card(result, config)), layout(), *_session_start(folder, result, config)]
        write_summaries(_path(folder, _START), summaries)


def write_end(folder: Path, result: Result) -> None:
    """Write what came of a run, its status and its numbers, in the place of what was written before.

    Args:
        folder: of the run. One without a start is a job that failed before it had a config: it gets a row, too.
        result: its record at its end.
    """
    has_start = any(folder.glob(_START.format("*")))
    if not has_start and not columns(folder.parent):
        return
    start = [] if has_start else _session_start(folder, result, {})
    finals = {name: value for name, value in result.metrics.items() if name.startswith(("val/", "test/"))}
    numbers = [
        scalar(f"{FINAL}{name}", value) for name, value in finals.items() if value is not None and isfinite(value)
    ]
    _drop(folder, _END)
    write_summaries(_path(folder, _END), [*start, *numbers, *_session_end(folder, result)], step=result.epochs)


def _session_start(folder: Path, result: Result, config: Mapping[str, Any]) -> list[Any]:
    """The row of a sweep's job; nothing for a run that stands alone, or repeats another."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    kinds = _columns(folder)
    if not kinds:
        return []
    # A row of its own for each job: TensorBoard takes the mean over those of a group.
    info = plugin_data_pb2.SessionStartInfo(group_name=folder.name, start_time_secs=time.time() - result.seconds)
    fields: dict[Kind, str] = {"number": "number_value", "bool": "bool_value", "text": "string_value"}
    for key, kind in kinds.items():
        value = value_of(text_of(key, result.overrides, config), kind)
        if value is not None:
            setattr(info.hparams[key], fields[kind], value)
    data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return [hparams_summary(metadata.SESSION_START_INFO_TAG, data)]


def _session_end(folder: Path, result: Result) -> list[Any]:
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    if not _columns(folder):
        return []
    # It knows no other words: what was neither a success nor a failure is "Unknown".
    statuses: dict[Status, int] = {
        "finished": api_pb2.STATUS_SUCCESS,
        "failed": api_pb2.STATUS_FAILURE,
        "diverged": api_pb2.STATUS_FAILURE,
    }
    status = statuses.get(result.status, api_pb2.STATUS_UNKNOWN)
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return [hparams_summary(metadata.SESSION_END_INFO_TAG, data)]


def _columns(folder: Path) -> dict[str, Kind]:
    return {} if RERUN_MARK in folder.name else columns(folder.parent)


def _path(folder: Path, name: str) -> Path:
    return folder / name.format(f"{int(time.time()):010d}")


def _drop(folder: Path, *names: str) -> None:
    for name in names:
        for path in folder.glob(name.format("*")):
            path.unlink(missing_ok=True)
