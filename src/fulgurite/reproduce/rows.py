"""The rows of the table that ``fulgurite reproduce`` runs, read from ``rows/<topic>.yaml``. Imports no torch.

A row is one sweep over seeds, a line of it one figure: a statistic of a metric over some of the sweep's jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fulgurite.errors import ConfigError
from fulgurite.reproduce import given
from fulgurite.reproduce.given import Node
from fulgurite.reproduce.goals import UNITS, Goal
from fulgurite.reproduce.measures import MEASURES

ROWS_DIR = Path(__file__).parent / "rows"
# Fewer say nothing of the deviation.
LEAST_SEEDS = 3
STATISTICS = ("mean", "max", "min")
_ADDED = ("seed", "sweep.name", "hydra.sweep.dir", "output_root")


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        metric: what is measured, such as ``test/acc``; of a job's record or of a measure.
        name: what sets it apart from the row's other lines; empty for an only one.
        where: words of the jobs that count, such as ``model.init=fan_in``; all jobs without.
        statistic: ``mean``, ``max`` or ``min`` over the jobs, or ``share``: the part of them that reaches ``least``.
        least: what a job must reach to count, when the statistic is ``share``.
        unit: ``percent``, ``pixels`` or empty.
        document: the figure of the source document, as it stands there.
        goal: what is to be reached; ``None`` for a line that is shown without a verdict.
        stretch: what would be more than the goal.
    """

    metric: str
    name: str = ""
    where: tuple[str, ...] = ()
    statistic: str = "mean"
    least: float = 0.0
    unit: str = ""
    document: str = ""
    goal: Goal | None = None
    stretch: Goal | None = None


@dataclass(frozen=True)
class Row:
    """A row: one sweep.

    Attributes:
        name: of the row and of its folder.
        what: one line of plain English.
        source: where it comes from.
        words: what follows ``python train.py -m``, without the seeds.
        seeds: how many there are, from 0 on.
        lines: of the table.
        gpu: it needs a GPU.
        figure: TensorBoard's tag of the picture that teaches it; empty without.
        after: a measure that is taken of its runs; empty without.
        note: what a reader of its figures must know; may be empty.
    """

    name: str
    what: str
    source: str
    words: tuple[str, ...]
    seeds: int
    lines: tuple[Line, ...]
    gpu: bool = False
    figure: str = ""
    after: str = ""
    note: str = ""


@dataclass(frozen=True)
class Topic:
    """Rows that belong together, in the order in which they are shown."""

    title: str
    rows: tuple[Row, ...]


def read_topics(folder: Path = ROWS_DIR) -> list[Topic]:
    """The rows in the files of a folder, in the order of the files' names.

    Raises:
        ConfigError: for a file, key or value that cannot be used, with its place; for a row that is there twice.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigError(f"rows must be a folder with files such as classics.yaml, got {folder}")
    topics = [_topic(Node(path.name, given.load(path))) for path in paths]
    first: dict[str, str] = {}
    for path, topic in zip(paths, topics, strict=True):
        for row in topic.rows:
            if row.name in first:
                raise ConfigError(f"{path.name}: {row.name} is a row of {first[row.name]}, too; give it another name")
            first[row.name] = path.name
    return topics


def _topic(node: Node) -> Topic:
    node.only("title", "rows")
    rows = node.node("rows")
    if not rows.keys:
        raise rows.error("must have a row, got none")
    return Topic(node.text("title"), tuple(_row(name, rows.node(name)) for name in rows.keys))


def _row(name: str, node: Node) -> Row:
    node.only("what", "source", "words", "seeds", "gpu", "figure", "after", "note", "lines")
    row = Row(
        name=given.folder_name(node, name),
        what=node.text("what"),
        source=node.text("source"),
        words=_words(node),
        seeds=node.integer("seeds", LEAST_SEEDS),
        gpu=node.truth("gpu"),
        figure=node.text("figure", ""),
        after=node.choice("after", MEASURES, ""),
        note=node.text("note", ""),
        lines=tuple(_line(each) for each in node.nodes("lines")),
    )
    names = [line.name for line in row.lines]
    if len(set(names)) < len(names):
        raise node.error(f"lines must have names of their own, got {', '.join(map(repr, names))}")
    return row


def _words(node: Node) -> tuple[str, ...]:
    words = node.texts("words")
    for word in words:
        if word.startswith("-") or "=" not in word or word.partition("=")[0] in _ADDED:
            raise node.error(
                f"words must be overrides such as experiment=rashid_200, without {', '.join(_ADDED)}; got {word!r}"
            )
    return words


def _line(node: Node) -> Line:
    node.only("name", "where", "metric", "statistic", "unit", "document", "goal", "stretch")
    statistic, least = _statistic(node)
    line = Line(
        metric=node.text("metric"),
        name=node.text("name", ""),
        where=node.texts("where", ()),
        statistic=statistic,
        least=least,
        unit=node.choice("unit", UNITS, ""),
        document=node.text("document", ""),
        goal=_goal(node, "goal"),
        stretch=_goal(node, "stretch"),
    )
    if line.stretch and not line.goal:
        raise node.error("stretch must stand beside a goal, got no goal")
    if line.stretch and line.goal and not line.goal.low <= line.stretch.low <= line.stretch.high <= line.goal.high:
        goal, stretch = line.goal.text(line.unit), line.stretch.text(line.unit)
        raise node.error(f"stretch must be more than the goal, got {stretch} for the goal {goal}")
    for word in line.where:
        if "=" not in word:
            raise node.error(f"where must be words such as model.init=fan_in, got {word!r}")
    return line


def _statistic(node: Node) -> tuple[str, float]:
    if isinstance(node.get("statistic"), Mapping):
        share = node.node("statistic")
        share.only("share_at_least")
        return "share", share.number("share_at_least")
    return node.choice("statistic", STATISTICS, "mean"), 0.0


def _goal(node: Node, key: str) -> Goal | None:
    if key not in node.keys:
        return None
    goal = node.node(key)
    goal.only("at_least", "at_most", "between")
    if len(goal.keys) != 1:
        raise goal.error(f"must be one of at_least, at_most and between, got {', '.join(goal.keys) or 'nothing'}")
    if "between" in goal.keys:
        ends = goal.get("between")
        if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
            raise goal.error(f"between must be two numbers such as [0.19, 0.21], got {ends!r}")
        low, high = (given.number(goal, "between", end) for end in ends)
        if low > high:
            raise goal.error(f"between must be two numbers, the smaller first, got {ends!r}")
        return Goal(low, high)
    is_low = "at_least" in goal.keys
    return Goal(low=goal.number("at_least")) if is_low else Goal(high=goal.number("at_most"))
