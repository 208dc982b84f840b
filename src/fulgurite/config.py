"""The config: where it lives, the typed shape of its top-level keys, and the names of run folders.

Imports no torch, so that composing, printing and refusing a config takes a fraction of a second.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

_PACKAGED = Path(__file__).parent / "conf"
# In a wheel conf/ lies inside the package; in a checkout it is at the top.
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"
CONFIG_NAME = "train"
# Groups that a run's folder already says.
_SAID_BY_FOLDER = ("data", "model")
_LONGEST_NAME = 80


class Mode(StrEnum):
    """Whether a larger or a smaller objective is better."""

    max = "max"
    min = "min"


@dataclass
class Objective:
    """What says which epoch of a run, and which run of a sweep, is best."""

    metric: str = "???"
    mode: Mode = Mode.max


@dataclass
class TrainConfig:
    """Types of the top-level keys of ``train.yaml``; groups are free-form, their classes check their own arguments."""

    seed: int = 0
    objective: Objective = field(default_factory=Objective)
    test: bool = True
    checkpoint: str | None = None
    output_root: str = "outputs"
    folder: str = "???"
    data: Any = "???"
    model: Any = "???"
    augmentation: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


def register(swept: Sequence[str] = ()) -> None:
    """Tell Hydra the schema and the resolvers that name folders.

    Args:
        swept: keys that a multirun varies; a job's folder is named by their values.
    """
    ConfigStore.instance().store(name="schema", node=TrainConfig)
    resolvers = {
        "run_name": lambda model, overrides: _stamped(f"{model}_{_describe(overrides, _SAID_BY_FOLDER)}"),
        "sweep_name": lambda _overrides: _stamped("_".join(_last(key) for key in swept) or "sweep"),
        "job_name": lambda overrides: f"{_describe(_only(overrides, swept))}_{_digest(overrides)}".strip("_"),
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, use_cache=True, replace=True)


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain values, all interpolations resolved."""
    plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def fingerprint(plain: dict[str, Any]) -> str:
    """Digest of all that decides a run's numbers: the config without its folders."""
    decisive = {key: value for key, value in plain.items() if key not in ("folder", "output_root", "logger")}
    decisive.pop("callbacks", None)
    return sha256(repr(_sorted(decisive)).encode()).hexdigest()[:16]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _stamped(name: str) -> str:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{name.strip('_')[:_LONGEST_NAME]}_{stamp}-{secrets.token_hex(2)}"


def _describe(overrides: Sequence[str], without: Sequence[str] = ()) -> str:
    """``["optimizer.lr=0.01", "seed=1"]`` to ``lr-0.01_seed-1``: no character that a shell or Hydra would read."""
    pairs = [override.lstrip("+~").partition("=") for override in overrides]
    parts = [f"{_last(key)}-{value}" if value else _last(key) for key, _, value in pairs if key not in without]
    return "_".join(re.sub(r"[^\w.+-]+", "-", part).replace("..", "-").strip("-") for part in parts)[:_LONGEST_NAME]


def _only(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.lstrip("+~").partition("=")[0] in keys]


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _digest(overrides: Sequence[str]) -> str:
    return sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:6]
