"""``fulgurite ls``: runs and sweeps, the newest first. Imports no torch."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fulgurite.errors import ConfigError
from fulgurite.places import named_place
from fulgurite.report.leaderboard import nearest
from fulgurite.report.listing import listed
from fulgurite.report.runs import entries
from fulgurite.sweep.folder import driver_of, is_alive

_OUTPUTS = Path("outputs")
_EXAMPLES = """examples:
  fulgurite ls
  fulgurite ls mnist              runs on one data set
  fulgurite ls night              jobs of a sweep
  fulgurite ls my_outputs         another output_root"""


def main(words: Sequence[str]) -> int:
    """Print the list; returns the exit code.

    Raises:
        ConfigError: when there is no such folder.
    """
    parser = argparse.ArgumentParser(
        prog="fulgurite ls",
        description="List runs and sweeps, the newest first: how each stands, its objective, and its age.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="what to list (default: outputs)")
    folder = _folder(parser.parse_args(words).folder)
    found = entries(folder, driver_of, is_alive)
    if not found:
        print(f"{nearest(folder)} holds no runs.")
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(listed(found, width)))
    return 0


def _folder(name: str | None) -> Path:
    if name is not None:
        return named_place(name)
    if not _OUTPUTS.is_dir():
        raise ConfigError(f"there is no folder {_OUTPUTS} here; give the folder of your runs: fulgurite ls FOLDER")
    return _OUTPUTS
