"""The table as ``report.html``: one page that needs nothing but itself, with a picture of each row."""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from fulgurite import report
from fulgurite.reproduce.picture import picture
from fulgurite.reproduce.rows import Topic
from fulgurite.reproduce.standing import Shown, Standing
from fulgurite.reproduce.table import HEAD, PREFACE, ShownTopic, about, cells, counts, seconds_text
from fulgurite.reproduce.words import train_command
from fulgurite.result import write_atomically

NAME = "report.html"
_PAGE = Path(__file__).parent / "page"
_SHARED = Path(report.__path__[0]) / "page"
# Columns whose texts stay on one line.
_WHOLE = ("ours", "n", "s.e.", "time")


def write_page(out: Path, topics: Sequence[Topic], fresh: Mapping[str, Standing | None]) -> Path:
    """Write the page into the folder that holds the rows' folders, whole or not at all; its path.

    Args:
        out: the folder.
        topics: all rows.
        fresh: what stands of each row.
    """
    shown = [ShownTopic(topic, tuple(Shown(row, fresh.get(row.name)) for row in topic.rows)) for topic in topics]
    num_rows = sum(len(topic.rows) for topic in topics)
    taken = seconds_text(sum(each.record.seconds for each in fresh.values() if each))
    parts = {
        "style": _read(_SHARED / "report.css") + _read(_PAGE / "reproduce.css"),
        "script": _read(_PAGE / "theme.js"),
        "subtitle": escape(f"{num_rows} rows, {taken} of training, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"),
        "counts": "".join(f'<li class="status {kind}">{escape(text)}</li>' for kind, text in counts(shown)),
        "preface": "".join(f"<li>{escape(each)}</li>" for each in PREFACE),
        "sections": "\n".join(_section(out, number, topic) for number, topic in enumerate(shown)),
    }
    # In one pass: what is put in is not searched again.
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read(_PAGE / "template.html"))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / NAME, text)
    return out / NAME


def _section(out: Path, number: int, shown: ShownTopic) -> str:
    title = escape(shown.topic.title)
    head = "".join(f'<th scope="col">{each}</th>' for each in HEAD)
    body = "\n".join(_lines(row) for row in shown.rows)
    cards = "\n".join(_card(out, row) for row in shown.rows)
    return f"""<section aria-labelledby="topic-{number}">
<h2 id="topic-{number}">{title}</h2>
<div class="scroll" role="region" aria-label="Table: {title}" tabindex="0">
<table><thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody></table></div>
<div class="rows">
{cards}
</div>
</section>"""


def _lines(shown: Shown) -> str:
    lines = cells(shown)
    # A row of several lines has a head, which has no verdict.
    kinds = [""] * (len(lines) - len(shown.outcomes)) + [outcome.kind for outcome in shown.outcomes]
    return "\n".join(
        f"<tr>{''.join(_cell(head, text, kind) for head, text in zip(HEAD, line, strict=True))}</tr>"
        for line, kind in zip(lines, kinds, strict=True)
    )


def _cell(head: str, text: str, kind: str) -> str:
    # No line ends between a number and its unit.
    shown = re.sub("(?<=[≥≤]) | (?=%)", "\N{NO-BREAK SPACE}", escape(text))
    if head == "row" and text:
        return f'<th scope="row"><a href="#{text}">{shown}</a></th>'
    if head == "verdict" and text:
        return f'<td><span class="status {kind}">{shown}</span></td>'
    return f'<td class="whole">{shown}</td>' if head in _WHOLE else f"<td>{shown}</td>"


def _card(out: Path, shown: Shown) -> str:
    row = shown.row
    parts = [f'<article id="{row.name}"><h3>{row.name}</h3>', f"<p>{escape(row.what)}</p>"]
    found = picture(out / row.name, row.figure) if row.figure and shown.standing else None
    if found:
        data = base64.b64encode(found.png).decode()
        what = escape(f"{row.figure.partition('/')[2].replace('_', ' ')} of {found.run}")
        parts.append(
            f'<figure><img alt="{escape(row.what)}: {what}" src="data:image/png;base64,{data}">'
            f"<figcaption>{what}</figcaption></figure>"
        )
    parts += [f"<p>{escape(' '.join(about(shown)))}</p>", f"<p><code>{escape(train_command(row))}</code></p>"]
    if (out / row.name / NAME).is_file():
        parts.append(f'<p><a href="{quote(row.name)}/{NAME}">All runs of {row.name}</a></p>')
    return "\n".join([*parts, "</article>"])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
