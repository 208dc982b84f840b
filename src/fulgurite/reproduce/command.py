"""``fulgurite reproduce``: list the rows of the table of results, run them, write the table. Imports no torch."""

import argparse
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError, check_int, did_you_mean
from fulgurite.report.leaderboard import nearest
from fulgurite.reproduce.lanes import in_lanes, num_lanes
from fulgurite.reproduce.machine import has_gpu
from fulgurite.reproduce.markdown import write_markdown
from fulgurite.reproduce.page import write_page
from fulgurite.reproduce.rows import LEAST_SEEDS, ROWS_DIR, Row, Topic, read_topics
from fulgurite.reproduce.standing import OUT, Shown, standing_in
from fulgurite.reproduce.table import HEAD, ShownTopic, cells, counts, seconds_text
from fulgurite.reproduce.words import train_command

_EXAMPLES = """examples:
  fulgurite reproduce                       the rows, their goals, and what stands here
  fulgurite reproduce logic_xor rashid_200  run two of them; the same again goes on where it was left
  fulgurite reproduce --all                 everything that this machine can do, a row on each core
  fulgurite reproduce rashid_200 --seeds 10 launcher.drivers=2

Each row is an ordinary sweep in outputs/reproduce/NAME; the table is outputs/reproduce/report.html and, in a checkout,
docs/reproduction.md. Where several rows run at a time, each prints to outputs/reproduce/NAME.log."""
# What decides no number of a run.
_FREE = ("launcher", "logger", "sweep")


def main(argv: list[str]) -> int:
    """List the rows, or run some; returns the exit code: 1 when a row could not be run to its end.

    Raises:
        ConfigError: for a row that is not there, a file of rows that cannot be used, or words that decide numbers.
        KeyboardInterrupt: by Ctrl-C.
    """
    args = _parser().parse_intermixed_args(argv)
    names, extra = [word for word in args.words if "=" not in word], [word for word in args.words if "=" in word]
    topics = read_topics(args.rows)
    rows = {row.name: row for topic in topics for row in topic.rows}
    _check(names, extra, args, rows)
    if not names and not args.all:
        print("\n".join(_listed(topics)))
        return 0
    asked = [row for row in rows.values() if args.all or row.name in names]
    return _run_all(topics, asked, args, extra)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fulgurite reproduce",
        description="Run the presets behind the table of results, or list them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", metavar="NAME", nargs="*", help="a row; and words such as launcher.drivers=2")
    parser.add_argument("--all", action="store_true", help="all rows; those that need a GPU are left open without one")
    parser.add_argument("--seeds", type=int, metavar="N", help="this many seeds for each row that has fewer")
    parser.add_argument("--at-once", type=int, metavar="N", help="rows at a time; without a GPU one a core, up to 4")
    parser.add_argument("--rows", type=Path, default=ROWS_DIR, metavar="DIR", help="a folder with rows of your own")
    return parser


def _check(names: Sequence[str], extra: Sequence[str], args: argparse.Namespace, rows: Iterable[str]) -> None:
    for name in names:
        if name not in rows:
            raise ConfigError(f"there is no row {name}{did_you_mean(name, rows)}; fulgurite reproduce lists them")
    if names and args.all:
        raise ConfigError(f"give names or --all, got {' '.join(names)} and --all")
    for word in extra:
        if word.partition(".")[0].partition("=")[0] not in _FREE or word.startswith(("sweep=", "sweep.name=")):
            raise ConfigError(
                f"a row has words of its own; beside them it takes those that decide no number, of {', '.join(_FREE)}, "
                f"such as launcher.drivers=2, but not another sweep or name; got {word}"
            )
    if args.seeds is not None:
        check_int("--seeds", args.seeds, low=LEAST_SEEDS)
    if args.at_once is not None:
        check_int("--at-once", args.at_once)


def _table_of(rows: Path) -> Path:
    """Where the table of the rows in a folder is written as Markdown."""
    checkout = CONF_DIR.parent
    # The project's own table is under version control; rows of somebody's own would replace all of its.
    is_projects = rows.resolve() == ROWS_DIR.resolve() and checkout == Path.cwd() and (checkout / "docs").is_dir()
    return Path("docs", "reproduction.md") if is_projects else OUT / "reproduction.md"


