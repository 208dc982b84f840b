"""glibc's malloc, told to keep what a training step or a validation batch frees for the next one.

By default larger blocks are handed back to the kernel at each free and mapped, zeroed, at each allocation: a step, and
still more a validation, then pays for thousands of page faults.
"""

import ctypes
import platform
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_KEEP_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Keep up to 1 GiB of freed blocks in this process; elsewhere than on Linux with glibc do nothing.

    All threads share it: the members of a fused sweep take turns, and what one frees is there for the next.

    Returns:
        Whether it was done.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _KEEP_BYTES, _M_ARENA_MAX: 1}
    # Each returns 1 on success.
    return all([mallopt(name, value) for name, value in settings.items()])
