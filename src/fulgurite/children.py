"""Processes that one has started, and how they end with it: their standard input closes when it is no more."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

Process = subprocess.Popen[bytes]


def close(process: Process) -> int:
    """Close the standard input of a process that has ended or is about to; its exit code."""
    with suppress(BrokenPipeError):
        process.stdin.close()  # type: ignore[union-attr]
    return process.wait()


def end(processes: Sequence[Process], grace_s: float, num_interrupted: int | None = None) -> None:
    """Interrupt those that have not ended; kill those that do not listen, at once when the user is impatient.

    Args:
        processes: started with a pipe as standard input.
        grace_s: seconds that they have for it.
        num_interrupted: how many, from the first, are asked to end; the others are killed after them. ``None`` for all.
    """
    asked = processes[:num_interrupted]
    try:
        for process in asked:
            # Windows has no such signal; there all processes at the terminal hear Ctrl-C.
            if process.poll() is None and os.name == "posix":
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + grace_s
        for process in asked:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            close(process)


def end_with_the_first_process() -> None:
    """In a process that was started: end at once when the standard input closes, as if both had been killed."""
    threading.Thread(target=_wait_for_its_end, daemon=True).start()


def _wait_for_its_end() -> None:
    # Not through the buffer, which would be locked when this process ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
