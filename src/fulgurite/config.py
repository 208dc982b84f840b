"""The config: where it lives, the typed shape of its top-level keys, and the names of run folders.

Imports no torch, so that composing, printing and refusing a config takes a fraction of a second.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Hydra and OmegaConf are imported where they are used: `--help` needs CONF_DIR alone.
    from omegaconf import DictConfig

_PACKAGED = Path(__file__).parent / "conf"
# In a wheel conf/ lies inside the package; in a checkout it is at the top.
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"
CONFIG_NAME = "train"
# Groups whose option says enough by itself in a folder's name: `lstm`, not `model-lstm`.
_PLAIN_GROUPS = ("data", "model")
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
    launcher: dict[str, Any] = field(default_factory=dict)


def register(swept: Sequence[str] = ()) -> None:
    """Tell Hydra the schema and the resolvers that name folders.

    Args:
        swept: keys that a multirun varies; a job's folder is named by their values.
    """
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    ConfigStore.instance().store(name="schema", node=TrainConfig)
    resolvers: dict[str, Callable[..., str]] = {
        "run_name": lambda model, overrides: _stamped(
            f"{_plain(str(model))}_{describe(overrides, without=_PLAIN_GROUPS)}"
        ),
        "sweep_name": lambda: _stamped("_".join(_plain(_last(key)) for key in swept) or "sweep"),
        "job_name": lambda overrides: f"{describe(overrides, only=swept)}_{_digest(overrides)}".strip("_"),
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, use_cache=True, replace=True)


def resolve(cfg: "DictConfig") -> dict[str, Any]:
    """The config as plain values, all interpolations resolved."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def fingerprint(plain: dict[str, Any]) -> str:
    """Digest of all that decides a run's numbers: the config without folders, loggers, launcher and progress bar."""
    decisive = {key: value for key, value in plain.items() if key not in ("output_root", "logger", "launcher")}
    decisive["callbacks"] = {name: node for name, node in plain["callbacks"].items() if name != "progress"}
    return sha256(repr(_canonical(decisive)).encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """``value`` in an order that does not depend on how it was written, without the keys that name the run folder."""
    if isinstance(value, dict):
        return [(key, _canonical(value[key])) for key in sorted(value) if key != "folder"]
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def describe(
    overrides: Sequence[str], *, only: Sequence[str] = (), without: Sequence[str] = (), between: str = "_"
) -> str:
    """``["model=mlp", "optimizer.lr=0.01"]`` to ``mlp_lr-0.01``: nothing that a shell, a path or Hydra would read.

    Args:
        overrides: Hydra overrides.
        only: take these keys alone; empty takes all.
        without: leave these keys out.
        between: what stands between two of them.
    """
    parts = []
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key in without or (only and key not in only):
            continue
        parts.append(_plain(value) if value and key in _PLAIN_GROUPS else f"{_plain(_last(key))}-{_plain(value)}")
    return between.join(part.rstrip("-") for part in parts)[:_LONGEST_NAME].rstrip("._-")


def _plain(text: str) -> str:
    """``text`` with ASCII letters, digits, ``_``, ``+``, ``-`` and single dots, and a dash for each run of others."""
    sign = "-" if re.match(r"-\d", text) else ""
    return sign + re.sub(r"(?:[^\w.+-]|\.{2,})+", "-", text, flags=re.ASCII).strip("-.")


def _stamped(name: str) -> str:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{name.strip('_')[:_LONGEST_NAME]}_{stamp}-{secrets.token_hex(2)}"


def _last(key: str) -> str:
    return re.split(r"[./@]", key)[-1]


def _digest(overrides: Sequence[str]) -> str:
    # A job is the same one whatever launcher runs it.
    decisive = [override for override in overrides if re.split(r"[.=]", override.lstrip("+~"))[0] != "launcher"]
    return sha256("\n".join(sorted(decisive)).encode()).hexdigest()[:6]
