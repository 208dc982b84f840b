"""Two runs, or two sweeps, side by side: what came of each, and the difference."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fulgurite.report.collect import Row
from fulgurite.report.table import rounded
from fulgurite.result import Result

# A file has no width: nothing is folded there.
_OF_A_FILE = 10_000


@dataclass(frozen=True)
class Pair:
    """A line: a name, and what it is for each of the two."""

    name: str
    one: str
    other: str
    difference: str = ""


def of_runs(one: Result, other: Result) -> list[Pair]:
    """Status, metrics, epochs and times of two runs."""
    pairs = [Pair("status", one.status, other.status)]
    objectives = {each.objective.metric for each in (one, other) if each.objective.metric}
    for name in sorted(objectives):
        pairs.append(_numbers(f"best {name}", _best(one, name), _best(other, name)))
    names = dict.fromkeys([*one.metrics, *other.metrics])
    pairs += [
        _numbers(name, one.metrics.get(name), other.metrics.get(name)) for name in sorted(names.keys() - objectives)
    ]
    pairs.append(Pair("epochs", str(one.epochs), str(other.epochs), _signed(other.epochs - one.epochs, "d")))
    pairs.append(_numbers("seconds", one.seconds, other.seconds, ".1f"))
    pairs.append(_numbers("samples/s", one.samples_per_s, other.samples_per_s, ",.0f"))
    return pairs


def code_of_runs(one: Result, other: Result) -> list[Pair]:
    """What of commit and versions is not the same."""
    pairs = [Pair("commit", _commit(one.git), _commit(other.git))]
    names = dict.fromkeys([*one.versions, *other.versions])
    pairs += [Pair(name, one.versions.get(name, "-"), other.versions.get(name, "-")) for name in names]
    return [pair for pair in pairs if pair.one != pair.other]


def of_sweeps(one: Sequence[Row], other: Sequence[Row]) -> list[Pair]:
    """Finished jobs and the best setting of two sweeps, then each setting that both have, as the first ranks them."""
    pairs = [Pair("finished", _finished(one), _finished(other))]
    # The best stand first.
    if one and other and one[0].mean is not None and other[0].mean is not None:
        pairs.append(Pair("best setting", _setting(one[0]), _setting(other[0])))
        if one[0].metric == other[0].metric:
            pairs.append(_numbers(f"best {one[0].metric}", one[0].mean, other[0].mean))
    theirs = {tuple(sorted(row.setting.items())): row for row in other}
    for row in one:
        same = theirs.get(tuple(sorted(row.setting.items())))
        if same is not None and row.setting and row.metric == same.metric:
            pairs.append(_numbers(_setting(row), row.mean, same.mean))
    return pairs


def print_pairs(sections: Mapping[str, Sequence[Pair]]) -> None:
    """Print sections of lines, those without a line left out; in a file no line is folded."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _OF_A_FILE)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in range(3):
        table.add_column(justify="right", overflow="fold")
    for title, pairs in sections.items():
        if not pairs:
            continue
        difference = "B - A" if any(pair.difference for pair in pairs) else ""
        table.add_row(*(Text(cell, "bold") for cell in (title, "A", "B", difference)))
        for pair in pairs:
            table.add_row(*(Text(cell) for cell in (f"  {pair.name}", pair.one, pair.other, pair.difference)))
    console.print(table)


def _numbers(name: str, one: float | None, other: float | None, form: str = "") -> Pair:
    difference = "" if one is None or other is None else _signed(other - one, form)
    return Pair(name, _form(one, form), _form(other, form), difference)


def _best(result: Result, metric: str) -> float | None:
    return result.objective.value if result.objective.metric == metric else None


def _form(value: float | None, form: str) -> str:
    return f"{value:{form}}" if form and value is not None else rounded(value)


def _signed(value: float, form: str) -> str:
    return "0" if value == 0 else f"{'-' if value < 0 else '+'}{_form(abs(value), form)}"


def _commit(git: Mapping[str, object]) -> str:
    return f"{str(git.get('commit', '-'))[:12]}{' with changes' if git.get('dirty') else ''}"


def _finished(rows: Sequence[Row]) -> str:
    return f"{sum(row.num_finished for row in rows)}/{sum(len(row.jobs) for row in rows)}"


def _setting(row: Row) -> str:
    return " ".join(f"{key}={value}" for key, value in row.setting.items()) or "-"
