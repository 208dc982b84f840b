"""glibc's malloc, told to keep what a training step frees for the next step.

By default blocks of a few hundred kB and more are handed back to the kernel at each free and mapped, zeroed, at each
allocation: a step then pays for thousands of page faults. Larger blocks still go back: they come with loading and with
validation, a few an epoch, and kept they would leave holes in the heap.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_MOST_MAPPED = 1 << 16
_MAP_FROM_BYTES = 1 << 24
_KEEP_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Keep freed blocks of less than 16 MiB in this process; elsewhere than on Linux with glibc do nothing.

    Returns:
        Whether it was done.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Both return 1 on success.
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAP_FROM_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES))


@contextmanager
def large_blocks_kept() -> Iterator[None]:
    """Keep freed blocks of any size while the context lasts: for steps of many members, whose batches are large.

    Else each step of 256 members on images has 25,000 page faults.
    """
    if not _is_glibc():
        yield
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, _MOST_MAPPED)


@cache
def _is_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
