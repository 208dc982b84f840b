"""Benchmark items of launchers: whole sweeps by the command line, as a person starts them, on two workers."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from process_items import ROOT
from timing import Item, paired_ratios

_COMMON = ("trainer=cpu", "trainer.max_epochs=1", "model=mlp")
_APART = ("launcher=processes", "launcher.num_workers=2")
_JOBLIB = ("launcher=joblib", "launcher.num_workers=2")
_WORKERS = 2
# Jobs that do next to nothing: what is left is what a sweep costs.
_TRIVIAL = ("model.hidden=[4]", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "test=false")
_SIZES, _QUICK_SIZES = (100, 500), (10, 40)


@dataclass(frozen=True)
class Swept:
    """A sweep that has been made.

    Attributes:
        wall_s: seconds from the start of the command to its end.
        first_s: seconds until the first job began.
        jobs_s: seconds that the jobs have recorded, together.
        peak_mb: largest resident memory of the first process, in MB.
        num_folders: folders of jobs.
    """

    wall_s: float
    first_s: float
    jobs_s: float
    peak_mb: float
    num_folders: int


def sweeps(repeats: int, quick: bool) -> Iterator[Item]:
    """Seconds of 16 jobs one after the other over those in processes; what a job costs beside itself."""
    jobs = (
        "model.hidden=[128]",
        "data.batch_size=64",
        "seed=range(16)",
        *(("data.train_subset=6400",) if quick else ()),
    )
    for name, words in (("processes", _APART), ("joblib", _JOBLIB)):
        yield _against_basic(name, (*words, *jobs), ("launcher=basic", *jobs), repeats)
    for name, launcher, workers in (("basic", ("launcher=basic",), 1), ("processes", _APART, _WORKERS)):
        small, large = (swept((*launcher, *_TRIVIAL, f"seed=range({size})")) for size in _sizes(quick))
        few, many = _sizes(quick)
        own = (large.wall_s - large.first_s) * workers / many - large.jobs_s / many
        yield Item(f"sweeps: own time of each of {many} jobs, {name}", (own,), "<= 0.2", note="s")
        grown = (large.peak_mb - small.peak_mb) / (many - few)
        yield Item(f"sweeps: memory of each of {many} jobs, {name}", (grown,), "<= 0.2", note="MB of the first process")
        yield Item(f"sweeps: key press to first of {many} jobs, {name}", (large.first_s,), "<= 5", note="s")
        yield Item(f"sweeps: folders of {many} jobs, {name}", (float(large.num_folders),), f">= {many}")


def _against_basic(name: str, words: Sequence[str], alone: Sequence[str], repeats: int) -> Item:
    values, pairs = paired_ratios(lambda: swept(alone).wall_s, lambda: swept(words).wall_s, repeats)
    basic, other = (min(column) for column in zip(*pairs, strict=True))
    note = f"{basic:.1f} s one after the other, {other:.1f} s on two workers"
    return Item(f"sweeps: 16 MLP jobs of one epoch, basic / {name}", values, note=note)


def _sizes(quick: bool) -> tuple[int, int]:
    return _QUICK_SIZES if quick else _SIZES


def swept(words: Sequence[str]) -> Swept:
    """Make a sweep in a temporary folder.

    Raises:
        RuntimeError: when a job of it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "-m", *_COMMON, *words, f"output_root={folder}"]
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first, said = 0.0, []
        for each in process.stdout:
            first = first or time.perf_counter() - started
            said.append(each)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}:\n{''.join(said)}")
        records = [json.loads(path.read_text()) for path in Path(folder).rglob("result.json")]
        # ru_maxrss is in kB on Linux, in bytes on a Mac.
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return Swept(wall, first, sum(each["seconds"] for each in records), usage.ru_maxrss / unit, len(records))
