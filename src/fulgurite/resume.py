"""What is left of a job that was begun before: nothing to do, a checkpoint to go on from, or a folder to begin anew in.

It is read off the run folder alone, so it holds whatever launcher ran the job, and however it ended.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fulgurite.board.session import write_end
from fulgurite.errors import ConfigError, RunFolderError
from fulgurite.log import LOG_NAME
from fulgurite.result import FILE_NAME, Failure, Objective, Result, Status, read_result

# Nothing is left to do for these; a failed job runs again.
ENDED: tuple[Status, ...] = ("finished", "diverged", "pruned")


@dataclass(frozen=True)
class Begun:
    """A job to go on with.

    Attributes:
        checkpoint: where to go on from.
        epochs: epochs completed there.
        steps: optimiser steps made there.
        row: what its last epoch logs just after it.
        seconds: wall-clock time that went into the job before, in seconds.
    """

    checkpoint: Path
    epochs: int
    steps: int
    row: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Found:
    """What a job's folder holds of an earlier attempt.

    Attributes:
        begun: what to go on with; ``None`` when the job begins anew.
        damaged: name of a checkpoint that cannot be used; empty when there is none.
    """

    begun: Begun | None
    damaged: str = ""

    def __str__(self) -> str:
        """What is said of the job beside its name; nothing of a new one."""
        why = f": {self.damaged} is damaged," if self.damaged else ""
        if self.begun is None:
            return f"{why} begins anew" if why else ""
        source = f" from {self.begun.checkpoint.name}" if why else ""
        return f"{why} goes on{source} after epoch {self.begun.epochs}"


def has_ended(folder: Path) -> bool:
    """Whether the job in ``folder`` came to its end, good or bad."""
    result = record_in(folder)
    return result is not None and result.status in ENDED


def is_over(record: Result | None, retries: int) -> bool:
    """Whether a job does not run any more: it has ended, or has failed too often.

    Args:
        record: what is recorded of it.
        retries: how often a failed job runs again, in all.
    """
    return record is not None and (record.status in ENDED or (_has_failed(record) and record.attempts > retries))


def follows_at_once(record: Result | None, retries: int) -> bool:
    """Whether a job that has just failed runs again in the same sweep.

    The last time is kept for the same command given again: what made it fail may be mended by then.
    """
    return record is not None and _has_failed(record) and record.attempts < retries


def next_attempt(record: Result | None) -> int:
    """Number of the attempt that is going to begin. One that was interrupted, or refused before it began, goes on."""
    if record is None or record.status in ENDED:
        return 1
    return record.attempts + _has_failed(record)


def _has_failed(record: Result) -> bool:
    """Whether an attempt was lost; a config that is refused costs nothing, and may be right on another machine."""
    return record.status == "failed" and (record.error is None or record.error.type != ConfigError.__name__)


def record_in(folder: Path) -> Result | None:
    """The record of the job in ``folder``; ``None`` where none can be read."""
    try:
        return read_result(folder)
    except RunFolderError:
        return None


def abandon(folder: Path, overrides: Sequence[str], end: str) -> Result:
    """Record that a job is left unfinished, in the place of its process, which has ended; the record.

    Args:
        folder: of the job.
        overrides: what makes it.
        end: how the process has ended, in words; empty when the user has interrupted it.
    """
    error = Failure("ProcessEnded", end, LOG_NAME) if end else Failure("KeyboardInterrupt", "", LOG_NAME)
    result = record_in(folder) or Result("running", Objective("", "max"), overrides=list(overrides))
    seconds = result.seconds
    if result.status == "running" and (folder / FILE_NAME).exists():
        # Written when it began.
        seconds += max(0.0, time.time() - (folder / FILE_NAME).stat().st_mtime)
    # One that had ended before is of an earlier attempt: the process has not come to record its own.
    attempts = result.attempts if result.status == "running" else next_attempt(result)
    left = replace(result, status="failed" if end else "interrupted", seconds=seconds, error=error, attempts=attempts)
    # On a full disk it stays as it was.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        left.write(folder)
        write_end(folder, left)
    return left


def find(folder: Path) -> Found:
    """Where the job in ``folder`` can go on: the last checkpoint, the best where that is damaged, or nowhere."""
    if not (folder / "checkpoints").is_dir():
        return Found(None)
    # Here, not at the top: a new job has no need of torch yet.
    from fulgurite.training.checkpoint import load_checkpoint

    damaged = ""
    for name in ("last.ckpt", "best.ckpt"):
        path = folder / "checkpoints" / name
        if not path.is_file():
            continue
        try:
            return Found(_begun(folder, path, load_checkpoint(path)), damaged)
        except (RunFolderError, KeyError, TypeError):
            damaged = damaged or name
    return Found(None, damaged)


def _begun(folder: Path, path: Path, content: Mapping[str, Any]) -> Begun:
    from fulgurite.callbacks.checkpoint import GOING_ON

    epochs = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    row = content.get(GOING_ON, {}).get("row", {})
    return Begun(path, epochs, content["global_step"], row, _seconds(folder, path))


def prepare(folder: Path, begun: Begun | None) -> None:
    """Make a folder ready for a job that goes on, or begins anew: what is logged again must not be there twice."""
    from fulgurite.training.curves import Cut, cut_curves

    if begun is not None:
        cut_curves(folder, Cut(begun.epochs, begun.steps, begun.checkpoint.stat().st_mtime, begun.row))
        return
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    clear(folder)


def clear(folder: Path) -> None:
    """Drop what an earlier run has left in a folder that would be taken for that of the next: curves and pictures."""
    from fulgurite.training.curves import CSV_NAME, EVENTS

    figures = folder / "figures"
    lost = (folder / CSV_NAME, folder / "projector_config.pbtxt", figures / "confusion.json")
    for path in (*lost, *folder.glob(EVENTS), *figures.glob("*.png")):
        path.unlink(missing_ok=True)
    # By epoch, what TensorBoard's projector shows.
    for path in folder.glob("[0-9]*/last_layer_input"):
        shutil.rmtree(path.parent, ignore_errors=True)


def _seconds(folder: Path, checkpoint: Path) -> float:
    """Time that went into the job. A killed one could not record its own: that is told by when it wrote files."""
    result = record_in(folder)
    if result is None:
        return 0.0
    if result.status != "running":
        return result.seconds
    return result.seconds + max(0.0, checkpoint.stat().st_mtime - (folder / FILE_NAME).stat().st_mtime)
