"""What is said where a run is wanted, and a sweep is given: by its name, or by its folder."""

import shlex

# Unlike Path.is_dir it takes a name that is too long, or a folder that may not be read, for none.
from os.path import isdir
from pathlib import Path

from fulgurite.errors import ConfigError, RunFolderError
from fulgurite.places import named_place
from fulgurite.report.collect import fold, read_jobs
from fulgurite.report.leaderboard import nearest
from fulgurite.result import FILE_NAME


def refuse_several(given: Path) -> None:
    """Refuse a folder of runs, or the name of one.

    Args:
        given: as it was typed.

    Raises:
        RunFolderError: naming the best of its runs, the first where none has finished, as it can be typed here.
    """
    try:
        place = given if isdir(given) else named_place(str(given))
    except ConfigError:
        return
    jobs = [] if (place / FILE_NAME).exists() else read_jobs(place)
    if not jobs:
        return
    from fulgurite.report.document import best_job

    best = best_job(fold(jobs))
    such = f"such as its best, {_typed(best.folder)}" if best else f"such as {_typed(jobs[0].folder)}"
    number = f"{len(jobs)} run{'' if len(jobs) == 1 else 's'}"
    raise RunFolderError(f"{nearest(place)} is a folder of {number}, and a run is wanted; give one of them, {such}")


def _typed(folder: Path) -> str:
    return shlex.quote(nearest(folder))
