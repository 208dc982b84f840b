"""A job in a process of its own, from its composed config; ``_pool`` starts it. Imports no torch by itself.

What comes of the job is in its folder alone. The process ends with the one that has started it, however that ends, and
takes along the processes that it has started itself: all of them are one process group.
"""

import atexit
import faulthandler
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig

from fulgurite import config, hydra_job
from fulgurite.log import LOG_NAME
from fulgurite.result import last_line
from fulgurite.sweep.task import Sweep
from hydra_plugins.fulgurite_launcher._view import say_into

INTERRUPTED = 130
# Has the process write down where it is.
LOOK = getattr(signal, "SIGUSR1", None)
_RANKS = "hydra_plugins.fulgurite_launcher._ranks"
# Tells the first rank the open files that it has inherited: its order, and the life line.
HANDED = "FULGURITE_HANDED"


@dataclass(frozen=True)
class Order:
    """All that a process needs to run a job.

    Attributes:
        config: composed, with Hydra's own part.
        job_folder: where its files go, absolute.
        task: the task function of the sweep.
        callbacks: Hydra's, who hear of the job.
        environment: all environment variables.
        working_dir: current folder.
        threads: of each process; ``None`` leaves it to torch.
        num_processes: that the job consists of.
        unnamed: the name of a sweep that was given none.
        silent: no lines and no bar while it trains.
    """

    config: DictConfig
    job_folder: Path
    task: Sweep
    callbacks: Any
    environment: Mapping[str, str]
    working_dir: str
    threads: int | None
    num_processes: int
    unnamed: str
    silent: bool

    def of_config(self, cfg: DictConfig) -> float | None:
        """The task, without lines and a bar where those of several jobs would stand between one another."""
        if self.silent and "progress" in cfg.callbacks:
            cfg.callbacks.progress = None
        return self.task(cfg)


def main(order: Order, said: multiprocessing.connection.Connection | None = None) -> None:
    """Run a job as a process of ``multiprocessing``.

    Args:
        order: the job.
        said: takes the place of a terminal, between whose lines others write; ``None`` where nobody does.
    """
    # Nothing is begun yet: an interrupt ends it without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.name == "posix":
        # Ctrl-C in a terminal is for the first process, which tells the others: they hear of it once.
        os.setpgid(0, 0)
    if said is not None:
        say_into(said)
    parent = multiprocessing.parent_process()
    assert parent is not None
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.working_dir)
    if order.num_processes > 1:
        _start_anew(order, parent.sentinel)
    end_with(parent.sentinel)
    code = run(order)
    # It has ended; what comes now has nothing to interrupt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Loggers of others end there what they have begun; the end of such a process would leave them out.
    atexit._run_exitfuncs()
    sys.exit(code)


def end_with(life_line: int) -> None:
    """End at once, with all that this process has started, when the other end of ``life_line`` is closed."""

    def wait() -> None:
        multiprocessing.connection.wait([life_line])
        if os.name == "posix":
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run(order: Order) -> int:
    """Run the job in this process; returns its exit code."""
    version.setbase("1.3")
    setup_globals()
    config.register(order.task.swept, order.unnamed)
    hydra = order.config.hydra
    configure_log(hydra.hydra_logging, hydra.verbose)
    if order.threads is not None:
        import torch

        # In a fork of a process that has imported torch, the environment comes too late.
        torch.set_num_threads(order.threads)
    sys.stdout = _Unheard(sys.stdout)
    try:
        _write_down_faults(order.job_folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        hydra_job.run(order.config, order.job_folder, order.of_config, order.callbacks)
    except KeyboardInterrupt:
        # The first process says so.
        return INTERRUPTED
    except BaseException as error:
        # Beside what a job records: its folder cannot be written, or what was raised is no Exception.
        with suppress(OSError), (order.job_folder / LOG_NAME).open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        said = f"[{hydra.job.num + 1}] failed: {type(error).__name__}: {last_line(str(error))}"
        print(said, file=sys.stderr, flush=True)
        return 1
    return 0


class _Unheard:
    """A standard output that may have lost its reader, as by ``| head``: the first process ends the job, not a line."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, or lose it."""
        with suppress(BrokenPipeError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or lose it."""
        with suppress(BrokenPipeError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _write_down_faults(folder: Path) -> None:
    """Have a traceback written into the job's log when the process is ended by a fault of the machine's kind."""
    folder.mkdir(parents=True, exist_ok=True)
    # Stays open for good.
    log = (folder / LOG_NAME).open("a", encoding="utf-8")
    faulthandler.enable(log)
    if LOOK is not None:
        faulthandler.register(LOOK, log)


def _start_anew(order: Order, life_line: int) -> None:
    """Go on as a fresh interpreter, whose command line Lightning can repeat for the other devices."""
    with tempfile.TemporaryFile() as file:
        pickle.dump(order, file)
        file.seek(0)
        os.environ[HANDED] = f"{os.dup(file.fileno())},{life_line}"
    # What can be imported here can be imported there.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    for handed in os.environ[HANDED].split(","):
        os.set_inheritable(int(handed), True)
    found = importlib.util.find_spec(_RANKS)
    assert found is not None
    os.execve(sys.executable, [sys.executable, "-m", _RANKS, str(order.job_folder)], os.environ)
