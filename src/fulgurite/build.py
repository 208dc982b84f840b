"""From the composed config to a ``Run``: the only file that instantiates."""

import inspect
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning_fabric import seed_everything
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ProgressBar

from fulgurite.callbacks.divergence import StopOnDivergence
from fulgurite.callbacks.throughput import Throughput
from fulgurite.config import Engine, resolve
from fulgurite.data.in_memory import InMemoryData
from fulgurite.errors import ConfigError, FulguriteError, check_int, did_you_mean
from fulgurite.fused.solo import AutoEpochLoop, CompiledEpochLoop
from fulgurite.models.supervised import Supervised
from fulgurite.training.checkpoint import VerifiedCheckpointIO
from fulgurite.training.loop import FastEpochLoop, use_epoch_loop
from fulgurite.training.optimizers import check_optimizer

ENGINES = {Engine.eager: FastEpochLoop, Engine.compiled: CompiledEpochLoop, Engine.auto: AutoEpochLoop}


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
    callbacks = [*_make_all(cfg, "callbacks"), throughput, divergence]
    trainer = _make(
        cfg,
        "trainer",
        callbacks=callbacks,
        logger=_make_all(cfg, "logger") or False,
        plugins=[VerifiedCheckpointIO()],
        default_root_dir=cfg.folder,
        enable_model_summary=False,
        # Lightning adds no bar of its own, and wants this to be true when there is one.
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        use_distributed_sampler=False,
    )
    use_epoch_loop(trainer, epoch_loop or ENGINES[cfg.engine])
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


def build_data(cfg: DictConfig) -> pl.LightningDataModule:
    """The data alone, as ``predict`` needs it."""
    return _make(cfg, "data")


def build_model(cfg: DictConfig) -> pl.LightningModule:
    """The model alone, with optimiser and schedule when it follows the shared recipe."""
    model = _make(cfg, "model")
    if isinstance(model, Supervised):
        check_optimizer(resolve(cfg.optimizer))
        model.seed = cfg.seed
        model.make_optimizer = _named("optimizer", _make(cfg, "optimizer"))
        model.make_scheduler = _named("scheduler", _make(cfg, "scheduler")) if cfg.scheduler else None
    return model


def _what_is_loaded(cfg: DictConfig) -> str:
    """Equal for configs whose data sets hold the same samples, however they are batched."""
    plain = resolve(cfg)["data"]
    return repr({key: value for key, value in plain.items() if key not in InMemoryData.after_loading})


def _make(cfg: DictConfig, key: str, **extra: Any) -> Any:
    """Instantiate the node at ``key``, such as ``model`` or ``logger.csv``."""
    node = OmegaConf.select(cfg, key)
    _check_arguments(key, node)
    return _named(key, _instantiated)(node, extra)


def _make_all(cfg: DictConfig, group: str) -> list[Any]:
    """Instantiate each named node of a group such as ``callbacks``; a null switches one off."""
    return [_make(cfg, f"{group}.{name}") for name, node in cfg[group].items() if node is not None]


def _instantiated(node: DictConfig, extra: dict[str, Any]) -> Any:
    """What Hydra's ``instantiate`` makes of a node; one without others inside takes a tenth of the time here."""
    plain: Any = OmegaConf.to_container(node, resolve=True)
    target, is_partial = plain.pop("_target_"), plain.pop("_partial_", False)
    if _asks_hydra(plain):
        return instantiate(node, **extra, _convert_="all")
    try:
        made = partial(get_object(target), **{**plain, **extra})
        return made if is_partial else made()
    except Exception as error:
        raise InstantiationException(f"Error in call to target '{target}':\n{error!r}") from error


def _asks_hydra(value: Any) -> bool:
    """Whether there is a key such as ``_target_`` or ``_args_`` in it, at any depth."""
    if isinstance(value, dict):
        return any(str(key).startswith("_") or _asks_hydra(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_asks_hydra, value))


def _named(group: str, function: Any) -> Any:
    """``function``, with what it refuses told as an error of the config group."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except InstantiationException as error:
            cause = error.__cause__
            if isinstance(cause, ConfigError):
                raise ConfigError(_prefixed(group, str(cause))) from cause
            if isinstance(cause, FulguriteError):
                raise cause from None
            if isinstance(cause, ValueError | TypeError | RuntimeError | ImportError):
                raise ConfigError(f"{group}: {cause}") from cause
            raise
        except ConfigError as error:
            raise ConfigError(_prefixed(group, str(error))) from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{group}: {error}") from error

    return call


def _prefixed(group: str, message: str) -> str:
    """Put the group before a message that starts with a bare argument: ``dropout must`` to ``model.dropout must``."""
    first = message.split(" ", 1)[0]
    return message if "." in first and not first.startswith("spec.") or "=" in first else f"{group}.{message}"


def _check_arguments(group: str, node: DictConfig) -> None:
    """Refuse a key that the class does not take; Hydra's own ``+key=value`` would let a typo through to a TypeError.

    Raises:
        ConfigError: with the nearest argument and all of them.
    """
    target = node.get("_target_")
    if target is None:
        raise ConfigError(f"{group} names no class: its yaml needs a _target_")
    try:
        function = get_object(target)
    except Exception as error:
        raise ConfigError(f"{group}._target_={target} cannot be imported: {error}") from error
    known = _arguments(function)
    unknown = [key for key in map(str, node) if key not in known and not key.startswith("_")]
    if known and unknown:
        raise ConfigError(
            f"{group}.{unknown[0]} is not an argument of {target.rpartition('.')[2]}"
            f"{did_you_mean(unknown[0], known)}; it takes {', '.join(sorted(known))}"
        )


def _arguments(function: Any) -> list[str]:
    """Names of the arguments, those that ``**options`` hands to a base class included."""
    classes = inspect.getmro(function) if inspect.isclass(function) else [function]
    names: list[str] = []
    for one in classes:
        try:
            parameters = inspect.signature(one).parameters.values()
        except (ValueError, TypeError):
            return []
        names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names
