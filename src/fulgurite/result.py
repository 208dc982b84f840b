"""``result.json``: the record of a run that everything after training reads.

Written atomically at the start, at each change of state and at the end.
"""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from fulgurite.errors import RunFolderError

FILE_NAME = "result.json"
# Top-level keys of the config that decide no number in a record.
INDIFFERENT = ("output_root", "logger", "launcher", "sweep")
# Callbacks that look on.
ONLOOKERS = ("progress", "pictures")
Status = Literal["running", "finished", "failed", "interrupted", "pruned", "diverged"]
_LONGEST_LINE = 500
_PACKAGES = ("fulgurite", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "optuna", "numpy")


@dataclass(frozen=True)
class Objective:
    """Name, direction and best value (``None`` until there is one) of what is optimised."""

    metric: str
    mode: str
    value: float | None = None


@dataclass(frozen=True)
class Failure:
    """Why a run ended early: the error's type and message, and the file with its traceback."""

    type: str
    message: str
    log: str


@dataclass(frozen=True)
class Result:
    """Everything that is known of a run.

    Attributes:
        status: where the run stands.
        objective: what was optimised, and its best value.
        metrics: validation metrics of the best epoch, training metrics of the last, test metrics of the best.
        epochs: epochs completed.
        seconds: wall-clock time from building to the test result, in seconds.
        samples_per_s: training samples a second, validation apart.
        overrides: what was typed, as Hydra overrides.
        fingerprint: digest of the config that decides the numbers.
        command: the command line.
        git: commit and whether the tree was dirty; empty outside a repository.
        versions: Python and packages.
        error: set when the status is ``failed`` or ``diverged``.
        attempts: how often the run was begun; one that was interrupted goes on as the same attempt.
    """

    status: Status
    objective: Objective
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    samples_per_s: float | None = None
    overrides: list[str] = field(default_factory=list)
    fingerprint: str = ""
    command: str = ""
    git: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    error: Failure | None = None
    attempts: int = 1

    def write(self, folder: Path) -> "Result":
        """Write ``result.json`` into ``folder``, whole or not at all; not-a-number becomes null. Returns itself."""
        plain = asdict(replace(self, metrics={name: _finite(value) for name, value in self.metrics.items()}))
        plain["objective"]["value"] = _finite(self.objective.value)
        write_atomically(folder / FILE_NAME, json.dumps(plain, indent=2, allow_nan=False) + "\n")
        return self


def read_result(folder: Path) -> Result:
    """The record in a run folder; what a later version has put into it besides is left out.

    Raises:
        RunFolderError: when there is none, or it is damaged.
    """
    path = folder / FILE_NAME
    try:
        plain = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
        plain["objective"] = Objective(**plain["objective"])
        plain["error"] = Failure(**plain["error"]) if plain.get("error") else None
        return _checked(Result(**{each.name: plain[each.name] for each in fields(Result) if each.name in plain}))
    except FileNotFoundError:
        raise RunFolderError(
            f"{folder} is not a run folder: it has no {FILE_NAME}; give a folder such as outputs/mnist/<run>"
        ) from None
    except NotADirectoryError:
        raise RunFolderError(
            f"{folder} is a file, not a run folder; give a folder such as outputs/mnist/<run>"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RunFolderError(f"{path} cannot be read ({error}); the run must be repeated") from error


def _checked(result: Result) -> Result:
    """The record itself: a table of many must not end at a value of the wrong kind in one.

    Raises:
        TypeError: when there is one.
    """
    objective, error = result.objective, result.error or Failure("", "", "")
    texts: list[Any] = [result.status, objective.metric, objective.mode, error.type, error.message, error.log]
    texts += [result.fingerprint, result.command, *result.overrides, *result.versions.values()]
    measured = [objective.value, result.samples_per_s, *result.metrics.values()]
    numbers = [result.seconds, *(value for value in measured if value is not None)]
    wrong = [each for each in texts if not isinstance(each, str)]
    wrong += [each for each in (result.epochs, result.attempts) if not isinstance(each, int)]
    wrong += [each for each in numbers if not isinstance(each, int | float) or not math.isfinite(each)]
    if wrong or not isinstance(result.git, Mapping):
        raise TypeError(f"there is {(wrong or [result.git])[0]!r} where it cannot be")
    return result


def last_line(text: str) -> str:
    """The last line of a message, as a terminal can show it: short, no control characters, no halves of characters."""
    line = next(reversed(text.strip().splitlines()), "")
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a kill, never meets half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@cache
def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty flag of the repository round ``folder``; empty when there is none.

    Of the first job of a process: later jobs run the code that was imported then.
    """
    try:
        return {"commit": _git(folder, "rev-parse", "HEAD"), "dirty": bool(_git(folder, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def uncommitted(folder: Path) -> str:
    """What has changed since the commit in the repository round ``folder``, as a patch; empty when there is none."""
    try:
        return _git(folder, "diff", "--binary", "HEAD")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""


def _git(folder: Path, *words: str) -> str:
    process = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return process.stdout.strip()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version(), "platform": sys.platform}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
