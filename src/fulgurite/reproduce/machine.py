"""The machine that a row runs on, in words, and whether it has a GPU."""

import os
from collections.abc import Sequence

THREADS = "OMP_NUM_THREADS"


def has_gpu() -> bool:
    """Whether there is a GPU that CUDA can use. Imports torch."""
    import torch

    return torch.cuda.is_available()


def machine(words: Sequence[str]) -> str:
    """Where jobs of these words run: ``2 cores``, or the name of the GPU. Imports torch."""
    import torch

    if torch.cuda.is_available() and "trainer=cpu" not in words:
        return torch.cuda.get_device_name()
    threads = os.environ.get(THREADS)
    number = num_cores()
    return f"{number} core{'' if number == 1 else 's'}" + (f", {THREADS}={threads}" if threads else "")


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
