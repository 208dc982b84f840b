"""Restricted Boltzmann machine, with a readout that looks on.

Shapes: B batch, S one sample, H hidden units, C classes or numbers to predict.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import check_int
from fulgurite.models.boltzmann import BoltzmannMachine
from fulgurite.models.boltzmann_measures import check_probabilities, first_samples, free_energy_gap, measured
from fulgurite.models.supervised import Batch, Supervised


class RBM(Supervised):
    """A Boltzmann machine that learns samples without their targets, and a linear layer on its hidden units.

    The readout learns the targets from the standardised probabilities of the hidden units; its gradient ends there, so
    the machine is what it would be without it. Loss, accuracy and predictions are the readout's: they say what the
    features of the machine are worth. The machine has measures of its own, on validation and test samples:

    - ``val/reconstruction``, nats a sample; ``val/pseudo_likelihood``, nats a sample, an estimate;
    - ``val/free_energy_gap`` to the training samples, nats.

    Samples are probabilities of binary units, numbers from 0 to 1 (``data.scaling=unit``). Momentum and weight decay
    are the optimiser's. Sources: see ``boltzmann.py``.

    Args:
        spec: sizes and task of the data.
        hidden: number of hidden units H.
        rule: ``cd``, contrastive divergence, or ``pcd``, with persistent chains.
        steps: k of CD-k.
        num_chains: chains of ``pcd``.
        centred: learn from deviations from the mean (see ``boltzmann.py``); false is the textbook's rule.
        mean_field: with ``cd``, probabilities in the place of the chain's last visible states (see ``boltzmann.py``).
        init: ``small``, N(0, 0.01^2), or a name in ``layers.INITS``.
        learn_epochs: epochs that the machine learns for, alone, its gradient weighed less from epoch to epoch; then it
            stands still, and the readout learns: features that do not change under it tell it more. ``null`` for both
            at once, all the time.
        loss: name and arguments of the readout's loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        hidden: int = 500,
        rule: str = "cd",
        steps: int = 1,
        num_chains: int = 100,
        centred: bool = True,
        mean_field: bool = True,
        init: str = "small",
        learn_epochs: int | None = None,
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        check_int("hidden", hidden)
        self.learn_epochs = None if learn_epochs is None else check_int("learn_epochs", learn_epochs, low=0)
        self.machine = BoltzmannMachine(self.num_inputs, hidden, rule, steps, num_chains, centred, mean_field, init)
        # Units that are nearly always on, or off, would take the readout long. A squared length of 100, whatever the
        # width, lets it take the large steps that suit the machine.
        self.standardised = nn.BatchNorm1d(hidden, affine=False)
        self.scale = (100 / hidden) ** 0.5
        self.readout = nn.Linear(hidden, self.spec.num_outputs)
        # The readout's loss is convex: any start will do.
        for parameter in self.readout.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """B x S to B x C."""
        hidden = self.machine(x.flatten(1))
        # The readout's loss is none of the machine's. Who asks for the slope over the samples shall have it.
        features = self.standardised(hidden if x.requires_grad else hidden.detach())
        return self.unscale(self.readout(self.scale * features))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The readout's loss, with the machine's gradient beside its own; pure."""
        weight = self._machines_weight() if self.training else 0.0
        if not weight:
            return super().training_step(batch, batch_idx)
        # By turns or at once.
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.learn_epochs is None):
            step = super().training_step(batch, batch_idx)
        learned = weight * self.machine.contrast(batch[0].flatten(1))
        return {**step, "loss": step["loss"] + (learned - learned.detach())}

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Collect and measure a validation batch."""
        check_probabilities(batch[0], "rbm")
        self._measure("val", batch[0])
        return super().validation_step(batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect and measure a test batch."""
        self._measure("test", batch[0])
        super().test_step(batch, batch_idx)

    def on_train_start(self) -> None:
        """Let a new machine begin with the mean of the data."""
        first = first_samples(self)
        if first is not None and not self.trainer.global_step:
            self.machine.begin(first)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, and how much better the machine knows the training samples."""
        super().on_validation_epoch_end()
        gap = free_energy_gap(self.machine, self)
        if gap is not None:
            self.log("val/free_energy_gap", gap, sync_dist=True)

    def _machines_weight(self) -> float:
        """Of the machine's gradient; 0 when it stands still."""
        if self.learn_epochs is None:
            return 1.0
        return max(0.0, 1 - self.trainer.current_epoch / self.learn_epochs) if self.learn_epochs else 0.0

    @torch.no_grad()
    def _measure(self, stage: str, x: Tensor) -> None:
        values = measured(self.machine, x.flatten(1))
        named = {f"{stage}/{name}": value for name, value in values.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(x), sync_dist=True)
