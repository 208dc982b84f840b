"""States of the global generators of torch, numpy and Python, which members exchange as they take turns."""

import os
import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand

# Where Lightning keeps the seed of a run.
_SEED = "PL_GLOBAL_SEED"


@dataclass
class Generators:
    """States; ``cuda`` is ``None`` before CUDA is used.

    ``seed`` is what Lightning seeds them with again at the start of a test on several devices.
    """

    torch: torch.Tensor
    cuda: Any
    numpy: Any
    python: tuple[Any, ...]
    seed: str | None


def fresh_generators() -> Generators:
    """Of their own, in the state that the global ones are in."""
    own = get_generators()
    # The bit generator itself is exchanged: to copy its state takes 50 microseconds.
    numpy: Any = np.random.MT19937()
    numpy.state = own.numpy.state
    return replace(own, numpy=numpy)


def get_generators() -> Generators:
    """The global ones."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    return Generators(
        torch.default_generator.get_state(),
        cuda,
        mtrand.get_bit_generator(),
        random.getstate(),
        os.environ.get(_SEED),
    )


def set_generators(generators: Generators) -> None:
    """Make them the global ones."""
    torch.default_generator.set_state(generators.torch)
    if generators.cuda is not None:
        torch.cuda.set_rng_state(generators.cuda)
    mtrand.set_bit_generator(generators.numpy)
    random.setstate(generators.python)
    if generators.seed is not None:
        os.environ[_SEED] = generators.seed
