"""Checkpoint files: written whole or not at all, and verified when they are read."""

import copy
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from fulgurite.errors import RunFolderError


class VerifiedCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin with an atomic write and a verified read.

    A checkpoint is a zip file, so each tensor in it already carries a checksum (CRC-32); reading tests them all.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside ``path``, then rename."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with partial.open("wb") as file:
                torch.save(_own_memory(checkpoint), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: Any, map_location: Callable | None = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Load a checkpoint of plain values and tensors.

        Raises:
            RunFolderError: when the file is absent or damaged.
        """
        return load_checkpoint(Path(path))


def _own_memory(value: Any) -> Any:
    """``value``, with tensors that are parts of larger ones copied: a file would hold the larger ones whole."""
    if isinstance(value, torch.Tensor):
        is_part = value.untyped_storage().nbytes() > value.numel() * value.element_size()
        return value.detach().clone() if is_part else value
    if isinstance(value, dict):
        # A state_dict has attributes of its own beside its items.
        copied = copy.copy(value)
        copied.update((key, _own_memory(each)) for key, each in value.items())
        return copied
    if type(value) in (list, tuple):
        return type(value)(_own_memory(each) for each in value)
    return value


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, after testing the checksum of each of its parts.

    Raises:
        RunFolderError: when the file is absent, truncated or otherwise damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunFolderError(f"there is no checkpoint {path}; repeat the run, or give another one") from None
    except pickle.UnpicklingError as error:
        raise RunFolderError(
            f"the checkpoint {path} holds more than plain values and tensors, which could be code; it is not loaded"
        ) from error
    except (zipfile.BadZipFile, EOFError, RuntimeError, OSError) as error:
        raise RunFolderError(
            f"the checkpoint {path} is damaged ({error}); use another one or repeat the run"
        ) from error
    raise RunFolderError(f"the checkpoint {path} is damaged (bad checksum of {damaged}); use another one")
