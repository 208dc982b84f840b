"""Reader of IDX files, the format of MNIST and of the sets made after it.

Source: the format as described on the MNIST page of LeCun, Cortes and Burges: a big-endian magic number (0, 0, type,
number of dimensions), one 32-bit size a dimension, then the bytes.
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from fulgurite.errors import DataError


def find_idx(folder: Path, name: str) -> Path:
    """The file ``name`` or ``name.gz`` in ``folder``.

    Raises:
        DataError: when neither is there.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"no {name} or {name}.gz in {folder}")


def read_idx(path: Path, sha256: str | None = None) -> Tensor:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file.
        sha256: digest of the unpacked file, checked when given.

    Raises:
        DataError: when the file is unreadable or damaged, is no IDX file of bytes, or does not have the digest.
    """
    content = _unpack(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} is damaged: its sha256 is not {sha256[:12]}…; reinstall fulgurite to restore it")
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is no IDX file of unsigned bytes: it starts with {content[:4].hex()!r}, not '000008'")
    num_dims = content[3]
    start = 4 + 4 * num_dims
    sizes = struct.unpack(f">{num_dims}I", content[4:start]) if len(content) >= start else ()
    if not sizes or len(content) - start != math.prod(sizes):
        announced = " x ".join(str(size) for size in sizes) or "no"
        raise DataError(
            f"{path} is damaged: it announces {announced} bytes and holds {max(len(content) - start, 0)}; restore it"
        )
    # A writable copy: torch warns about read-only memory.
    numbers = torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:]
    return numbers.reshape(sizes)


def _unpack(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    # What gzip raises: BadGzipFile (an OSError), EOFError when cut short, zlib.error for damaged data.
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); restore the file") from error
