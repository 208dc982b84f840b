"""The machine that a row runs on, in words, and whether it has a GPU."""

import os
from collections.abc import Sequence

_THREADS = "OMP_NUM_THREADS"


def has_gpu() -> bool:
    """Whether there is a GPU that CUDA can use. Imports torch."""
    import torch

    return torch.cuda.is_available()


def machine(words: Sequence[str]) -> str:
    """Where jobs of these words run: ``2 cores``, or the name of the GPU. Imports torch."""
    import torch

    if torch.cuda.is_available() and "trainer=cpu" not in words:
        return torch.cuda.get_device_name()
    has_affinity = hasattr(os, "sched_getaffinity")
    num_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    threads = os.environ.get(_THREADS)
    return f"{num_cores} core{'' if num_cores == 1 else 's'}" + (f", {_THREADS}={threads}" if threads else "")
