"""Writes tiny data sets in MNIST's format, for tests."""

import struct
from pathlib import Path

import torch


def idx_bytes(numbers: torch.Tensor) -> bytes:
    """A tensor of bytes as an IDX file."""
    sizes = struct.pack(f">{numbers.dim()}I", *numbers.shape)
    return bytes([0, 0, 8, numbers.dim()]) + sizes + numbers.to(torch.uint8).numpy().tobytes()


def write_set(root: Path, folder_name: str, num_train: int = 30, num_test: int = 12) -> Path:
    """Write the four files in torchvision's layout; image i is filled with i, and its label is i modulo 10."""
    raw = root / folder_name / "raw"
    raw.mkdir(parents=True)
    for part, size in (("train", num_train), ("t10k", num_test)):
        numbers = torch.arange(size)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(numbers.view(-1, 1, 1).expand(-1, 28, 28)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(numbers % 10))
    return raw
