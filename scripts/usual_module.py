"""A LightningModule and its loaders as most people write them: what a newcomer's sweep would be made of."""

import contextlib
import io
import tempfile
import time
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from fulgurite.build import build_data, build_model


class UsualModule(pl.LightningModule):
    """``self.log`` and torchmetrics in each step.

    Args:
        net: images to scores of 10 classes.
        lr: of Adam.
    """

    def __init__(self, net: nn.Module, lr: float) -> None:
        super().__init__()
        self.net, self.lr = net, lr
        self.accuracies = nn.ModuleDict({f"{stage}_acc": MulticlassAccuracy(10) for stage in ("train", "val", "test")})

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss and accuracy of a batch, logged."""
        return self._step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The same."""
        self._step(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The same."""
        self._step(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as it comes."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def _step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        x, y = batch
        scores = self.net(x)
        loss = functional.cross_entropy(scores, y)
        accuracy: Any = self.accuracies[f"{stage}_acc"]
        accuracy(scores, y)
        self.log(f"{stage}/loss", loss, on_step=stage == "train", on_epoch=True)
        self.log(f"{stage}/acc", accuracy, on_step=stage == "train", on_epoch=True, prog_bar=True)
        return loss


def seconds(cfg: DictConfig) -> float:
    """CPU seconds of one epoch and a test of ``cfg``'s network and data with Lightning's defaults."""
    data: Any = build_data(cfg)
    data.setup("fit")
    data.setup("test")
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        model = UsualModule(build_model(cfg), cfg.optimizer.lr)
        loaders = [_loader(data, part, cfg.data.batch_size) for part in ("train", "val", "test")]
        trainer = pl.Trainer(max_epochs=cfg.trainer.max_epochs, accelerator="cpu", default_root_dir=folder)
        trainer.fit(model, loaders[0], loaders[1])
        trainer.test(model, loaders[2], verbose=False)
        return time.process_time() - started


def _loader(data: Any, part: str, batch_size: int) -> DataLoader:
    x, y = data.part(part)
    return DataLoader(TensorDataset(data.encode(x), y), batch_size, shuffle=part == "train", drop_last=part == "train")
