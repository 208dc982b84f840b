"""Deep belief network: Boltzmann machines learned one upon the other, then fine-tuned by back-propagation.

Shapes: B batch, S one sample, C classes or numbers to predict.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import check_fraction, check_int, check_number, check_sizes
from fulgurite.models.boltzmann import BoltzmannMachine
from fulgurite.models.boltzmann_measures import check_probabilities, first_samples, measured
from fulgurite.models.supervised import Batch, Supervised

log = logging.getLogger(__name__)

# Where a checkpoint says which phase has begun.
_BEGUN = "begun_phase"


class DBN(Supervised):
    """Sigmoid layers with a linear head, whose weights begin as those of Boltzmann machines.

    A run has phases, told apart by the epoch alone. In phase 1, 2, ... each hidden layer in turn learns, as a Boltzmann
    machine and without targets, the probabilities of the layer below, for ``pretrain_epochs`` epochs each; all other
    parameters stand still. In the phase after the last of them, back-propagation of the loss trains all layers. The
    optimiser's momentum begins anew in each, its schedule goes on. The curve ``phase`` tells which it is; loss and
    accuracy are the whole network's in every phase, and chance at first.
    Validation in a phase of a machine measures ``val/reconstruction`` and ``val/pseudo_likelihood`` of it, in nats.

    Samples are probabilities of binary units, numbers from 0 to 1 (``data.scaling=unit``).
    Sources: Hinton, Osindero and Teh, "A fast learning algorithm for deep belief nets" (2006); Hinton and
    Salakhutdinov, "Reducing the dimensionality of data with neural networks" (2006) for the fine-tuning.

    Args:
        spec: sizes and task of the data.
        hidden: width of each hidden layer.
        pretrain_epochs: epochs of each layer's machine; 0 gives the same network without pre-training.
        pretrain_factor: weight of a machine's gradient; with plain gradient descent and momentum, its learning rate is
            so many times that of fine-tuning.
        rule: of the machines: ``cd`` or ``pcd`` (see ``boltzmann.py``).
        steps: k of CD-k.
        num_chains: chains of ``pcd``.
        centred: machines learn from deviations from the mean (see ``boltzmann.py``); false is the textbook's rule.
        mean_field: with ``cd``, probabilities in the place of the chain's last visible states (see ``boltzmann.py``).
        dropout: probability of zeroing a hidden unit in fine-tuning, in [0, 1).
        init: ``small``, N(0, 0.01^2), or a name in ``layers.INITS``; the head starts at zero.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        hidden: Sequence[int] = (500, 500, 2000),
        pretrain_epochs: int = 5,
        pretrain_factor: float = 1.0,
        rule: str = "cd",
        steps: int = 1,
        num_chains: int = 100,
        centred: bool = True,
        mean_field: bool = True,
        dropout: float = 0.0,
        init: str = "xavier_uniform",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        self.pretrain_epochs = check_int("pretrain_epochs", pretrain_epochs, low=0)
        self._begun = 0
        self.pretrain_factor = check_number("pretrain_factor", pretrain_factor, above=0)
        widths = [self.num_inputs, *check_sizes("hidden", hidden)]
        self.machines = nn.ModuleList(
            BoltzmannMachine(below, above, rule, steps, num_chains, centred, mean_field, init)
            for below, above in pairwise(widths)
        )
        self.dropout = nn.Dropout(check_fraction("dropout", dropout))
        self.head = nn.Linear(widths[-1], self.spec.num_outputs)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        # Without their phases, machines are layers: nothing would train what they look down with.
        for phase in range(1, len(widths)) if not pretrain_epochs else ():
            layer = self._machine(phase)
            visible_bias = layer.visible_bias.detach()
            del layer.visible_bias
            layer.register_buffer("visible_bias", visible_bias)

    @property
    def phase(self) -> int:
        """1, 2, ... while a machine learns, of the lowest layer first; one more than there are layers afterwards."""
        # Not kept anywhere, so that a run that goes on inside a phase needs nothing.
        return self.phase_of(self.trainer.current_epoch) if self.pretrain_epochs else len(self.machines) + 1

    def phase_of(self, epoch: int) -> int:
        """The phase of an epoch, counted from 0."""
        last = len(self.machines) + 1
        return min(epoch // self.pretrain_epochs + 1, last) if self.pretrain_epochs else last

    def learned_machines(self, epoch: int) -> list[BoltzmannMachine]:
        """Those that have learned in or before an epoch, the lowest first; none once they are a network's layers."""
        phase = self.phase_of(epoch)
        return [self._machine(each) for each in range(1, phase + 1)] if phase <= len(self.machines) else []

    def forward(self, x: Tensor) -> Tensor:
        """B x S to B x C."""
        h = x.flatten(1)
        for machine in self.machines:
            h = self.dropout(machine(h))
        return self.unscale(self.head(h))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The loss of the whole network, with the gradient that the phase asks for."""
        if not self.training or not self.pretrain_epochs:
            return super().training_step(batch, batch_idx)
        if (phase := self.phase) != self._begun:
            self._begin(phase)
        if phase > len(self.machines):
            return super().training_step(batch, batch_idx)
        with torch.no_grad():
            step = super().training_step(batch, batch_idx)
        learned = self.pretrain_factor * self._machine(phase).contrast(self._below(batch[0], phase))
        return {**step, "loss": step["loss"] + (learned - learned.detach())}

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Collect a validation batch; measure the machine that learns, if one does."""
        phase = self.phase
        if phase <= len(self.machines):
            check_probabilities(batch[0], "dbn")
            values = measured(self._machine(phase), self._below(batch[0], phase))
            named = {f"val/{name}": value for name, value in values.items()}
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=True)
        return super().validation_step(batch, batch_idx)

    def on_train_start(self) -> None:
        """Say so when the run ends before the network is fine-tuned."""
        number, last = len(self.machines) * self.pretrain_epochs, self.trainer.max_epochs or -1
        if 0 < last <= number:
            log.warning("%d epochs of pre-training leave none of the run's %d for back-propagation", number, last)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training metrics and its phase."""
        super().on_train_epoch_end()
        self.log("phase", float(self.phase))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep which phase has begun."""
        checkpoint[_BEGUN] = self._begun

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over which phase had begun."""
        self._begun = checkpoint.get(_BEGUN, 0)

    def _begin(self, phase: int) -> None:
        """Prepare a phase. Not in a hook of epochs: a run that goes on may pass over those."""
        number, self._begun = len(self.machines), phase
        what = f"layer {phase} of {number} learns as a Boltzmann machine" if phase <= number else "back-propagation"
        log.info("phase %d, from epoch %d on: %s", phase, self.trainer.current_epoch + 1, what)
        # Momentum of another gradient; and torch's fused SGD fails where some parameters have a state and some not.
        for optimizer in self.trainer.optimizers:
            optimizer.state.clear()
        first = first_samples(self)
        if first is not None and phase <= number:
            self._machine(phase).begin(self._below(first, phase))

    def _machine(self, phase: int) -> BoltzmannMachine:
        machine = self.machines[phase - 1]
        assert isinstance(machine, BoltzmannMachine)
        return machine

    @torch.no_grad()
    def _below(self, x: Tensor, phase: int) -> Tensor:
        """What the machine of a phase reads: samples B x S, or probabilities of the units of the layer below."""
        h = x.flatten(1)
        for machine in self.machines[: phase - 1]:
            h = machine(h)
        return h