def _run_all(topics: Sequence[Topic], rows: Sequence[Row], args: argparse.Namespace, extra: Sequence[str]) -> int:
    """Run rows, several at a time where that is quicker; whenever one has ended the table is written."""
    gpu = (len(rows) > 1 or rows[0].gpu) and has_gpu()
    waiting = list(_runnable(rows, gpu))
    number, seeds, table = args.at_once or num_lanes(len(waiting), gpu), args.seeds or 0, _table_of(args.rows)
    ran = in_lanes(waiting, number, args.rows, seeds, extra) if number > 1 else _in_turn(waiting, seeds, extra)
    begun, failed, since = list[str](), list[str](), time.monotonic()
    try:
        for row, is_over in ran:
            if is_over is None:
                begun.append(row.name)
                print(f"[{len(begun)}/{len(waiting)}] {row.name}: {row.what}", flush=True)
                continue
            failed += [] if is_over else [row.name]
            _write(topics, table, begun)
            print("\n".join([f"{row.name}:", *_outcomes(Shown(row, standing_in(row, OUT / row.name)))]), flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what is done is kept; the same command goes on") from None
    finally:
        ran.close()
        written = _write(topics, table, begun)
    print(*(f"Wrote {nearest(path)}" for path in written), sep="\n")
    if len(begun) > 1:
        print(f"{len(begun)} rows in {seconds_text(time.monotonic() - since)}, {number} at a time")
    if failed:
        print(f"{len(failed)} of {len(rows)} rows did not come to their end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _runnable(rows: Sequence[Row], gpu: bool) -> Iterator[Row]:
    """The rows that this machine can run; of the others it says why not."""
    for row in rows:
        if row.gpu and not gpu:
            print(f"{row.name} needs a GPU and stays open; where there is one: fulgurite reproduce {row.name}")
        else:
            yield row


def _in_turn(rows: Sequence[Row], seeds: int, extra: Sequence[str]) -> Generator[tuple[Row, bool | None]]:
    """As ``in_lanes``, one row after the other in this process."""
    # Hydra and the sweep, which a list has no need of.
    from fulgurite.reproduce.run import Stopped, run_row

    for row in rows:
        yield row, None
        try:
            yield row, run_row(row, OUT, seeds, extra)
        except Stopped:
            raise KeyboardInterrupt from None


def _write(topics: Sequence[Topic], table: Path, named: Sequence[str]) -> list[Path]:
    """Write the table, as a page and as Markdown; their paths."""
    fresh = {row.name: standing_in(row, OUT / row.name) for topic in topics for row in topic.rows}
    write_markdown(table, topics, fresh, named)
    return [write_page(OUT, topics, fresh), table]


def _listed(topics: Sequence[Topic]) -> list[str]:
    shown = [
        ShownTopic(topic, tuple(Shown(row, standing_in(row, OUT / row.name)) for row in topic.rows)) for topic in topics
    ]
    lines = []
    for each in shown:
        lines += [each.topic.title]
        for row in each.rows:
            lines += [f"  {row.row.name}: {row.row.what}", *_outcomes(row), f"    {train_command(row.row)}", ""]
    standing = ", ".join(text for _, text in counts(shown))
    return [*lines, f"Of all lines {standing}. fulgurite reproduce NAME runs a row."]


def _outcomes(shown: Shown) -> list[str]:
    """A line for each of the row's: goal, ours and verdict."""
    lines = []
    for line, texts in zip(shown.row.lines, cells(shown)[-len(shown.row.lines) :], strict=True):
        told = dict(zip(HEAD, texts, strict=True))
        goal, ours = told["goal (stretch)"], told["ours"]
        said = [f"goal {goal}" if goal else "", f"{ours}, n {told['n']}" if ours else "", told["verdict"]]
        lines.append(f"    {line.name}{': ' if line.name else ''}{'; '.join(filter(None, said))}")
    return lines
