"""``report.html``: one page that needs nothing but itself. Its sources are the files in ``page/``."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fulgurite.report.collect import Job, fold
from fulgurite.report.document import document
from fulgurite.report.heading import Heading
from fulgurite.report.results import results_name, write_results
from fulgurite.report.swept import swept
from fulgurite.result import write_atomically

HTML_NAME = "report.html"
_PAGE = Path(__file__).parent / "page"
# In the order in which they are run: the first ones are used by those that follow.
_SCRIPTS = (
    *("state.js", "drawing.js", "leaderboard.js", "parallel.js", "curves.js", "slices.js"),
    *("heatmaps.js", "shares.js", "report.js"),
)


def write_report(place: Path, heading: Heading, jobs: Sequence[Job], name: str = HTML_NAME) -> Path:
    """Write the page and the table beside it into the folder ``place``, each whole or not at all; the page's path."""
    keys = swept(jobs)
    path = place / name
    write_results(path.with_name(results_name(name)), jobs, keys)
    write_atomically(path, page(document(place, heading, jobs, fold(jobs), keys), results_name(name)))
    return path


def page(data: Mapping[str, Any], results: str) -> str:
    """The page that shows what ``document`` has put together, and names the table ``results`` beside it.

    All of it is text to the browser: nothing that a job was named, or has said in an error, is read as markup.
    """
    # A page that is mailed is a copy of D3, whose licence wants to be in each.
    scripts = [f"/*\n{_read('d3.LICENSE')}*/\n{_read('d3.min.js')}", *map(_read, _SCRIPTS)]
    parts = {
        "title": html.escape(str(data["heading"]["title"])),
        "results": html.escape(results),
        "style": _read("report.css"),
        "scripts": "\n".join(f"<script>\n{script}</script>" for script in scripts),
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    # In one pass: what is put in is not searched again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("template.html"))


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")
