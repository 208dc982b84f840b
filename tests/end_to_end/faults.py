"""A callback that makes jobs fail, in one way for each seed, while the environment variable FAULTS is set."""

import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from pytorch_lightning import Callback


class Fault(Callback):
    """Fails in the first epoch.

    Args:
        kinds: names of the methods below by the seed of the job.
        seed: of this job.
    """

    def __init__(self, kinds: Mapping[int, str], seed: int) -> None:
        self._kind = kinds.get(seed)

    def on_train_epoch_start(self, trainer, pl_module):
        if self._kind and "FAULTS" in os.environ:
            getattr(self, self._kind)()

    def raises(self):
        raise RuntimeError("first line\nraised on purpose")

    def raises_no_exception(self):
        raise GeneratorExit("raised on purpose")

    def has_no_memory(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def exits(self):
        sys.exit(3)

    def exits_without_code(self):
        sys.exit()

    def leaves(self):
        os._exit(0)

    def is_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def faults(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def fills_the_disk(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))

    def is_told_of_a_full_disk(self):
        raise OSError(28, "No space left on device", "events")

    def hangs(self):
        time.sleep(1000)

    def hangs_in_a_library(self):
        # No signal is heard.
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(1000)

    def is_deaf(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(1000)

    def fails_once(self):
        if not Path("failed").exists():
            Path("failed").touch()
            raise RuntimeError("once")
