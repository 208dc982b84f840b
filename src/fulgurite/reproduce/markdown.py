"""The table as Markdown that is kept under version control: a row that runs again changes its own lines alone.

Each row's values stand in a comment beside it. So the file can be written again from itself, on a machine where only
some of the rows have run, or none.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fulgurite.errors import DataError
from fulgurite.reproduce.rows import Topic
from fulgurite.reproduce.standing import Shown, Standing, from_plain, plain
from fulgurite.reproduce.table import HEAD, PREFACE, ShownTopic, about, cells
from fulgurite.reproduce.words import train_command
from fulgurite.result import write_atomically

_HOW = """\
`fulgurite reproduce` lists the rows, `fulgurite reproduce NAME` runs one and writes its lines anew,
`fulgurite reproduce --all` runs all of them, one on each core at a time. Nothing here is typed by hand."""
# As JSON writes it.
_HYPHEN = "\\u002d"
_DATA = re.compile(r"^ *<!-- (\S+) (\{.*\}) -->$", re.MULTILINE)


def write_markdown(
    path: Path, topics: Sequence[Topic], fresh: Mapping[str, Standing | None], named: Collection[str]
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: of the file; what it holds is kept for rows that have not run now.
        topics: all rows.
        fresh: what stands of each row on this machine.
        named: the rows that have run now. One that is not complete does not replace one that is.

    Raises:
        DataError: when the values that it holds of a row cannot be read.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    told = {name: _read(path, name, found) for name, found in _DATA.findall(text)}
    shown = [
        ShownTopic(topic, tuple(Shown(row, _chosen(row, told, fresh, named)) for row in topic.rows)) for topic in topics
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _text(shown))


def _read(path: Path, name: str, found: str) -> Any:
    try:
        return json.loads(found)
    except ValueError as error:
        raise DataError(
            f"{path}: the values of row {name} cannot be read ({error}); restore the line from version control, or "
            f"remove it and run fulgurite reproduce {name}"
        ) from error


def _chosen(row: Any, told: Mapping[str, Any], fresh: Mapping[str, Standing | None], named: Collection[str]) -> Any:
    kept, new = from_plain(row, told.get(row.name, {})), fresh.get(row.name)
    if kept is None or new is None:
        return kept or new
    return new if row.name in named and (new.is_over or not kept.is_over) else kept


def _text(topics: Sequence[ShownTopic]) -> str:
    parts = ["# Reproduction", _HOW, "\n".join(f"- {each}" for each in PREFACE)]
    for each in topics:
        lines = [cell for row in each.rows for cell in cells(row)]
        table = "\n".join([_line(HEAD), "|" + " --- |" * len(HEAD), *map(_line, lines)])
        parts += [f"## {each.topic.title}", table, "\n".join(map(_item, each.rows))]
    return "\n\n".join(parts) + "\n"


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, texts))} |"


def _item(shown: Shown) -> str:
    row = shown.row
    lines = [f"- **{row.name}**: {_plain(' '.join(about(shown)))}", f"  `{train_command(row)}`"]
    if shown.standing is not None:
        data = json.dumps(plain(row, shown.standing), separators=(",", ":"), ensure_ascii=False)
        # Two hyphens would end the comment.
        lines.append(f"  <!-- {row.name} {data.replace('--', '-' + _HYPHEN)} -->")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A text in which Markdown finds nothing to format."""
    return re.sub(r"([\\|*<>`\[\]])", r"\\\1", text)
