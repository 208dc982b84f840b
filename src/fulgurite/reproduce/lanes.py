"""Several rows at a time, each in a process of its own with its share of the cores.

A row of a few seeds seldom fills two cores: small networks gain little from a second thread, and a row of its own
gains all of it.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from fulgurite.children import Process, close, end
from fulgurite.reproduce import lane
from fulgurite.reproduce.machine import THREADS, num_cores
from fulgurite.reproduce.record import read_record
from fulgurite.reproduce.rows import Row
from fulgurite.reproduce.standing import OUT

# -P: nothing in the current folder takes the place of a library.
_COMMAND = [sys.executable, "-P", "-m", lane.__name__]
# Between two looks at the rows.
_POLL_S = 0.05
# For a row to end in after Ctrl-C.
_GRACE_S = 15.0
# Each takes a gigabyte or two.
_MOST = 4


def num_lanes(num_rows: int, has_gpu: bool) -> int:
    """Rows that run at a time when nobody says how many: one where they would share a GPU, else one a core, up to 4."""
    return 1 if has_gpu else max(1, min(num_rows, num_cores(), _MOST))


def in_lanes(
    rows: Sequence[Row], number: int, folder: Path, seeds: int, extra: Sequence[str]
) -> Generator[tuple[Row, bool | None]]:
    """Run rows, ``number`` at a time. What they print is in ``OUT/<row>.log``, and why one failed here too.

    Args:
        rows: the first to begin with first.
        number: of rows at a time.
        folder: with the rows' files.
        seeds: see ``run_row``.
        extra: see ``run_row``.

    Yields:
        A row, with ``None`` when it begins and, when it has ended, whether all of it has come out.
    """
    environment = os.environ | {THREADS: os.environ.get(THREADS) or str(max(1, num_cores() // number))}
    waiting, running = deque(rows), list[tuple[Row, Process]]()
    try:
        while waiting or running:
            while waiting and len(running) < number:
                row = waiting.popleft()
                yield row, None
                words = [str(folder), row.name, str(seeds), *extra]
                running.append((row, _start(words, _log_of(row), environment)))
            time.sleep(_POLL_S)
            for row, process in [each for each in running if each[1].poll() is not None]:
                running.remove((row, process))
                if code := close(process):
                    _tell(row, code)
                yield row, code == 0
    finally:
        end([process for _, process in running], _GRACE_S)


def _log_of(row: Row) -> Path:
    return OUT / f"{row.name}.log"


def _tell(row: Row, code: int) -> None:
    """Say why not all of a row has come out, which its own process has said to its log."""
    record = read_record(OUT / row.name)
    error = (record and record.error) or f"its process ended with exit code {code}"
    print(f"{row.name} failed: {error}; see {_log_of(row)}", file=sys.stderr, flush=True)


def _start(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said:
        # A group of its own: Ctrl-C in a terminal is for this process, which tells the others: they hear of it once.
        return subprocess.Popen(
            [*_COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )
