"""The config: where it lives, the typed shape of its top-level keys, and the names of run folders.

Imports no torch, so that composing, printing and refusing a config takes a fraction of a second.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fulgurite.errors import ConfigError
from fulgurite.result import INDIFFERENT, ONLOOKERS

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


class Engine(StrEnum):
    """What makes the training steps of a job that trains by itself."""

    eager = "eager"
    compiled = "compiled"
    auto = "auto"


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
    engine: Engine = Engine.eager
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
    sweep: dict[str, Any] = field(default_factory=dict)


def register(swept: Sequence[str] = (), unnamed: str = "") -> None:
    """Tell Hydra the schema, the resolvers that name folders and those that size one thing by another.

    Args:
        swept: keys that a multirun varies; a job's folder is named by their values.
        unnamed: name of a sweep that was given none; made up when empty.
    """
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    ConfigStore.instance().store(name="schema", node=TrainConfig)
    # Once: whoever asks must hear the same.
    unnamed = unnamed or _stamped("_".join(_plain(_last(key)) for key in swept) or "sweep")

    def job_name(typed: Any, *, _root_: "DictConfig") -> str:
        # One may hold an interpolation, which cannot be resolved before there is a folder.
        overrides = OmegaConf.to_container(typed, resolve=False)
        assert isinstance(overrides, list)
        return f"{describe(overrides, only=swept)}_{_digest(_root_, overrides)}".strip("_")

    resolvers: dict[str, Callable[..., Any]] = {
        "run_name": lambda model, overrides: _stamped(
            f"{_plain(str(model))}_{describe(overrides, without=_PLAIN_GROUPS)}"
        ),
        "sweep_name": lambda name: unnamed if name is None else check_name(name),
        "job_name": job_name,
        "record_folder": record_folder,
        "length": len,
        "pick": lambda key, values, otherwise: values.get(key, otherwise),
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, use_cache=name == "run_name", replace=True)


def check_name(name: Any) -> str:
    """The name of a sweep, when it can be a folder's.

    Raises:
        ConfigError: otherwise.
    """
    if re.fullmatch(r"\w[\w.+-]*", str(name), flags=re.ASCII) and ".." not in str(name):
        return str(name)
    raise ConfigError(
        f"sweep.name must be the name of a folder in outputs/sweeps: letters, digits and . _ + -; got {str(name)!r}"
    )


def record_folder(mode: Any, folder: str) -> str | None:
    """Where Hydra writes a job's config: nowhere when the job of a sweep has ended before, whose record is final."""
    from fulgurite.resume import has_ended

    return None if getattr(mode, "name", mode) == "MULTIRUN" and has_ended(Path(folder)) else ".hydra"


def resolve(cfg: "DictConfig", without: str = "") -> dict[str, Any]:
    """The config as plain values, all interpolations resolved.

    Args:
        cfg: a config.
        without: leave this key out.
    """
    from omegaconf import Container, OmegaConf

    def plain(value: Any) -> Any:
        if isinstance(value, Container):
            return OmegaConf.to_container(value, resolve=True, enum_to_str=True)
        return value.name if isinstance(value, Enum) else value

    return {str(key): plain(cfg[key]) for key in cfg if key != without}


def fingerprint(plain: dict[str, Any]) -> str:
    """Digest of all that decides a run's numbers: the config without folders, loggers, launcher and what looks on."""
    decisive = {key: value for key, value in plain.items() if key not in INDIFFERENT}
    decisive["callbacks"] = {name: node for name, node in plain["callbacks"].items() if name not in ONLOOKERS}
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
        only: take these keys alone, in this order; empty takes all.
        without: leave these keys out.
        between: what stands between two of them.
    """
    pairs = [override.lstrip("+~").partition("=")[::2] for override in overrides]
    if only:
        pairs = sorted((pair for pair in pairs if pair[0] in only), key=lambda pair: list(only).index(pair[0]))
    parts = []
    for key, value in pairs:
        if key in without:
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


def _digest(root: "DictConfig", overrides: Sequence[str]) -> str:
    """Six digits of a job's fingerprint: the same job has the same folder, however and by what launcher it is run."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    # The folder is named by this. To set it here for a moment takes half the time of copying the rest.
    before = OmegaConf.to_container(OmegaConf.masked_copy(root, "folder"))["folder"]  # type: ignore[call-overload,index]
    try:
        root.folder = ""
        return fingerprint(resolve(root, without="hydra"))[:6]
    except OmegaConfBaseException:
        # A value that cannot be resolved: told when the job is built.
        return sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:6]
    finally:
        root.folder = before
