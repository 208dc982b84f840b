"""A sweep that another process works on, watched until that has ended; from files alone. Changes no file."""

import sys
import time
from pathlib import Path

from fulgurite.report.frame import title
from fulgurite.report.live import Region
from fulgurite.report.watched import Watched
from fulgurite.sweep.folder import at_work_since, driver_of
from fulgurite.sweep.record import recorded_keys, recorded_number

# Between two looks whether somebody is at work still.
_LOOK_S = 0.25
# Between two lines in a file.
_LINES_S = 1.0


def watch(folder: Path) -> bool:
    """Show where the jobs of a sweep stand, until nobody works on it; ``False`` when Ctrl-C was pressed before.

    On a terminal there is a line for each job, drawn anew in place; elsewhere a line each time that something changes.
    """
    watched = Watched(folder, recorded_keys(folder), at_work_since(folder))
    region = Region(watched, recorded_number(folder))
    if sys.stdout.isatty() and not region.console.is_dumb_terminal:
        return _drawn(folder, region)
    _told(folder, watched)
    return True


def _drawn(folder: Path, region: Region) -> bool:
    with region:
        try:
            while driver_of(folder):
                region.draw_if_due()
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            region.keep()
            return False
    return True


def _told(folder: Path, watched: Watched) -> None:
    before = ""
    while driver_of(folder):
        line = title(folder.name, watched.look(), [], recorded_number(folder))
        if line != before:
            print(line, flush=True)
        before = line
        time.sleep(_LINES_S)
