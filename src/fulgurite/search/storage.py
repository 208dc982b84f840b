"""Where Optuna keeps the trials of a search: a journal in the sweep folder, a file of SQLite there, or a database."""

import json
import os
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fulgurite.errors import ConfigError

JOURNAL = "study.journal"
SQLITE = "study.db"
# Seconds that a process waits for another's transaction in SQLite.
_PATIENCE_S = 60
# In a folder of its own: hyperband makes its brackets from it, which must not depend on what a sweep is called.
_NAME = "search"


class _FileLock(JournalFileOpenLock):
    """A lock that the system takes back from a process that is killed; Optuna's own stays for half a minute."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        import fcntl

        file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o644)
        # Of the open file, not of the process: threads of a fused sweep wait for each other, too.
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back."""
        assert self._file is not None
        os.close(self._file)
        self._file = None


def study_name(folder: Path, storage: str) -> str:
    """The name of the study of the sweep in ``folder``: in a database, that of the sweep."""
    return folder.name if "://" in storage else _NAME


def open_storage(folder: Path, storage: str) -> BaseStorage:
    """The storage of the sweep in ``folder``.

    Args:
        folder: of the sweep; it exists.
        storage: ``journal``, ``sqlite`` or a URL.

    Raises:
        ConfigError: for a database that cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage == "journal":
        path = folder / JOURNAL
        return JournalStorage(JournalFileBackend(str(path), _lock(path)))
    url = f"sqlite:///{(folder / SQLITE).resolve()}" if storage == "sqlite" else storage
    waiting = {"connect_args": {"timeout": _PATIENCE_S}} if url.startswith("sqlite") else {}
    try:
        return RDBStorage(url, engine_kwargs=waiting)
    except Exception as error:
        # Each database driver has exceptions of its own.
        raise ConfigError(f"sweep.storage={storage} cannot be opened: {str(error).splitlines()[0]}") from error


def mend_journal(folder: Path) -> None:
    """Cut off the half line that a kill, or a full disk, may have left at the end of the journal.

    Raises:
        ConfigError: for a journal that is damaged otherwise.
    """
    path = folder / JOURNAL
    if not path.is_file():
        return
    lock = _lock(path)
    lock.acquire()
    try:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
    try:
        for line in content.splitlines(keepends=True):
            if line.endswith(b"\n"):
                json.loads(line)
    except ValueError as error:
        raise ConfigError(
            f"{path} is damaged ({error}); remove it: the search begins anew, and what has ended is not run again"
        ) from error


def _lock(path: Path) -> JournalFileOpenLock:
    # Windows has no such locks.
    return _FileLock(path.with_name(f".{path.name}.lock")) if os.name == "posix" else JournalFileOpenLock(str(path))
