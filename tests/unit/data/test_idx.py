"""The IDX reader: what it reads, and what it says about files that it cannot."""

import gzip
import hashlib
from pathlib import Path

import pytest
import torch

from fulgurite.data.idx import find_idx, read_idx
from fulgurite.errors import DataError

# Two images of 2 x 3, written by hand from the format's description.
IMAGES = bytes.fromhex("00000803 00000002 00000002 00000003 010203040506 0708090a0bff")
# Without the time of day: the names of tests must be the same in each process.
PACKED = gzip.compress(IMAGES, mtime=0)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_an_idx_file_is_read_packed_or_not(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, gzip.compress(IMAGES) if name.endswith("gz") else IMAGES)
    expected = torch.tensor([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 255]]], dtype=torch.uint8)
    assert torch.equal(read_idx(path, hashlib.sha256(IMAGES).hexdigest()), expected)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", b"", r"is no IDX file of unsigned bytes: it starts with '', not '000008'"),
        ("a", b"PNG..", r"is no IDX file of unsigned bytes: it starts with '504e472e'"),
        ("a", IMAGES.replace(b"\x00\x00\x08", b"\x00\x00\x0d", 1), r"no IDX file of unsigned bytes.*'00000d03'"),
        ("a", IMAGES[:-1], r"is damaged: it announces 2 x 2 x 3 bytes and holds 11; restore it"),
        ("a", IMAGES + b"\x00", r"announces 2 x 2 x 3 bytes and holds 13"),
        ("a", IMAGES[:7], r"announces no bytes and holds 0"),
        ("a.gz", IMAGES, r"cannot be read \(Not a gzipped file.*; restore the file"),
        ("a.gz", PACKED[:-12], r"cannot be read \(Compressed file ended"),
        ("a.gz", PACKED[:10] + b"\xff" * 20, r"cannot be read \(Error -3 while decompressing"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(written(tmp_path / name, content))


def test_a_file_of_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is damaged: its sha256 is not 000000000000…; reinstall fulgurite"):
        read_idx(written(tmp_path / "a", IMAGES), "0" * 64)


def test_a_file_that_is_nowhere_is_named_with_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no labels or labels\.gz in {tmp_path}"):
        find_idx(tmp_path, "labels")
