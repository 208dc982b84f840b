"""The figures in a preset's first lines are those of the table of results."""

import re
from pathlib import Path

import pytest

from fulgurite.config import CONF_DIR
from fulgurite.reproduce.rows import read_topics

TABLE = (CONF_DIR.parent / "docs" / "reproduction.md").read_text(encoding="utf-8")
PRESETS = {
    f"{group}={path.stem}": path for group in ("experiment", "sweep") for path in (CONF_DIR / group).glob("*.yaml")
}
SHOWN = {name: path for name, path in PRESETS.items() if f"{name} " in TABLE}


PAIR = re.compile(r"(\d+\.\d+) ± (\d+\.\d+)")


def said(path: Path) -> list[tuple[str, str]]:
    """Means and deviations in the two lines of a preset, such as 97.53 and 0.14."""
    return PAIR.findall("".join(path.read_text(encoding="utf-8").splitlines()[1:3]))


def told(name: str) -> str:
    """The lines of all rows that run a preset."""
    rows = [row.name for topic in read_topics() for row in topic.rows if name in row.words]
    lines = TABLE.splitlines()
    found = ""
    for row in rows:
        start = next(number for number, line in enumerate(lines) if line.startswith(f"| {row} |"))
        stop = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith("|  |"))
        found += "\n".join(lines[start:stop])
    return found


def is_rounded(short: str, long: str) -> bool:
    half = 0.5 * 10.0 ** -len(short.partition(".")[2])
    return abs(float(short) - float(long)) <= half + 1e-9


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_the_figures_of_a_preset_stand_in_the_table(name):
    pairs = PAIR.findall(told(name))
    lost = [each for each in said(SHOWN[name]) if not any(all(map(is_rounded, each, pair)) for pair in pairs)]
    assert lost == []


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_no_preset_shows_a_figure_of_one_seed(name):
    assert not re.search(r"one seed|2 seeds", SHOWN[name].read_text(encoding="utf-8"))
