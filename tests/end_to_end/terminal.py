"""A process on a pseudo terminal, and what stands on its screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

_TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """As much of a terminal as Rich needs; rows that have scrolled out stay in ``rows``."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows = [""]
        self.row = self.column = 0
        self.has_cursor = True

    def feed(self, text: str) -> None:
        for parameters, command, control, plain in _TOKEN.findall(text):
            if plain:
                self._write(plain)
            elif control == "\r":
                self.column = 0
            elif control:
                self._down()
            elif command == "A":
                # Not above what is on the screen.
                self.row = max(self.row - int(parameters or 1), len(self.rows) - self.lines, 0)
            elif command == "K":
                self.rows[self.row] = ""
            elif command in "hl" and parameters == "?25":
                self.has_cursor = command == "h"

    def _write(self, text: str) -> None:
        for letter in text:
            if self.column == self.columns:
                self.column = 0
                self._down()
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + letter + row[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    @property
    def text(self) -> str:
        """All rows, also those that have scrolled out."""
        return "\n".join(row.rstrip() for row in self.rows)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, words: Sequence[str], columns: int = 80, lines: int = 24) -> None:
        self.screen = Screen(columns, lines)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        environment |= {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen(words, env=environment, start_new_session=True, **streams)
        os.close(slave)

    def until(self, holds: Callable[[str], object], within_s: float = 150.0) -> str:
        """Read until the screen is as ``holds`` wants it; the screen."""
        end = time.monotonic() + within_s
        while not holds(self.screen.text):
            assert time.monotonic() < end, self.screen.text
            assert self._read(), f"ended with\n{self.screen.text}"
        return self.screen.text

    def end(self, within_s: float = 150.0) -> int:
        """Read until the process has ended; its exit code."""
        until = time.monotonic() + within_s
        while self._read():
            assert time.monotonic() < until, self.screen.text
        return self.process.wait(10)

    def press(self, signal: int) -> None:
        """What a key of the terminal sends to the processes in front."""
        os.killpg(self.process.pid, signal)

    def close(self) -> None:
        """End the process, if it has not."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        try:
            read = os.read(self._master, 65_536)
        except OSError:
            return False
        self.screen.feed(read.decode("utf-8", "replace"))
        return bool(read)
