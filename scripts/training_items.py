"""Benchmark items that train, against the hand-written loop, in this process."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hand_loop import HandRun, train_by_hand
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from timing import Item, paired_ratios
from torchvision import transforms

from fulgurite import config
from fulgurite.build import build, build_data, build_model
from fulgurite.callbacks.progress import Bar, EpochLines
from fulgurite.log import log_to
from fulgurite.training.allocator import keep_freed_memory

# (model, batch size, target, stretch): our samples/s over the hand loop's.
EPOCHS = (
    ("mlp", 64, ">= 0.70", ">= 0.88"),
    ("mlp", 256, ">= 0.75", ">= 0.90"),
    ("mlp", 1024, ">= 0.85", ">= 0.94"),
    ("cnn", 64, ">= 0.92", ">= 0.95"),
    ("lstm", 64, ">= 0.92", ">= 0.95"),
)


class Clock(pl.Callback):
    """CPU seconds from the start of an epoch to the end of training, after everything that the others do there."""

    def __init__(self, first_epoch: int) -> None:
        self.first_epoch = first_epoch
        self.seconds = 0.0
        self._since: float | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start, once."""
        if trainer.current_epoch >= self.first_epoch and self._since is None:
            self._since = time.process_time()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        assert self._since is not None
        self.seconds = time.process_time() - self._since


def epoch(repeats: int, quick: bool) -> Iterator[Item]:
    """Epochs of MNIST after the first, everything on, against the hand loop."""
    epochs = 2 if quick else 3
    for model, batch_size, target, stretch in EPOCHS:
        name = f"epoch of MNIST: {model}, batch {batch_size}"
        if not (config.CONF_DIR / "model" / f"{model}.yaml").is_file():
            yield Item(name, (), target, stretch, f"no model={model} yet")
            continue
        overrides = [f"model={model}", f"data.batch_size={batch_size}", f"trainer.max_epochs={epochs}"]
        yield against_hand(name, overrides, 1, repeats, target, stretch)


def regression(repeats: int, quick: bool) -> Iterator[Item]:
    """Full-batch steps of the quadratic, one epoch of them."""
    steps = 1000 if quick else 10_000
    # The small network of conf/experiment/quadratic.yaml: the less arithmetic, the harder the comparison.
    overrides = ["experiment=quadratic", "trainer.max_epochs=1"]
    overrides.append(f"data.passes_per_epoch={steps}")
    yield against_hand(f"full-batch regression, {steps} steps", overrides, 0, repeats, ">= 0.55", "")


def against_hand(name: str, overrides: list[str], first_epoch: int, repeats: int, target: str, stretch: str) -> Item:
    """Our samples a second over the hand loop's, pair by pair; both train the same samples."""
    epochs = int(next(word for word in overrides if "max_epochs" in word).split("=")[1]) - first_epoch
    samples: list[int] = []

    def by_hand() -> float:
        done = hand_run(overrides, first_epoch)
        samples.append(done.samples)
        return done.seconds

    # A job calls it too. It lasts as long as the process, so the hand loop has the good of it as well.
    keep_freed_memory()
    values, pairs = paired_ratios(by_hand, lambda: our_seconds(overrides, first_epoch), repeats)
    hand, ours = (min(column) / epochs for column in zip(*pairs, strict=True))
    return Item(
        name,
        values,
        target,
        stretch,
        f"{samples[0] / epochs / ours:,.0f} samples/s, by hand {samples[0] / epochs / hand:,.0f}",
    )


def our_seconds(overrides: list[str], first_epoch: int) -> float:
    """CPU seconds of the epochs from ``first_epoch`` on, by train.py's own path and with a bar that is drawn."""
    with tempfile.TemporaryDirectory() as name, log_to(folder := Path(name)):
        run = build(composed(overrides, folder))
        clock = Clock(first_epoch)
        trainer: Any = run.trainer
        trainer.callbacks = [*(_drawn(each) for each in trainer.callbacks), clock]
        trainer.fit(run.model, datamodule=run.data)
    return clock.seconds


def hand_run(overrides: list[str], first_epoch: int) -> HandRun:
    """The same model, data and schedule through the hand loop."""
    # A program without Lightning does not have it set to 1, at which Adam's step looks for GPUs in a slow way.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    cfg = composed(overrides, Path("unused"))
    data: Any = build_data(cfg)
    data.setup("fit")
    return train_by_hand(
        build_model(cfg),
        data.part("train"),
        data.part("val"),
        data.encode,
        batch_size=cfg.data.batch_size,
        epochs=cfg.trainer.max_epochs,
        lr=cfg.optimizer.lr,
        warm_up_epochs=first_epoch,
        passes=cfg.data.passes_per_epoch,
        classes=cfg.data.spec.task == "classification",
    )


def augment(repeats: int, quick: bool) -> Iterator[Item]:
    """Random affine transforms drawn per sample on a batch of bytes, against the same image by image with PIL."""
    name, target = "augmentation=affine against per-image PIL", ">= 8"
    if not (config.CONF_DIR / "augmentation" / "affine.yaml").is_file():
        yield Item(name, (), target, note="no augmentation=affine yet")
        return
    cfg = composed(["augmentation=affine", "data.train_subset=20000"], Path("unused"))
    data: Any = build_data(cfg)
    data.setup("fit")
    images = data.part("train").x[: 500 if quick else 2000].numpy()
    options = cfg.augmentation.affine
    by_image = transforms.Compose(
        [
            transforms.RandomAffine(
                options.degrees,
                (options.translate, options.translate),
                tuple(options.scale),
                options.shear or None,
                interpolation=transforms.InterpolationMode.BILINEAR,
            ),
            transforms.ToTensor(),
            transforms.Normalize(cfg.data.mean, cfg.data.std),
        ]
    )

    def ours() -> float:
        loader = data.train_dataloader()
        started, count = time.process_time(), 0
        for x, _ in loader:
            count += len(x)
        return count / (time.process_time() - started)

    def pil() -> float:
        started = time.process_time()
        for first in range(0, len(images), cfg.data.batch_size):
            torch.stack([by_image(Image.fromarray(one)) for one in images[first : first + cfg.data.batch_size]])
        return len(images) / (time.process_time() - started)

    values, pairs = paired_ratios(ours, pil, repeats)
    best, slow = (max(column) for column in zip(*pairs, strict=True))
    yield Item(name, values, target, note=f"{best:,.0f} samples/s, by PIL {slow:,.0f}")


def composed(overrides: list[str], folder: Path) -> DictConfig:
    """The config of ``train.py`` with overrides, on the CPU."""
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        return compose(config.CONFIG_NAME, overrides=["trainer=cpu", *overrides, f"folder='{folder}'"])


def _drawn(callback: pl.Callback) -> pl.Callback:
    """A bar in the place of lines: what a terminal would get, drawn into nothing."""
    if type(callback) is not EpochLines:
        return callback
    return Bar(console=Console(file=open(os.devnull, "w"), force_terminal=True))
