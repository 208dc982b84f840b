"""The table of results as texts, which the page and the Markdown file have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fulgurite.reproduce.goals import shown
from fulgurite.reproduce.rows import Line, Topic
from fulgurite.reproduce.standing import Shown
from fulgurite.reproduce.verdicts import Kind, Outcome, comparable, goal_text

HEAD = ("row", "what", "document", "goal (stretch)", "ours", "n", "s.e.", "verdict", "time")
PREFACE = (
    "A line is a statistic over seeds: the mean ± sample deviation of n runs, unless it says otherwise; s.e. is the "
    "standard error of that mean.",
    "The test set chooses nothing. Each run is tested once, at the epoch that its row names.",
    "Lines that are closer than 2 standard errors of their difference must not be ranked. Where lines of one row are "
    "further apart than that, the row says so; no correction is made for the number of pairs.",
    "The deviation is that of seeds. What the choice of 10,000 test images adds, more seeds do not lessen: 0.16 points "
    "at 97.5 %, 0.05 points at 99.7 %.",
    "S0 to S4 are the teaching notes that this table follows: S0 on MLP, CNN and RNN with scikit-learn and PyTorch, "
    "S1 on fitting x² + 3, S2 on a network for MNIST in NumPy, S3 from the perceptron to the MLP, S4 an overview. What "
    "they say stands under “document”.",
)
# Seconds, decimals and name of units of time; one is taken from twice its size on.
_TIMES = ((3600, 1, "h"), (60, 1, "min"), (1, 0, "s"))
_ORDER: tuple[Kind, ...] = ("stretch", "met", "missed", "failed", "open", "shown")
_NAMES = {"stretch": "beyond the stretch goal", "met": "met", "shown": "without a goal"}


@dataclass(frozen=True)
class ShownTopic:
    """A topic with what stands of its rows."""

    topic: Topic
    rows: tuple[Shown, ...]


def cells(shown_row: Shown) -> list[tuple[str, ...]]:
    """What the table says of a row, as many texts as ``HEAD`` has for each line, and before several lines a head."""
    row, is_one = shown_row.row, len(shown_row.row.lines) == 1
    head = (row.name, row.what, *[""] * (len(HEAD) - 3), time_text(shown_row))
    found = [] if is_one else [head]
    for line, outcome in zip(row.lines, shown_row.outcomes, strict=True):
        number = str(outcome.num) if outcome.num else ""
        measured = (outcome.ours, number, error_text(line, outcome), _verdict(shown_row, outcome))
        name, what, time = (head[0], head[1], head[-1]) if is_one else ("", line.name, "")
        found.append((name, what, line.document, _goals(line), *measured, time))
    return found


def counts(topics: Sequence[ShownTopic]) -> list[tuple[Kind, str]]:
    """How many lines have which verdict, in words."""
    kinds = Counter(outcome.kind for topic in topics for row in topic.rows for outcome in row.outcomes)
    return [(kind, f"{kinds[kind]} {_NAMES.get(kind, kind)}") for kind in _ORDER if kinds[kind]]


def about(shown_row: Shown) -> list[str]:
    """What there is to say of a row besides its lines, a sentence each."""
    row, standing = shown_row.row, shown_row.standing
    said = [f"From {row.source}."]
    if standing and standing.tested:
        said.append(f"Tested at {standing.tested}.")
    if standing and standing.record.machine:
        said.append(f"{time_text(shown_row)[0].upper()}{time_text(shown_row)[1:]} on {standing.record.machine}.")
    if text := apart_text(shown_row):
        said.append(text)
    if row.note:
        said.append(row.note if row.note.endswith(".") else f"{row.note}.")
    if standing and standing.record.error:
        said.append(f"Not complete: {standing.record.error}.")
    return said


def apart_text(shown_row: Shown) -> str:
    """Which lines of a row may be ranked; empty where there are no two means of one metric."""
    pairs = comparable(shown_row.row.lines, shown_row.outcomes)
    if not pairs:
        return ""
    ranked = [(one.name, other.name) for one, other, is_apart in pairs if is_apart]
    close = [(one.name, other.name) for one, other, is_apart in pairs if not is_apart]
    # Of nine lines there are 36 pairs: the shorter list says the same.
    if ranked and len(close) < len(ranked):
        but = f", but {', '.join(f'{one} and {other}' for one, other in close)}" if close else ""
        return f"All lines of one metric are further apart than 2 standard errors{but}."
    return f"Further apart than 2 standard errors: {', '.join(f'{one} < {other}' for one, other in ranked) or 'none'}."


def time_text(shown_row: Shown) -> str:
    """The wall-clock time of a row, such as ``41 s``, ``3.2 min`` or ``more than 41 s``; empty when it never ran."""
    if shown_row.standing is None:
        return ""
    record = shown_row.standing.record
    # What is at work, or was killed at it, has not told its time yet.
    untold = record.unknown or record.at_work
    return f"more than {seconds_text(record.seconds)}" if untold else seconds_text(record.seconds)


def seconds_text(seconds: float) -> str:
    """``41 s``, ``3.2 min`` or ``2.5 h``."""
    size, decimals, unit = next((each for each in _TIMES if seconds >= 2 * each[0]), _TIMES[-1])
    return f"{seconds / size:.{decimals}f} {unit}"


def error_text(line: Line, outcome: Outcome) -> str:
    """The standard error in the unit of the line, without its name."""
    if outcome.standard_error is None:
        return ""
    return shown(outcome.standard_error, line.unit).partition(" ")[0] if line.unit else f"{outcome.standard_error:.2g}"


def _goals(line: Line) -> str:
    stretch = f" ({goal_text(line, line.stretch)})" if line.stretch else ""
    return f"{goal_text(line, line.goal)}{stretch}"


def _verdict(shown_row: Shown, outcome: Outcome) -> str:
    needs_gpu = shown_row.row.gpu and outcome.kind == "open"
    return f"{outcome.verdict}, needs a GPU" if needs_gpu else outcome.verdict
