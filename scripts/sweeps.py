"""Sweeps by the command line, and what they cost: in this process, or in fresh ones that start at one moment."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fulgurite import cli

# Of every sweep that is measured.
_COMMON = ("trainer=cpu", "trainer.max_epochs=1")
_CHILD = Path(__file__).with_name("sweep_process.py")


@dataclass(frozen=True)
class Cost:
    """What a sweep took after the imports, and what it printed.

    Attributes:
        wall_s: seconds by the clock.
        cpu_s: seconds of CPU.
        peak_mb: largest resident memory, in MB.
        imported_mb: the same before the sweep.
        said: its output.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    imported_mb: float
    said: str


def seconds_here(words: Sequence[str]) -> float:
    """CPU seconds of a sweep of one epoch in this process.

    Raises:
        RuntimeError: when a job of it failed.
    """
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        started = time.process_time()
        code = cli.train([*words, *_COMMON, f"output_root={folder}", "-m"])
        spent = time.process_time() - started
    if code:
        raise RuntimeError(f"{' '.join(words)} ended with exit code {code}:\n{said.getvalue()}")
    return spent


def costs_apart(sweeps: Sequence[Sequence[str]]) -> list[Cost]:
    """Run sweeps of one epoch side by side, each in a fresh process; the clock starts when all have imported.

    Raises:
        RuntimeError: when a job of one failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        processes = [_start(words, Path(folder) / str(number)) for number, words in enumerate(sweeps)]
        try:
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            return [_cost(process) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _start(words: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(_CHILD), *words, *_COMMON, f"output_root={folder}", "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _cost(process: "subprocess.Popen[str]") -> Cost:
    said = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}:\n{said}")
    cost = json.loads(said.splitlines()[-1])
    return Cost(cost["wall_s"], cost["cpu_s"], cost["peak_mb"], cost["imported_mb"], cost["said"])
