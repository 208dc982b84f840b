"""How much memory members take, how much there is, and what running out of it looks like."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from fulgurite.data.batches import BatchLoader

# Gradients and outputs of a step live beside those of the last; allocators round up.
_SPARE = 1.5


@dataclass(frozen=True)
class Memory:
    """Bytes of one job but for ``data``, which jobs share.

    Attributes:
        parameters: and buffers.
        gradients: of the trained parameters.
        optimizer: its state after a step.
        activations: what one step keeps for its backward pass.
        data: training and validation part.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    data: int

    def of(self, num_jobs: int) -> int:
        """Bytes of that many jobs at a time."""
        return num_jobs * (self.parameters + self.gradients + self.optimizer + self.activations) + self.data


def memory_of(loop: Any) -> Memory:
    """Of a job that has made a step itself; ``loop`` is its FusedEpochLoop."""
    model = loop.model
    states = [
        each for optimizer in loop.trainer.optimizers for state in optimizer.state.values() for each in state.values()
    ]
    # Where ranks share batches out, DDP has one of its own, and what is sent to the others is one more.
    copies = 1 if loop.ranks.size == 1 else 3
    loaders = [loop.loader, *_listed(loop.trainer.val_dataloaders)]
    parts = {id(part.x): part for part in loaders if isinstance(part, BatchLoader)}
    return Memory(
        parameters=_bytes([*model.parameters(), *model.buffers()]),
        gradients=copies * _bytes([each for each in model.parameters() if each.requires_grad]),
        optimizer=_bytes(states),
        activations=loop.kept_bytes or 0,
        data=sum(_bytes([part.x, part.y]) for part in parts.values()),
    )


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Counts what autograd keeps for the backward pass while the context lasts.

    Args:
        model: its own tensors are not counted.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(self._note, lambda tensor: tensor)
        self._own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
        self._sizes: dict[int, int] = {}

    def __enter__(self) -> Self:  # type: ignore[override]
        super().__enter__()
        return self

    @property
    def num_bytes(self) -> int:
        """Bytes counted."""
        return sum(size for pointer, size in self._sizes.items() if pointer not in self._own)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()


def num_that_fit(loop: Any) -> int:
    """How many members like ``loop``, which is there already, are estimated to fit into the memory that is free."""
    memory = memory_of(loop)
    of_one = memory.of(1) - memory.data
    return int(max(1.0, min(1e9, free_bytes(loop.model.device) / (_SPARE * of_one))))


def free_bytes(device: torch.device) -> float:
    """Bytes that may be taken on ``device``; infinite where nobody can tell."""
    if device.type == "cuda":
        # What torch keeps for later is free, too.
        return (
            torch.cuda.mem_get_info(device)[0]
            + torch.cuda.memory_reserved(device)
            - torch.cuda.memory_allocated(device)
        )
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    kilobytes = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines)}
    return min(1024.0 * int(kilobytes["MemAvailable"]), _free_in_group())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _free_in_group(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """What a container or a scheduler leaves to this process and its like (Linux control groups, version 2)."""
    try:
        limit, used, of_what = ((folder / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
    except OSError:
        return float("inf")
    # Read files are kept as long as there is room.
    cached = dict(line.split() for line in of_what.splitlines()).get("inactive_file", 0)
    return float("inf") if limit.strip() == "max" else float(limit) - float(used) + float(cached)


def _bytes(values: Any) -> int:
    return sum(each.nbytes for each in values if isinstance(each, Tensor))


def _listed(loaders: Any) -> list[Any]:
    return list(loaders) if isinstance(loaders, list | tuple) else [loaders]
