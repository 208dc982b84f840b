"""What stands at the head of a report: what was run, with which command and code, and when."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fulgurite.report.collect import Job
from fulgurite.result import FILE_NAME

_RECORD = "sweep.json"
_SHOWN = 10


@dataclass(frozen=True)
class Heading:
    """The head of a report.

    Attributes:
        title: name of the sweep.
        command: the command line that made the jobs.
        git: commit, and whether files were changed since; empty when unknown.
        when: minute of the last change of a job, with the time zone; empty without a job.
        versions: such as ``torch 2.15.0``.
        num_planned: jobs that there are to be.
    """

    title: str
    command: str
    git: str
    when: str
    versions: tuple[str, ...]
    num_planned: int


def heading_of_sweep(folder: Path, jobs: Sequence[Job]) -> Heading:
    """From ``sweep.json``, or where that cannot be read from the first job that has a record."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        num_planned = int(record["num_jobs"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        record, num_planned = _first(jobs), 0
    # A relative folder such as . has no name.
    return _heading(folder.resolve().name, record, jobs, max(num_planned, len(jobs)))


def heading_of_runs(title: str, command: str, jobs: Sequence[Job]) -> Heading:
    """Of any runs; code and versions are those of the first one that has a record."""
    return _heading(title, _first(jobs) | {"command": command}, jobs, len(jobs))


def _first(jobs: Sequence[Job]) -> dict[str, Any]:
    found = next((job.result for job in jobs if job.result), None)
    return {} if found is None else {"command": found.command, "git": found.git, "versions": found.versions}


def _heading(title: str, record: Mapping[str, Any], jobs: Sequence[Job], num_planned: int) -> Heading:
    parts = [record.get(name) for name in ("git", "versions")]
    git, versions = (part if isinstance(part, dict) else {} for part in parts)
    commit = str(git.get("commit", ""))[:_SHOWN]
    return Heading(
        title=title,
        command=str(record.get("command", "")),
        git=f"{commit}, with uncommitted changes" if commit and git.get("dirty") else commit,
        when=_last_change(jobs),
        versions=tuple(f"{name} {version}" for name, version in versions.items()),
        num_planned=num_planned,
    )


def _last_change(jobs: Sequence[Job]) -> str:
    times = [path.stat().st_mtime for path in (job.folder / FILE_NAME for job in jobs) if path.is_file()]
    return f"{datetime.fromtimestamp(max(times)).astimezone():%Y-%m-%d %H:%M %Z}" if times else ""
