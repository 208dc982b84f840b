"""From the composed config to a ``Run``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric import seed_everything
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ProgressBar

from fulgurite.callbacks.divergence import StopOnDivergence
from fulgurite.callbacks.throughput import Throughput
from fulgurite.callbacks.trial import ReportToSearch
from fulgurite.config import Engine, resolve
from fulgurite.data.in_memory import InMemoryData
from fulgurite.errors import check_int
from fulgurite.fused.solo import AutoEpochLoop, CompiledEpochLoop
from fulgurite.instantiation import make, make_all, named
from fulgurite.models.supervised import Supervised
from fulgurite.training.checkpoint import VerifiedCheckpointIO
from fulgurite.training.loop import FastEpochLoop, use_epoch_loop
from fulgurite.training.optimizers import check_optimizer
from fulgurite.training.same_optimizer import SameOptimizer

_LOOPS = {Engine.eager: FastEpochLoop, Engine.compiled: CompiledEpochLoop, Engine.auto: AutoEpochLoop}


@dataclass(frozen=True)
class Run:
    """Everything that training needs; no config below this point.

    Attributes:
        model: what is trained.
        data: what it is trained on.
        trainer: Lightning's trainer, with callbacks and loggers.
        throughput: measures samples a second.
        divergence: tells whether the loss became infinite or not a number.
        folder: the run folder.
        metric: name of the objective.
        mode: ``max`` or ``min``.
        checkpoint: where to go on from, or ``None``.
        test: test the best checkpoint after training.
    """

    model: pl.LightningModule
    data: pl.LightningDataModule
    trainer: pl.Trainer
    throughput: Throughput
    divergence: StopOnDivergence
    folder: Path
    metric: str
    mode: str
    checkpoint: Path | None
    test: bool


def build(cfg: DictConfig, epoch_loop: type[FastEpochLoop] | None = None, loaded: dict[str, Any] | None = None) -> Run:
    """Build a run.

    Args:
        cfg: the composed config.
        epoch_loop: runs the training steps; ``None`` leaves it to ``engine``.
        loaded: where runs in one process keep the data that they have loaded, to share it.

    Raises:
        ConfigError: for a value that no class accepts, with the config key in front.
    """
    seed_everything(check_int("seed", cfg.seed, low=0), workers=True, verbose=False)
    data = build_data(cfg)
    if loaded is not None and isinstance(data, InMemoryData):
        data.share(loaded.setdefault(_what_is_loaded(cfg), {}))
    model = build_model(cfg)
    throughput, divergence = Throughput(), StopOnDivergence()
    callbacks = [SameOptimizer(), *make_all(cfg, "callbacks"), throughput, divergence, *_of_search(cfg)]
    trainer = make(
        cfg,
        "trainer",
        callbacks=callbacks,
        logger=make_all(cfg, "logger") or False,
        plugins=[VerifiedCheckpointIO()],
        default_root_dir=cfg.folder,
        enable_model_summary=False,
        # Lightning adds no bar of its own, and wants this to be true when there is one.
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        use_distributed_sampler=False,
    )
    use_epoch_loop(trainer, epoch_loop or _LOOPS[cfg.engine])
    return Run(
        model=model,
        data=data,
        trainer=trainer,
        throughput=throughput,
        divergence=divergence,
        folder=Path(cfg.folder),
        metric=cfg.objective.metric,
        mode=str(cfg.objective.mode.value),
        checkpoint=None if cfg.checkpoint is None else Path(cfg.checkpoint),
        test=cfg.test,
    )


def _of_search(cfg: DictConfig) -> list[pl.Callback]:
    """What reports to the pruner of a search, in a job of one."""
    if cfg.sweep.get("trial") is None:
        return []
    sweep = resolve(cfg.sweep)
    metric = sweep["objectives"][0]["metric"] if sweep["objectives"] else cfg.objective.metric
    return [ReportToSearch(Path(cfg.folder).parent, cfg.sweep.trial, metric, sweep)]


def build_data(cfg: DictConfig) -> pl.LightningDataModule:
    """The data alone, as ``predict`` needs it."""
    return make(cfg, "data")


def build_model(cfg: DictConfig) -> pl.LightningModule:
    """The model alone, with optimiser and schedule when it follows the shared recipe."""
    model = make(cfg, "model")
    if isinstance(model, Supervised):
        check_optimizer(resolve(cfg.optimizer))
        model.seed = cfg.seed
        model.make_optimizer = named("optimizer", make(cfg, "optimizer"))
        model.make_scheduler = named("scheduler", make(cfg, "scheduler")) if cfg.scheduler else None
    return model


def _what_is_loaded(cfg: DictConfig) -> str:
    """Equal for configs whose data sets hold the same samples on the same device, however they are batched."""
    place = (cfg.trainer.get("accelerator"), str(cfg.trainer.get("devices")))
    plain = resolve(cfg.data).items()
    return repr((place, {key: value for key, value in plain if key not in InMemoryData.after_loading}))
