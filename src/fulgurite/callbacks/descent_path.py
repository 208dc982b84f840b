"""Where the weights of a small network have been, one place an epoch: the path that gradient descent took.

Shapes: P places, W weights and biases together.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from fulgurite.errors import check_int

# Beyond as many places every second one is forgotten: a picture cannot show more.
_MOST = 200


class DescentPath(pl.Callback):
    """Keeps the weights at the start and after each epoch, for the picture of the loss surface.

    Of a long run after each 2nd, 4th ... epoch; where the weights are now is always the last place.

    Args:
        max_weights: of networks with as many weights and biases at most; of larger ones nothing is kept. 2 is a line.

    Raises:
        ConfigError: when ``max_weights`` is no number of weights.
    """

    def __init__(self, max_weights: int = 2) -> None:
        self.max_weights = check_int("max_weights", max_weights, low=0)
        self._places: list[Tensor] = []
        self._every = 1

    @property
    def descent_path(self) -> Tensor:
        """P x W, in the order of time; empty where nothing is kept."""
        return torch.stack(self._places) if self._places else torch.empty(0, 0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the start, unless the run goes on from a checkpoint that has it."""
        if not self._places:
            self._keep(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep where the epoch has led."""
        # What was kept of the epoch before as the last place.
        if self._places and trainer.current_epoch % self._every:
            self._places.pop()
        self._keep(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The path so far; nothing where nothing is kept."""
        return {"places": self.descent_path, "every": self._every} if self._places else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a path."""
        self._places, self._every = list(state_dict["places"]), state_dict["every"]

    def _keep(self, model: nn.Module) -> None:
        if not 0 < sum(each.numel() for each in model.parameters()) <= self.max_weights:
            return
        self._places.append(parameters_to_vector(model.parameters()).detach().double().cpu())
        if len(self._places) > _MOST:
            self._places, self._every = self._places[::2], 2 * self._every
