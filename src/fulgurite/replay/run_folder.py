"""A run folder, opened: its frozen config and its checkpoints, as ``eval``, ``predict`` and ``rerun`` need them.

The folder alone is enough, wherever it lies and whatever the current folder is. No torch is imported.
"""

import inspect
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fulgurite import config
from fulgurite.errors import ConfigError, RunFolderError
from fulgurite.replay.frozen import apply_overrides
from fulgurite.replay.one_run import refuse_several
from fulgurite.result import Result, read_result

# A config read back from a folder may come from anyone: what it instantiates must live here. Not all of torch: it also
# holds functions that run what a file tells them to, such as torch.load and torch.hub.load.
ALLOWED = ("fulgurite.", "torch.nn.", "torch.optim.", "pytorch_lightning.", "torchmetrics.")
_ONLY_TO_TRAIN = ("callbacks", "logger")
# Keys that hold a path which was relative to the folder that the run was started in.
_PATHS = ("data.root", "checkpoint")


@dataclass(frozen=True)
class RunFolder:
    """A run that was made before.

    Attributes:
        folder: where it is now, absolute.
        cfg: its frozen config with ``folder`` set to that, interpolations unresolved.
        result: its ``result.json``.
    """

    folder: Path
    cfg: DictConfig
    result: Result

    def override(self, overrides: Sequence[str]) -> "RunFolder":
        """The same with values of the config changed.

        Raises:
            ConfigError: for anything but new values of keys that there are; see ``frozen.apply_overrides``.
        """
        return replace(self, cfg=apply_overrides(self.cfg, overrides))

    def checkpoint(self, which: str, *, unfinished: bool = False) -> Path:
        """Path of the ``best`` or ``last`` checkpoint.

        Args:
            which: ``best`` or ``last``.
            unfinished: take it from a run that is running or failed, too.

        Raises:
            RunFolderError: when there is none, or the run has not come to its end.
        """
        path = self.folder / "checkpoints" / f"{which}.ckpt"
        status = self.result.status
        state = f"{self.folder} is {'still running, or was killed' if status == 'running' else status}"
        if self.result.error is not None:
            state += f" ({self.result.error.message or self.result.error.type})"
        if not path.is_file():
            why = "" if status == "finished" else f"; {state}"
            raise RunFolderError(
                f"there is no checkpoint {path}{why}; use --checkpoint best or last, or repeat the run"
            )
        if status in ("running", "failed") and not unfinished:
            raise RunFolderError(f"{state}; add --unfinished to use the checkpoint that it has written so far")
        return path


def open_run(folder: Path, allow: Sequence[str] = (), *, to_train: bool = False) -> RunFolder:
    """Open a run folder.

    Args:
        folder: the folder; it may have been moved since.
        allow: prefixes of further modules whose classes its config may instantiate.
        to_train: look at callbacks and loggers as well, which nothing but training instantiates.

    Raises:
        RunFolderError: when it is no run folder, is damaged, or its config wants a class that is not allowed; of a
            sweep naming one of its runs.
    """
    refuse_several(folder.expanduser())
    folder = folder.expanduser().resolve()
    result = read_result(folder)
    cfg = read_config(folder)
    cfg.folder = str(folder)
    _anchor_paths(cfg, folder)
    try:
        plain = config.resolve(cfg)
    except OmegaConfBaseException as error:
        raise RunFolderError(f"{folder}/.hydra/config.yaml cannot be resolved: {_first_line(error)}") from error
    check_targets({key: part for key, part in plain.items() if to_train or key not in _ONLY_TO_TRAIN}, allow)
    return RunFolder(folder, cfg, result)


def check_targets(plain: Any, allow: Sequence[str] = ()) -> None:
    """Refuse a config that would instantiate anything but classes of the allowed modules, and our own functions.

    The object itself is looked at, not its name alone: ``torch.nn.modules.module.os.system`` is a function of ``os``.

    Args:
        plain: a resolved config or a part of one.
        allow: prefixes in addition to ``ALLOWED``.

    Raises:
        RunFolderError: naming the target and the prefixes that are allowed.
    """
    extra = tuple(f"{prefix.rstrip('.')}." for prefix in allow)
    for target in _targets(plain):
        if not f"{target}.".startswith((*ALLOWED, *extra)) or not _is_from((*ALLOWED, *extra), target, extra):
            raise RunFolderError(
                f"the config wants _target_={target}, which is not a class of "
                f"{', '.join(prefix.rstrip('.') for prefix in (*ALLOWED, *extra))}; if you trust this run, "
                f"add --allow {target.split('.')[0]}"
            )


def read_config(folder: Path) -> DictConfig:
    """The frozen config with the types of the schema, so that overrides of it are checked as Hydra would.

    Raises:
        RunFolderError: when it is not there or damaged.
    """
    path = folder / ".hydra" / "config.yaml"
    try:
        schema = OmegaConf.structured(config.TrainConfig)
        OmegaConf.set_struct(schema, False)
        cfg = OmegaConf.merge(schema, OmegaConf.load(path))
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is not a run folder: it has no .hydra/config.yaml") from None
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise RunFolderError(f"{path} cannot be read: {_first_line(error)}") from error
    assert isinstance(cfg, DictConfig)
    # The resolvers that its interpolations may use.
    config.register()
    OmegaConf.set_struct(cfg, True)
    return cfg


def _anchor_paths(cfg: DictConfig, folder: Path) -> None:
    """Make paths absolute that were relative to where the run was started."""
    try:
        started_in = OmegaConf.select(OmegaConf.load(folder / ".hydra" / "hydra.yaml"), "hydra.runtime.cwd")
    except (OSError, YAMLError, OmegaConfBaseException):
        return
    for key in _PATHS:
        value = OmegaConf.select(cfg, key)
        if isinstance(value, str) and started_in and not value.startswith("~"):
            OmegaConf.update(cfg, key, str(Path(started_in) / value))


def _targets(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        if "_target_" in plain:
            yield str(plain["_target_"])
        plain = list(plain.values())
    if isinstance(plain, list):
        for part in plain:
            yield from _targets(part)


def _is_from(allowed: tuple[str, ...], target: str, extra: tuple[str, ...]) -> bool:
    """Whether a target is a class of an allowed module, or a function of ours or of a module the user allowed."""
    from hydra.utils import get_object

    # Hydra logs what it raises.
    logging.disable(logging.ERROR)
    try:
        found = get_object(target)
    except Exception as error:
        raise ConfigError(
            f"_target_={target} of the run's config cannot be imported: {error.__cause__ or error}"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    home = f"{getattr(found, '__module__', '')}."
    if inspect.isfunction(found):
        return home.startswith(("fulgurite.", *extra)) and "." not in found.__qualname__
    return inspect.isclass(found) and home.startswith(allowed)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
