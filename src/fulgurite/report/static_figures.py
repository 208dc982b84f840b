"""Static figures of a sweep for papers: PNG and SVG, as wide as one column. Needs matplotlib."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fulgurite.errors import ConfigError
from fulgurite.report.collect import Job, Row, fold
from fulgurite.report.curves import band, read_curves
from fulgurite.report.static_heat_maps import blank_axes, heat_map, mean_and_error
from fulgurite.report.swept import Swept, grid_pairs, is_log, swept
from fulgurite.report.table import short_names

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito (2008), without the yellow that is too light for a line.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_GREY = "#c4c4c4"
_MOST_BARS = 12
_MOST_CHOICES = 12
# Epochs that a heat map has rows for.
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 10
# Letters of a setting and of a choice that leave room for the axes.
_LONGEST_SETTING, _LONGEST_CHOICE = 44, 18
_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "svg.hashsalt": "fulgurite",
    # A value such as ${model.width} is no formula.
    "text.parse_math": False,
}


def write_figures(folder: Path, jobs: Sequence[Job]) -> list[Path]:
    """Write all figures that the jobs allow into ``folder``; the paths, PNG (300 dpi) and SVG in turn.

    Learning curves with a band of one deviation over seeds, the objective against each key, a heat map for each pair
    of keys on a grid and for each key and the epochs, and the leaderboard with deviations.

    Raises:
        ConfigError: when matplotlib is missing, or no job has an objective.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ConfigError('--figures needs matplotlib; install it with pip install "fulgurite[figures]"') from error
    rows = [row for row in fold(jobs) if row.mean is not None]
    if not rows:
        raise ConfigError("--figures needs a finished job; there is none yet")
    keys = [key for key in swept(jobs) if key.key != "seed"]
    folder.mkdir(parents=True, exist_ok=True)
    # Its own list of keys is no type that a plain dict has.
    with matplotlib.rc_context(cast("Any", _STYLE)):
        figures = _figures(rows, jobs, keys)
        return [path for name, figure in figures.items() for path in _save(folder / name, figure)]


def _figures(rows: Sequence[Row], jobs: Sequence[Job], keys: Sequence[Swept]) -> dict[str, "Figure"]:
    found = {"leaderboard": _leaderboard(rows), "curves": _curves(rows)}
    found |= {f"slice_{_file_name(key)}": _slice(key, jobs, rows[0].metric) for key in keys}
    for one, other in grid_pairs(jobs, keys):
        cells = [[_values(jobs, rows[0].metric, {one: x, other: y}) for x in one.choices] for y in other.choices]
        axes = (one.key, _short(one)), (other.key, _short(other))
        found[f"heatmap_{_file_name(one)}_{_file_name(other)}"] = heat_map(cells, *axes, rows[0].metric, rows[0].mode)
    for key in keys:
        found[f"heatmap_{_file_name(key)}_epoch"] = _over_epochs(key, jobs, rows[0])
    return {name: figure for name, figure in found.items() if figure is not None}


