"""What tests of TensorBoard share: a server of it on a port of its own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Page

MAIN = "import sys; from fulgurite.cli import main; sys.exit(main())"
TRAIN = Path(__file__).parents[2] / "train.py"


@dataclass(frozen=True)
class Server:
    """A TensorBoard that has read all runs."""

    address: str

    def open(self, page: Page, tab: str) -> None:
        """Show a tab."""
        page.goto(f"{self.address}#{tab}")


@contextmanager
def serving(command: list[str], place: Path, has_read: Callable[[str], bool]) -> Iterator[Server]:
    """Run a server, and wait until it knows all runs.

    Args:
        command: without its port.
        place: where it runs.
        has_read: whether the server at an address has read all there is.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, f"--port={port}"], cwd=place, start_new_session=True)
    try:
        server = Server(f"http://127.0.0.1:{port}/")
        _wait_until(has_read, server.address)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _wait_until(has_read: Callable[[str], bool], address: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if has_read(address):
                return
        except URLError:
            pass
        time.sleep(0.5)
    raise AssertionError("TensorBoard has not read all runs within two minutes")


def until(page: Page, read: Callable[[], object], wanted: object) -> None:
    """Wait until the page shows what is wanted; fail with what it shows instead."""
    for _ in range(60):
        if read() == wanted:
            return
        page.wait_for_timeout(250)
    assert read() == wanted
