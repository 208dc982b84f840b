"""Run a row: an ordinary sweep in a folder of its own, which goes on where it was left, and its measures."""

import os
import shlex
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from fulgurite import config, hydra_app
from fulgurite.errors import ConfigError, did_you_mean, is_interrupt
from fulgurite.explain import explain
from fulgurite.report.collect import Job, read_jobs, seed_of
from fulgurite.reproduce.measuring import measured, take
from fulgurite.reproduce.record import attempt, note, read_record
from fulgurite.reproduce.rows import Row
from fulgurite.reproduce.standing import matches
from fulgurite.reproduce.words import train_words
from fulgurite.resume import ENDED
from fulgurite.search.prepare import prepare as prepare_search
from fulgurite.sweep import prepare
from fulgurite.sweep.folder import ANOTHER_NAME, driver_of, only_driver
from fulgurite.sweep.record import recorded_number, recorded_overrides

_EARLIER = "earlier"


class Stopped(BaseException):
    """Ctrl-C, or a signal to end; all that is done stays."""


def run_row(row: Row, out: Path, seeds: int = 0, extra: Sequence[str] = ()) -> bool:
    """Run what is left of a row, and take its measures; whether all of it has come out.

    Args:
        row: the row.
        out: where the folders of all rows lie.
        seeds: how many; the row's own number when that is more.
        extra: further overrides, which decide no number.

    Raises:
        Stopped: by Ctrl-C.
    """
    folder = out / row.name
    words = train_words(row, seeds, extra)
    try:
        error = _run(row, folder, [*words, *_place(folder)])
    except Exception as caught:
        error = _said(caught, words)
    except (KeyboardInterrupt, SystemExit) as caught:
        if is_interrupt(caught):
            raise Stopped from caught
        raise
    before = read_record(folder)
    # What another process works on is that one's to record; and runs of other words are still those of other words.
    if not driver_of(folder) and (before is None or before.words == row.words or not error):
        note(row.words, folder, error)
    if error:
        print(f"{row.name} failed: {error}", file=sys.stderr, flush=True)
    return not error


def _run(row: Row, folder: Path, overrides: list[str]) -> str:
    """What went wrong; empty when nothing did.

    Raises:
        Exception: for what Hydra or the sweep refuses.
    """
    planned = _plan_in(folder, overrides)
    code = 0
    if _is_over(folder, overrides, planned):
        print(f"{row.name}: all runs have ended before", flush=True)
    else:
        with only_driver(folder):
            pass
        with attempt(row.words, folder):
            code = hydra_app.run(["-m", *overrides])
    finished = [job for job in read_jobs(folder) if job.status == "finished"]
    runs = [(job.folder, seed_of(job)) for job in finished]
    wrong = take(row.after, folder, runs) if row.after else []
    if code:
        return "; ".join(["not all of its runs have finished", *wrong])
    return "; ".join(wrong) or _lacking(row, finished, measured(row.after, folder, runs))


def _place(folder: Path) -> list[str]:
    quoted = folder.as_posix().replace("'", "\\'")
    return [f"hydra.sweep.dir='{quoted}'", f"sweep.name={folder.name}"]


def _plan_in(folder: Path, overrides: Sequence[str]) -> set[str] | None:
    """As ``_plan``; moves a folder whose sweep was made by other words, or by presets that have changed since.

    Raises:
        ConfigError: for a mistake in the words.
    """
    try:
        return _plan(overrides)
    except ConfigError:
        if not folder.is_dir():
            raise
        # A mistake in the words is told here, where there is no sweep to be another.
        planned = _plan([*overrides, *_place(folder.with_name(f".{folder.name}"))])
    earlier = folder.parent / _EARLIER
    numbered = (earlier / f"{folder.name}-{number}" for number in count(1))
    target = next(each for each in numbered if not each.exists())
    with only_driver(folder):
        earlier.mkdir(exist_ok=True)
        folder.rename(target)
    print(f"{folder.name} is another than it was; what was there is now {target}", flush=True)
    return planned


def _is_over(folder: Path, overrides: Sequence[str], planned: set[str] | None) -> bool:
    """Whether each job that these words make has ended; ``planned`` is ``None`` for a search."""
    if not folder.is_dir():
        return False
    ended = [job.result for job in read_jobs(folder) if job.result and job.result.status in ENDED]
    if planned is not None:
        return planned <= {result.fingerprint for result in ended}
    number = recorded_number(folder)
    return 0 < number <= len(ended) and recorded_overrides(folder) == list(overrides)


def _plan(overrides: Sequence[str]) -> set[str] | None:
    """Fingerprints of the jobs; ``None`` for a search, whose jobs are not known beforehand.

    Raises:
        ConfigError: for a mistake in any job, and for jobs that do not belong to the sweep in their folder.
    """
    if prepare_search(overrides) is not None:
        return None
    config.register(prepare.swept_keys(overrides))
    return {config.fingerprint(dict(job.config)) for job in prepare.prepare(overrides).jobs}


def _lacking(row: Row, finished: Sequence[Job], taken: Sequence[dict[str, float]]) -> str:
    """What is said of a line whose metric not all runs have; empty when there is no such line."""
    for line in row.lines:
        own = [
            {**job.result.metrics, **measures}
            for job, measures in zip(finished, taken, strict=True)
            if job.result and matches(job.result.overrides, line)
        ]
        if not own:
            return f"no finished run has the words {shlex.join(line.where)}" if line.where else "no run has finished"
        known = dict.fromkeys(name for each in own for name in each)
        if line.metric not in known:
            return f"its runs have no {line.metric}{did_you_mean(line.metric, known)}; they have {', '.join(known)}"
        # What was not finite stands in a record as none.
        if lost := sum(each.get(line.metric, 0.0) is None for each in own):
            return f"{line.metric} is no finite number in {lost} of {len(own)} runs"
    return ""


def _said(error: Exception, overrides: Sequence[str]) -> str:
    """An error in one line, without a remedy that a row has not; ``FULGURITE_DEBUG=1`` lets it through."""
    if os.environ.get("FULGURITE_DEBUG") == "1":
        raise error
    message = explain(error, list(overrides)) or f"{type(error).__name__}: {error}"
    return " ".join(message.split()).removesuffix(f", or {ANOTHER_NAME}")
