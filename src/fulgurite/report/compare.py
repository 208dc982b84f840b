"""``fulgurite compare``: the report of a sweep for any runs, from their folders alone."""

import argparse
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from fulgurite.errors import RunFolderError
from fulgurite.report.collect import Job, read_job, read_jobs
from fulgurite.report.heading import heading_of_runs
from fulgurite.report.options import add_report_options, write_all
from fulgurite.result import FILE_NAME

_EXAMPLES = """examples:
  fulgurite compare outputs/mnist/cnn_20261122-101500-3f2a outputs/mnist/mlp_20261122-102200-77c0
  fulgurite compare outputs/mnist/* --output mnist.html
  fulgurite compare outputs/sweeps/night outputs/sweeps/day    all jobs of two sweeps"""
_PLACE = Path("outputs", "compare")


def main(argv: list[str]) -> int:
    """Write the report; returns the exit code.

    Raises:
        FulguriteError: when a folder is neither a run nor a sweep, or figures are asked for without matplotlib.
    """
    parser = argparse.ArgumentParser(
        prog="fulgurite compare",
        description="Write report.html and results.csv, as fulgurite report does, for any runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="a run folder, or a sweep for all of its jobs"
    )
    add_report_options(parser, f"in {_PLACE}/<number>_runs_<hash>/")
    args = parser.parse_args(argv)
    jobs = jobs_of(args.runs)
    command = shlex.join(["fulgurite", "compare", *argv])
    write_all(args, _PLACE / _name(jobs), heading_of_runs(f"{len(jobs)} runs", command, jobs), jobs)
    return 0


def jobs_of(folders: Sequence[Path]) -> list[Job]:
    """The runs in folders that are runs or sweeps, in that order, each once.

    Raises:
        RunFolderError: when a folder is neither.
    """
    found: dict[Path, Job] = {}
    for folder in folders:
        # A run that was killed before it had a record has at least its config.
        is_run = (folder / FILE_NAME).exists() or (folder / ".hydra").is_dir()
        jobs = [read_job(folder)] if is_run else read_jobs(folder)
        if not jobs:
            raise RunFolderError(f"{folder} is neither a run nor a sweep; give a folder such as outputs/mnist/<run>")
        for job in jobs:
            found.setdefault(job.folder.resolve(), job)
    return list(found.values())


def _name(jobs: Sequence[Job]) -> str:
    """The same for the same runs, in any order."""
    folders = "\n".join(sorted(str(job.folder.resolve()) for job in jobs))
    return f"{len(jobs)}_runs_{hashlib.sha256(folders.encode()).hexdigest()[:6]}"
