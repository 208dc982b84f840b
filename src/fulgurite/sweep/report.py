"""``fulgurite report``: a page and figures of a sweep, from its files alone."""

import argparse
import sys
from pathlib import Path

from fulgurite.errors import RunFolderError
from fulgurite.report.collect import read_jobs
from fulgurite.report.heading import heading_of_sweep
from fulgurite.report.html import write_report
from fulgurite.report.leaderboard import nearest
from fulgurite.report.options import add_report_options, write_all
from fulgurite.sweep.folder import named_folder

_EXAMPLES = """examples:
  fulgurite report night
  fulgurite report night --figures paper/figures    PNG and SVG, one column wide
  fulgurite report my_outputs/sweeps/night --output night.html"""


def main(argv: list[str]) -> int:
    """Write the report; returns the exit code.

    Raises:
        FulguriteError: when there is no such sweep, or no job in it, or figures are asked for without matplotlib.
    """
    parser = argparse.ArgumentParser(
        prog="fulgurite report",
        description="Write report.html, a page to look at, mail and print, and results.csv, a row a job.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="NAME", help="a sweep in outputs/sweeps, or the folder of one")
    add_report_options(parser, "in the sweep's folder")
    args = parser.parse_args(argv)
    folder = named_folder(args.sweep)
    jobs = read_jobs(folder)
    if not jobs:
        raise RunFolderError(f"{folder} holds no jobs; give a sweep, or runs to fulgurite compare RUN RUN")
    write_all(args, folder, heading_of_sweep(folder, jobs), jobs)
    return 0


def write_at_end(folder: Path) -> None:
    """Write the report of a sweep that has just ended; a fault of it is said, and is none of the sweep's."""
    try:
        jobs = read_jobs(folder)
        path = write_report(folder, heading_of_sweep(folder, jobs), jobs) if jobs else None
    except Exception as error:
        print(f"the report could not be written: {type(error).__name__}: {error}", file=sys.stderr)
        return
    if path is not None:
        print(f"Wrote {nearest(path)}")