def _name_plainly(axis: "Axis") -> None:
    """Name the numbers of a logarithmic axis without the formulas that are not parsed here."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def _over_epochs(key: Swept, jobs: Sequence[Job], best: Row) -> "Figure | None":
    """Values of a key across and epochs upwards, from the curves of the objective."""
    finished = [at for at, job in enumerate(jobs) if job.status == "finished"]
    read = {at: read_curves(jobs[at].folder) for at in finished}
    curves = {at: dict(zip(each.epochs, each.values.get(best.metric, ()), strict=False)) for at, each in read.items()}
    common = sorted(set.intersection(*(set(each) for each in curves.values())) if curves else ())
    if len(common) < _FEWEST_EPOCHS or not 1 < len(key.choices) <= _MOST_CHOICES:
        return None
    every = math.ceil(len(common) / _MOST_EPOCHS)
    # The last one stays.
    epochs = common[(len(common) - 1) % every :: every]
    groups = [[curves[at] for at in finished if key.values[at] == choice] for choice in key.choices]
    cells = [[_known(each.get(epoch) for each in group) for group in groups] for epoch in epochs]
    return heat_map(cells, (key.key, _short(key)), ("epoch", [str(each) for each in epochs]), best.metric, best.mode)


def _leaderboard(rows: Sequence[Row]) -> "Figure":
    """Points, not bars: the length of a bar that does not begin at 0 says nothing."""
    shown = [row for row in rows if row.metric == rows[0].metric][:_MOST_BARS]
    names = short_names(list(shown[0].setting))
    figure, axes = blank_axes(0.6 + 0.2 * len(shown))
    means, places = [row.mean or 0.0 for row in shown], range(len(shown))
    # Of one seed the deviation is not known, and none is drawn.
    deviations = [math.nan if row.deviation is None else row.deviation for row in shown]
    axes.errorbar(means, places, xerr=deviations, fmt="o", ms=3.5, capsize=2, lw=1, c=_COLOURS[0])
    axes.set_yticks(places, [_title(row, names) for row in shown])
    axes.invert_yaxis()
    axes.grid(axis="x", lw=0.4, c="#dddddd")
    axes.set_xlabel(f"{rows[0].metric}, mean ± deviation")
    return figure


def _curves(rows: Sequence[Row]) -> "Figure | None":
    """The first settings in colours, the others in grey behind them."""
    metric = rows[0].metric
    names = short_names(list(rows[0].setting))
    bands = [
        (row, band([read_curves(job.folder) for job in row.jobs if job.status == "finished"], metric)) for row in rows
    ]
    drawn = [(row, points) for row, points in bands if points]
    if not drawn:
        return None
    figure, axes = blank_axes(2.5)
    for place, (row, points) in reversed(list(enumerate(drawn))):
        epochs, means, deviations = zip(*points, strict=True)
        is_named = place < len(_COLOURS)
        colour = _COLOURS[place] if is_named else _GREY
        low, high = ([m + sign * d for m, d in zip(means, deviations, strict=True)] for sign in (-1, 1))
        axes.plot(epochs, means, c=colour, zorder=3 if is_named else 1, label=_title(row, names) if is_named else None)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, lw=0, zorder=2 if is_named else 1)
    if is_log([mean for _, points in drawn for _, mean, _ in points]):
        axes.set_yscale("log")
        _name_plainly(axes.yaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.locator_params(axis="x", integer=True)
    handles, labels = axes.get_legend_handles_labels()
    if any(labels):
        figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2)
    return figure


def _slice(key: Swept, jobs: Sequence[Job], metric: str) -> "Figure | None":
    groups = _by_choice(key, jobs, metric)
    if not groups:
        return None
    figure, axes = blank_axes(2.1)
    numbers = key.numbers is not None
    places = {choice: float(choice) if numbers else float(at) for at, choice in enumerate(key.choices)}
    across = [places[choice] for choice, values in groups.items() for _ in values]
    axes.scatter(across, list(itertools.chain(*groups.values())), s=10, c=_COLOURS[0], alpha=0.6, lw=0)
    if len(groups) <= _MOST_CHOICES:
        ordered = sorted((places[choice], *mean_and_error(values)) for choice, values in groups.items())
        at, means, errors = zip(*ordered, strict=True)
        axes.errorbar(at, means, yerr=errors, c=_COLOURS[1], capsize=3, lw=1, label="mean ± standard error")
        axes.legend()
    if key.is_log:
        axes.set_xscale("log")
        _name_plainly(axes.xaxis)
    elif not numbers:
        axes.set_xticks(list(places.values()), _short(key), rotation=30 if len(key.choices) > 4 else 0)
        axes.margins(x=0.15)
    axes.set_xlabel(key.key)
    axes.set_ylabel(metric)
    return figure


def _values(jobs: Sequence[Job], metric: str, wanted: Mapping[Swept, str]) -> list[float]:
    """Objectives of the finished jobs with the wanted values."""
    return [
        job.result.objective.value
        for at, job in enumerate(jobs)
        if job.result and job.status == "finished" and job.result.objective.metric == metric
        if job.result.objective.value is not None and all(key.values[at] == value for key, value in wanted.items())
    ]


def _by_choice(key: Swept, jobs: Sequence[Job], metric: str) -> dict[str, list[float]]:
    groups = {choice: _values(jobs, metric, {key: choice}) for choice in key.choices}
    return {choice: values for choice, values in groups.items() if values}


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _title(row: Row, names: Mapping[str, str]) -> str:
    setting = " ".join(f"{names[key]}={value}" for key, value in row.setting.items()) or "all seeds"
    return _cut(setting, _LONGEST_SETTING)


def _short(key: Swept) -> list[str]:
    return [_cut(choice, _LONGEST_CHOICE) for choice in key.choices]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _file_name(key: Swept) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in key.key)


def _save(path: Path, figure: "Figure") -> list[Path]:
    paths = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    for each in paths:
        # The same numbers give the same file.
        figure.savefig(each, dpi=300, metadata={"Date": None} if each.suffix == ".svg" else None)
    return paths
