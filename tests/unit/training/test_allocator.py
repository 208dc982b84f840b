"""glibc keeps freed memory: measured in page faults, in a process of its own."""

import platform
import subprocess
import sys

import pytest

from fulgurite.training import allocator
from fulgurite.training.allocator import keep_freed_memory

COUNT_FAULTS = """
import contextlib, resource, sys
from fulgurite.training.allocator import keep_freed_memory, large_blocks_kept
how, size = sys.argv[1], int(sys.argv[2]) << 20
if how != "default":
    assert keep_freed_memory()
def touch():
    block = bytearray(size)
    block[:: 4096] = b"1" * (size >> 12)
with large_blocks_kept() if how == "keep all" else contextlib.nullcontext():
    touch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        touch()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, megabytes: int) -> int:
    words = [sys.executable, "-c", COUNT_FAULTS, how, str(megabytes)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(autouse=True)
def looked_up_anew():
    allocator._is_glibc.cache_clear()
    yield
    allocator._is_glibc.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    assert faults("keep", 8) * 10 < faults("default", 8)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_blocks_are_used_again_where_that_is_asked_for():
    assert faults("keep all", 64) * 10 < faults("keep", 64)


def test_nothing_is_done_where_there_is_no_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert keep_freed_memory() is False
    with allocator.large_blocks_kept():
        pass
