"""glibc keeps freed memory: measured in page faults, in a process of its own."""

import platform
import subprocess
import sys

import pytest

from fulgurite.training.allocator import keep_freed_memory

COUNT_FAULTS = """
import resource, sys, threading
from fulgurite.training.allocator import keep_freed_memory
how, size = sys.argv[1], int(sys.argv[2]) << 20
if how != "default":
    assert keep_freed_memory()
def touch():
    block = bytearray(size)
    block[:: 4096] = b"1" * (size >> 12)
def touch_in_turn():
    for _ in range(20):
        thread = threading.Thread(target=touch)
        thread.start()
        thread.join()
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch_in_turn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, megabytes: int) -> int:
    words = [sys.executable, "-c", COUNT_FAULTS, how, str(megabytes)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize("megabytes", [8, 64])
def test_memory_that_was_freed_is_used_again_by_any_thread_without_page_faults(megabytes):
    assert faults("keep", megabytes) * 10 < faults("default", megabytes)


def test_nothing_is_done_where_there_is_no_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert keep_freed_memory() is False
