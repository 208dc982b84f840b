"""A LightningModule as its user wrote it, without a thought of fused sweeps."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy


class PlainNet(pl.LightningModule):
    """Convolution, batch norm and dropout, with torchmetrics and a cosine schedule of its own."""

    def __init__(self, width: int = 4, dropout: float = 0.2, lr: float = 1e-2, smoothing: float = 0.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=4, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(36 * width, 10),
        )
        self.train_acc = MulticlassAccuracy(num_classes=10)
        self.val_acc = MulticlassAccuracy(num_classes=10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        x, y = batch
        output = self(x)
        loss = functional.cross_entropy(output, y, label_smoothing=self.hparams.smoothing)
        self.train_acc(output, y)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        output = self(x)
        self.val_acc(output, y)
        self.log("val/loss", functional.cross_entropy(output, y))
        self.log("val/acc", self.val_acc)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
