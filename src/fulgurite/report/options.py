"""What ``fulgurite report`` and ``fulgurite compare`` have in common: their options, and what they write."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fulgurite.errors import ConfigError
from fulgurite.report.collect import Job
from fulgurite.report.heading import Heading
from fulgurite.report.html import HTML_NAME, write_report
from fulgurite.report.leaderboard import nearest
from fulgurite.report.results import CSV_NAME, results_name


def add_report_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--output`` and ``--figures``.

    Args:
        parser: of the command.
        default: says where the page lands without ``--output``.
    """
    where = f"the page (default: {HTML_NAME} {default}); {CSV_NAME} lands beside it, beside NAME.html NAME_{CSV_NAME}"
    parser.add_argument("--output", metavar="FILE", type=Path, help=where)
    parser.add_argument("--figures", metavar="DIR", type=Path, help="also static figures for papers, as PNG and SVG")


def write_all(args: argparse.Namespace, place: Path, heading: Heading, jobs: Sequence[Job]) -> None:
    """Write what was asked for, and say where it is.

    Raises:
        ConfigError: for an ``--output`` that is no page, ``--figures`` without matplotlib, or a place that cannot be
            written.
    """
    path = place / HTML_NAME if args.output is None else args.output
    if path.suffix not in (".html", ".htm"):
        raise ConfigError(f"--output must end in .html, got {path}; results.csv lands beside the page")
    figures: list[Path] = []
    if args.figures is not None:
        # Before anything else is written: it may be refused.
        with _writable("--figures", args.figures):
            figures = _write_figures(args.figures, jobs)
    with _writable("--output", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(path.parent, heading, jobs, path.name)
    print(f"Wrote {nearest(path)}\nWrote {nearest(path.with_name(results_name(path.name)))}")
    if figures:
        print(f"Wrote {len(figures)} figures into {nearest(args.figures)}")


@contextmanager
def _writable(flag: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another place with {flag}") from error


def _write_figures(folder: Path, jobs: Sequence[Job]) -> list[Path]:
    from fulgurite.report.static_figures import write_figures

    return write_figures(folder, jobs)
