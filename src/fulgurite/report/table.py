"""The table of a leaderboard, as wide as the terminal allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fulgurite.report.collect import Row

# Characters that a setting in one column and a status are given, before columns are left out for them.
_SETTING_WIDTH = 24
_STATUS_WIDTH = 10


@dataclass(frozen=True)
class _Layout:
    """What the table shows.

    Attributes:
        folded: the whole setting in one column that may wrap.
        beside: the difference to the best.
        tests: the test metrics.
        counts: how many jobs there are of a setting, and how long they took.
        setting_width: that one in one column is content with.
    """

    folded: bool
    beside: bool
    tests: bool = True
    counts: bool = True
    setting_width: int = _SETTING_WIDTH


# What is lost on a narrow terminal, in this order; the files hold everything.
_LAYOUTS = (
    *(_Layout(False, True), _Layout(True, True), _Layout(False, False), _Layout(True, False)),
    *(_Layout(True, False, setting_width=width) for width in (16, 10)),
    *(_Layout(True, False, tests=False, counts=counts, setting_width=10) for counts in (True, False)),
)


def fitting(console: Console, rows: Sequence[Row]) -> Table:
    """The table that tells most of what fits into the width of the console."""
    tables = [_table(rows, layout) for layout in _LAYOUTS]
    return next((table for table in tables if _fits(console, table)), tables[-1])


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """``optimizer.lr`` to ``lr`` where no other key ends alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def _table(rows: Sequence[Row], layout: _Layout) -> Table:
    names = short_names(list(dict.fromkeys(key for row in rows for key in row.setting)))
    metrics = list(dict.fromkeys(row.metric for row in rows if row.metric))
    tests = _test_metrics(rows, metrics) if layout.tests else []
    num, seconds = (["n"], ["s"]) if layout.counts else ([], [])
    beside = ["to best"] if layout.beside and any(row.to_best for row in rows) else []
    table = Table("#", highlight=False)
    for title in ["setting"] if layout.folded else names.values():
        table.add_column(Text(title), overflow="fold", no_wrap=not layout.folded, min_width=layout.setting_width)
    for title in (metrics[0] if len(metrics) == 1 else "objective", *num, *beside, *tests, *seconds):
        table.add_column(Text(title), justify="right", no_wrap=True)
    table.add_column("status", overflow="fold", min_width=_STATUS_WIDTH)
    for number, row in enumerate(rows, start=1):
        setting = [_setting(row, names)] if layout.folded else [row.setting[key] for key in names]
        name = "" if len(metrics) < 2 else f"{row.metric} "
        cells = [
            str(number),
            *setting,
            name + _spread(row),
            *(str(row.num_finished) for _ in num),
            *(_beside(row) for _ in beside),
            *(rounded(row.metrics.get(test)) for test in tests),
            *("-" if row.seconds is None else f"{row.seconds:.1f}" for _ in seconds),
        ]
        table.add_row(*(Text(cell) for cell in [*cells, row.status]))
    for column in table.columns:
        widest = max(cell_len(str(each)) for each in (column.header, *column.cells))
        # One that may wrap is content with less.
        column.min_width = widest if column.no_wrap else min(widest, column.min_width or widest)
    return table


def _setting(row: Row, names: Mapping[str, str]) -> str:
    return " ".join(f"{names[key]}={value}" for key, value in row.setting.items())


def _test_metrics(rows: Sequence[Row], objectives: Sequence[str]) -> list[str]:
    """The test metrics of the same kind as the objectives: ``test/acc`` for ``val/acc``."""
    wanted = [f"test/{objective.rpartition('/')[2]}" for objective in objectives]
    return [name for name in wanted if any(name in row.metrics for row in rows)]


def _fits(console: Console, table: Table) -> bool:
    """Whether each cell stays whole, but for those that may wrap, which have the width that they want."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).minimum <= console.width


def rounded(value: float | None) -> str:
    """Four decimals, or three digits and an exponent for what is very large or very small; ``-`` for ``None``."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def _beside(row: Row) -> str:
    """Difference to the best setting, and how likely one as large is by chance."""
    if row.to_best is None:
        return ""
    p = row.to_best.p
    chance = "" if p is None else " (p < 0.001)" if p < 1e-3 else f" (p {p:.3f})" if p < 0.1 else f" (p {p:.2f})"
    sign = "-" if row.to_best.difference < 0 else "+"
    return f"{sign}{rounded(abs(row.to_best.difference))}{chance}"


def _spread(row: Row) -> str:
    """Mean and deviation; beside a mean with four decimals a small deviation has four, too."""
    mean = rounded(row.mean)
    if row.deviation is None:
        return mean
    small = row.deviation < 1e-3 and "e" not in mean
    return f"{mean} ± {f'{row.deviation:.4f}' if small else rounded(row.deviation)}"
