"""``fulgurite board``: TensorBoard on this machine alone, with the flags that runs and sweeps need."""

import argparse
import mimetypes
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fulgurite.errors import ConfigError
from fulgurite.places import named_place

_OUTPUTS = Path("outputs")
# TensorBoard would keep 10 pictures and 1,000 points a tag, the points chosen at random.
_FLAGS = ("--host=127.0.0.1", "--samples_per_plugin=images=100,scalars=5000", "--reload_interval=10")
_EXAMPLES = """examples:
  fulgurite board                  all that is in outputs/
  fulgurite board night            a sweep
  fulgurite board outputs/mnist/RUN"""


def main(words: Sequence[str]) -> NoReturn:
    """Serve TensorBoard until Ctrl-C; then the process ends.

    Raises:
        ConfigError: for a name that no run, sweep or folder has, or a port that is taken.
    """
    args = _parser().parse_args(words)
    folder = named_place(args.name) if args.name else _all_outputs()
    address = _start(folder, args.port)
    print(f"{address} shows {os.path.relpath(folder)}; Ctrl-C ends it", flush=True)
    _wait()
    sys.stdout.flush()
    # Nothing is left to be written, and TensorBoard's threads of gRPC may hold an orderly end back for ever.
    os._exit(0)


def _all_outputs() -> Path:
    if _OUTPUTS.is_dir():
        return _OUTPUTS
    raise ConfigError(f"there is no folder {_OUTPUTS} here; give a folder, or go to where you have trained")


def _start(folder: Path, port: int | None) -> str:
    """Start the server in this process; its address."""
    from tensorboard import default, program

    board = program.TensorBoard(default.get_plugins())
    # Without a port the first free one from 6006 on is taken.
    flags = [*_FLAGS, f"--logdir={folder}", *([f"--port={port}"] if port is not None else [])]
    board.configure(("tensorboard", *flags))
    # Windows may know scripts as plain text, which no browser runs.
    mimetypes.add_type("text/javascript", ".js")
    try:
        # It would advertise its loader of events.
        with redirect_stderr(StringIO()):
            return board.launch()
    except program.TensorBoardServerException as error:
        raise ConfigError(f"TensorBoard does not start: {error.msg}") from error


def _wait() -> None:
    """Wait for Ctrl-C, or for being ended."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    # Where another thread is given the signal, a wait without an end would not see it.
    while not ended.wait(0.5):
        pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fulgurite board",
        description="Look at runs and sweeps in TensorBoard, in a browser on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="a sweep, a run, or a folder; without it all of outputs/")
    parser.add_argument("--port", type=int, help="where it listens; the first free one from 6006 on when not given")
    return parser
