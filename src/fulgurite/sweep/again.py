"""``fulgurite sweep resume``: the command that made a sweep, once more: what is finished is skipped."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fulgurite import hydra_app
from fulgurite.errors import ConfigError
from fulgurite.sweep.folder import named_folder
from fulgurite.sweep.record import recorded_overrides


def main(words: Sequence[str]) -> int:
    """Go on with a sweep; returns the exit code.

    Args:
        words: its name or folder, and overrides that decide no number, such as another launcher.

    Raises:
        ConfigError: for a sweep that is not there, has no readable record, or has another config.
    """
    names = [word for word in words if "=" not in word]
    if len(names) != 1 or names[0].startswith("-"):
        raise ConfigError(
            f"sweep resume takes the name of one sweep, or its folder, got {' '.join(names) or 'nothing'}"
        )
    folder = named_folder(names[0])
    overrides = [*_without_place(recorded_overrides(folder)), *(word for word in words if "=" in word)]
    overrides += [f"sweep.name={folder.name}", *_root(folder)]
    print(f"fulgurite train -m {shlex.join(overrides)}", flush=True)
    return hydra_app.run(["-m", *overrides])


def _without_place(overrides: Sequence[str]) -> list[str]:
    return [each for each in overrides if each.partition("=")[0] not in ("sweep.name", "output_root")]


def _root(folder: Path) -> list[str]:
    """Where its jobs land, as seen from here; nothing for the default."""
    root = folder.resolve().parent.parent
    return [] if root == Path("outputs").resolve() else [f"output_root='{root}'"]
