"""Reader of IDX files, the format of MNIST and of the sets made after it.

Source: the format as described on the MNIST page of LeCun, Cortes and Burges: a big-endian magic number (0, 0, type,
number of dimensions), one 32-bit size a dimension, then the bytes.
"""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
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
        DataError: when the file is damaged, is no IDX file of bytes, or does not have the digest.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); restore the file") from error
    except Exception as error:  # zlib.error is no OSError
        raise DataError(f"{path} is damaged ({error}); restore the file") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} is damaged: its sha256 is not {sha256[:12]}…; reinstall fulgurite to restore it")
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is no IDX file of unsigned bytes: it starts with {content[:4].hex()!r}, not '000008'")
    num_dims = content[3]
    start = 4 + 4 * num_dims
    sizes = struct.unpack(f">{num_dims}I", content[4:start]) if len(content) >= start else (-1,)
    if len(content) - start != int(np.prod(sizes)):
        raise DataError(f"{path} is damaged: it announces {sizes} bytes and holds {max(len(content) - start, 0)}")
    # A writable copy: torch warns about read-only memory.
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sizes).copy())
