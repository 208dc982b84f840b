"""glibc keeps freed memory: measured in page faults, in a process of its own."""

import platform
import subprocess
import sys

import pytest

from fulgurite.training.allocator import keep_freed_memory

COUNT_FAULTS = """
import resource, sys
from fulgurite.training.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def touch():
    block = bytearray(8 << 20)
    block[:: 4096] = b"1" * (8 << 8)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    assert faults("keep") * 10 < faults("default")


def test_nothing_is_done_where_there_is_no_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert keep_freed_memory() is False
