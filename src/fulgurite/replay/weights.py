"""Weights in checkpoint files: put into a model, or compared bit by bit."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fulgurite.errors import RunFolderError
from fulgurite.training.checkpoint import load_checkpoint


def load_weights(model: nn.Module, path: Path) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        RunFolderError: when the file is absent, damaged, or of another model; then naming the first difference.
    """
    state = load_checkpoint(path).get("state_dict")
    if state is None:
        raise RunFolderError(f"{path} is no checkpoint of a run: it holds no state_dict")
    own = model.state_dict()
    for name in [*own, *state]:
        there, here = (_shape(weights.get(name)) for weights in (state, own))
        if there != here:
            raise RunFolderError(
                f"{path} is the checkpoint of another model: {name} is {there} there, and {here} in the run's config; "
                "use the checkpoint that this run wrote"
            )
    model.load_state_dict(state)


def differing_weights(one: Path, other: Path) -> list[str]:
    """Names of the parameters and buffers that are not bit for bit the same in two checkpoints.

    Raises:
        RunFolderError: when a checkpoint is absent or damaged.
    """
    states: list[dict[str, Any]] = [load_checkpoint(path)["state_dict"] for path in (one, other)]
    names = sorted({name for state in states for name in state})
    return [name for name in names if _bits(states[0].get(name)) != _bits(states[1].get(name))]


def _bits(tensor: Any) -> Any:
    if tensor is None:
        return None
    flat = tensor.detach().reshape(-1).contiguous()
    return str(tensor.dtype), tuple(tensor.shape), bytes(flat.view(torch.uint8).numpy())


def _shape(tensor: Any) -> str:
    return "absent" if tensor is None else f"of shape {list(tensor.shape)}"
