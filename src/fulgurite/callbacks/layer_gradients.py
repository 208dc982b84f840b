"""How long the gradient of each layer is: where it vanishes, the layers near the input do not learn."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from fulgurite.data.in_memory import InMemoryData
from fulgurite.errors import check_int
from fulgurite.models.supervised import Supervised
from fulgurite.pictures.over_epochs import LAYER_GRADIENT
from fulgurite.pictures.scene import untouched


class LayerGradients(pl.Callback):
    """Logs ``layer_gradient/01_<layer>`` ...: the L2 norm of the gradient of its weights as an epoch starts.

    So the first is that of the network before training. The loss is that of the first training samples, unaugmented,
    in training mode: batch normalisation uses the batch's own mean, as it does in a step. Weights, buffers and
    generators are left as they were. Does nothing for data and models that are not of this project.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010),
    figures 7 and 8.

    Args:
        num_samples: of the batch that the gradient is taken of.
    """

    def __init__(self, num_samples: int = 256) -> None:
        self.num_samples = check_int("num_samples", num_samples)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, InMemoryData) and isinstance(pl_module, Supervised):
            x, y = (each[: self.num_samples] for each in data.part("train"))
            norms = layer_gradients(pl_module, data.encode(x), y)
            # Numbered, so that the names are in the order of the layers wherever they are sorted.
            values = {f"{LAYER_GRADIENT}{number:02d}_{name}": norms[name] for number, name in enumerate(norms, start=1)}
            pl_module.log_dict(values, on_step=False, on_epoch=True, sync_dist=True)


def layer_gradients(model: Supervised, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """L2 norm of the gradient of each weight matrix or kernel, by the name of its layer, from input to output.

    Args:
        model: left as it was.
        x: a batch as the model sees it.
        y: its targets.
    """
    named = {name: each for name, each in model.named_parameters() if each.requires_grad and each.dim() > 1}
    buffers = {name: each.clone() for name, each in model.named_buffers()}
    # cuDNN needs no exception here: recurrent layers are in training mode.
    with untouched(model), torch.enable_grad():
        model.train()
        loss = model.loss(model(x.to(next(iter(named.values())).dtype)), y)
        gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    with torch.no_grad():
        for name, each in model.named_buffers():
            each.copy_(buffers[name])
    return {
        name.removesuffix(".weight"): gradient.norm().detach()
        for name, gradient in zip(named, gradients, strict=True)
        if gradient is not None
    }
