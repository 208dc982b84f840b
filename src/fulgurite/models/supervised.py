"""The recipe that all supervised models share: loss, metrics, optimiser; a family's file adds the network.

The training step is a pure function of (parameters, buffers, batch, random state): it logs nothing and keeps nothing,
so that K of them can be stacked into one program. What it returns is collected outside it and becomes metrics a few
hundred steps at a time, because a ``self.log`` in each step costs as much as a small network's whole step.

Shapes: B batch, C classes, labels or numbers to predict (``spec.num_outputs``).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, DataError
from fulgurite.models.gradient_norm import gradient_norm, is_shown
from fulgurite.models.heads import apply_head, to_probabilities
from fulgurite.models.losses import make_loss
from fulgurite.models.scores import Scores
from fulgurite.randomness import Stream, derive_seed
from fulgurite.spec import DataSpec

Batch = tuple[Tensor, Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MakeScheduler = Callable[..., dict[str, Any]]


def default_optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam with torch's defaults, for a model that is used without a config."""
    return torch.optim.Adam(parameters)


class Supervised(pl.LightningModule):
    """A network with a loss and metrics. Subclasses build layers in ``__init__`` and define ``forward``.

    Subclasses take plain values only and call ``self.save_hyperparameters()``, so that a checkpoint alone rebuilds
    the model.

    Args:
        spec: sizes and task of the data, as in ``data.spec``.
        loss: name and arguments of the loss, as in ``loss``.

    Attributes:
        make_optimizer: set by ``build.py`` from ``optimizer``; called with the parameters.
        make_scheduler: set by ``build.py`` from ``scheduler``; see ``training/schedulers.py``.
        seed: set by ``build.py``; with the step number it seeds what is random in a step, such as dropout.
        grad_norm: L2 norm of the last update's gradient, when a log is to show it; ``None`` where there is none.
    """

    # Attributes that no training step computes with; members of a fused sweep may differ in them.
    not_in_step = ("seed", "make_optimizer", "make_scheduler", "grad_norm")

    def __init__(self, spec: Mapping[str, Any], loss: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.spec = DataSpec(**spec)
        if self.spec.task == "classification" and self.spec.num_outputs < 2:
            raise ConfigError(f"spec.num_outputs must be >= 2 for classification, got {self.spec.num_outputs}")
        self.loss = make_loss(self.spec, loss or {"name": "auto"})
        self.make_optimizer: MakeOptimizer = default_optimizer
        self.make_scheduler: MakeScheduler | None = None
        self.seed = 0
        self.grad_norm: Tensor | None = None
        self.train_scores = Scores(self.spec, "train")
        self.val_scores = Scores(self.spec, "val")
        self.test_scores = Scores(self.spec, "test")

    def check_input(self, *, image: bool) -> None:
        """Refuse a data set whose samples this family cannot read.

        Raises:
            ConfigError: when ``image`` is true and the samples are not images.
        """
        if image and not self.spec.is_image:
            raise ConfigError(
                f"model={type(self).__name__.lower()} reads images (channels, height, width), and this data set's "
                f"samples have shape {list(self.spec.input_shape)}; use model=mlp or model=linear, or data=mnist"
            )

    @property
    def num_inputs(self) -> int:
        """Numbers in one flattened sample."""
        return math.prod(self.spec.input_shape)

    def unscale(self, output: Tensor) -> Tensor:
        """What the last layer says, by way of the head: class scores, or numbers in the unit of the targets."""
        return apply_head(self.spec, output)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Loss of a batch; pure (see the top of this file)."""
        x, y = batch
        output = self(x)
        self.check_shapes(output, y)
        return {"loss": self.loss(output, y), "output": output.detach()}

    def check_shapes(self, output: Tensor, target: Tensor) -> None:
        """Refuse numbers or labels that a loss would broadcast, B against B x 1 to B x B.

        Raises:
            DataError: when outputs and targets differ in shape.
        """
        if self.spec.task != "classification" and output.shape != target.shape:
            raise DataError(
                f"targets must have shape {list(output.shape)} as the outputs have, got {list(target.shape)}"
            )

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Collect a validation batch; what it returns is for callbacks, and for nobody else."""
        outputs = self.training_step(batch, batch_idx)
        self._collect(outputs, batch, self.val_scores)
        return outputs

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect a test batch."""
        self._collect(self.training_step(batch, batch_idx), batch, self.test_scores)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of classes or of labels (B x C), or predicted numbers (B x C)."""
        output = self(batch[0])
        return output if self.spec.task == "regression" else to_probabilities(self.spec, output)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in this step by (seed, batch, rank), so that no generator state needs saving."""
        number = self.trainer.fit_loop.total_batch_idx
        _seed_device(derive_seed(self.seed, Stream.STEP, number, self.global_rank), self.device)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Measure the gradient, if a log is to show it: averaged over ranks, without a scale, not yet clipped."""
        if is_shown(self.trainer, self.trainer.fit_loop.total_batch_idx + 1):
            self.grad_norm = gradient_norm(self, optimizer)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Collect a training batch; every ``log_every_n_steps`` steps log its loss, the rate and the gradient."""
        accumulated = self.trainer.accumulate_grad_batches
        # With gradients accumulated over k batches, Lightning hands out a k-th of each loss.
        outputs = {**outputs, "loss": outputs["loss"] * accumulated} if accumulated > 1 else outputs
        self.collect_training(outputs["loss"], outputs["output"], batch[1])
        self.log_step(outputs["loss"])

    def collect_training(self, loss: Tensor, output: Tensor, target: Tensor) -> None:
        """Collect training samples: their mean loss, outputs (B x C) and targets (B or B x C)."""
        self.train_scores.collect(loss, output, target)

    def log_step(self, loss: Tensor) -> None:
        """When it is time, log the loss of the step just made, the last update's gradient and the next one's rate."""
        # Counted over the run, not the epoch: an epoch may be shorter.
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.fit_loop.total_batch_idx + 1) % every == 0:
            values = {"train/loss_step": loss.item(), "lr": self.trainer.optimizers[0].param_groups[0]["lr"]}
            if self.grad_norm is not None:
                values["grad_norm"] = self.grad_norm.item()
            for logger in self.loggers:
                logger.log_metrics(values, step=self.trainer.global_step)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training metrics."""
        self._log(self.train_scores)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        self._log(self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self._log(self.test_scores)

    def configure_optimizers(self) -> Any:
        """The optimiser and, when there is one, its schedule."""
        optimizer = self.make_optimizer(self.parameters())
        if self.make_scheduler is None:
            return optimizer
        num_steps = self.trainer.estimated_stepping_batches
        if math.isinf(num_steps):
            raise ConfigError(
                "trainer.max_epochs=-1 gives the run no end, and the schedule is laid over the whole run; "
                "set trainer.max_epochs or trainer.max_steps, or use scheduler=constant"
            )
        schedule = self.make_scheduler(optimizer, num_steps=int(num_steps))
        if "monitor" in schedule:
            # There is a new value only after a validation, unless the schedule knows better.
            schedule.setdefault("frequency", self.trainer.check_val_every_n_epoch or 1)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _collect(self, outputs: Mapping[str, Tensor], batch: Batch, scores: Scores) -> None:
        scores.collect(outputs["loss"], outputs["output"], batch[1])

    def _log(self, scores: Scores) -> None:
        self.log_dict(scores.compute(), on_step=False, on_epoch=True)


def _seed_device(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on ``device`` draws from.

    ``torch.manual_seed`` costs 300 microseconds on a machine without a GPU: for each accelerator it knows it records
    the call, with a stack trace, to be made should the accelerator be used later.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
