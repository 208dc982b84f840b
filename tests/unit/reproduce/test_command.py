"""``fulgurite reproduce`` as it is typed: what is listed, what is refused, which rows run. Nothing is trained here."""

import subprocess
import sys
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.reproduce import command, run
from fulgurite.reproduce.record import Record, note
from fulgurite.reproduce.standing import Standing
from fulgurite.reproduce.verdicts import Figures

ROWS = """\
title: Small
rows:
  one:
    {what: a network, source: a book, words: [model=mlp], seeds: 3,
     lines: [{metric: test/acc, unit: percent, goal: {at_least: 0.5}}]}
  two:
    {what: a line, source: notes, words: [model=linear], seeds: 3,
     lines: [{name: l1, metric: test/mae}, {name: l2, metric: test/rmse}]}
  deep: {what: a large one, source: a paper, words: [model=cnn], seeds: 3, gpu: true, lines: [{metric: test/acc}]}
"""


@pytest.fixture
def typed(monkeypatch, tmp_path, capsys):
    """Type ``fulgurite reproduce`` with these rows: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "small.yaml").write_text(ROWS)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fulgurite", "reproduce", "--rows", "own", *words])
        return cli.main(), *capsys.readouterr()

    return run


class Running:
    """Stands in for ``run_row``."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, list[str]]] = []
        self.failing, self.stopping = "", ""

    def __call__(self, row, out, seeds, extra):
        self.rows.append((row.name, seeds, list(extra)))
        if row.name == self.stopping:
            raise run.Stopped
        note(row.words, out / row.name, "")
        return row.name != self.failing


@pytest.fixture
def running(monkeypatch):
    monkeypatch.setattr(command, "has_gpu", lambda: False)
    # Here, where a stand-in is seen.
    monkeypatch.setattr(command, "num_lanes", lambda *_: 1)
    monkeypatch.setattr(run, "run_row", stand_in := Running())
    return stand_in


def names(running: Running) -> list[str]:
    return [name for name, *_ in running.rows]


def test_without_a_name_the_rows_are_listed_with_goals_and_commands(typed):
    code, out, err = typed()
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "Small",
        "  one: a network",
        "    goal ≥ 50 %; open",
        "    python train.py -m model=mlp 'seed=range(3)' launcher=fused",
        "",
        "  two: a line",
        "    l1: open",
        "    l2: open",
        "    python train.py -m model=linear 'seed=range(3)' launcher=fused",
        "",
        "  deep: a large one",
        "    open, needs a GPU",
        "    python train.py -m model=cnn 'seed=range(3)' launcher=fused",
        "",
        "Of all lines 4 open. fulgurite reproduce NAME runs a row.",
    ]


def test_a_row_that_has_run_is_listed_with_what_it_reached(typed, monkeypatch):
    reached = Figures((0.5, 0.75, 1.0), planned=3)
    monkeypatch.setattr(
        command, "standing_in", lambda row, folder: Standing(Record(row.words), (reached,) * len(row.lines))
    )
    _, out, _ = typed()
    assert "    goal ≥ 50 %; 75.00 ± 25.00 %, n 3; met\n" in out
    assert "    l1: 0.7500 ± 0.2500, n 3; no goal\n" in out


def test_listing_imports_neither_torch_nor_hydra(tmp_path):
    code = (
        "import sys; sys.argv = ['fulgurite', 'reproduce']; from fulgurite import cli; cli.main(); "
        "sys.exit(str({'torch', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
    assert "rashid_200" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_named_rows_run_in_the_order_of_the_table_and_the_table_is_written(typed, running):
    code, out, _ = typed("two", "one")
    assert code == 0
    assert names(running) == ["one", "two"]
    assert "[1/2] one: a network" in out
    assert Path("outputs/reproduce/report.html").is_file()
    assert Path("outputs/reproduce/reproduction.md").is_file()


def test_a_row_that_needs_a_gpu_stays_open_without_one(typed, running):
    code, out, _ = typed("--all")
    assert (code, names(running)) == (0, ["one", "two"])
    assert "deep needs a GPU and stays open; where there is one: fulgurite reproduce deep" in out


def test_a_row_that_needs_a_gpu_runs_where_there_is_one(typed, running, monkeypatch):
    monkeypatch.setattr(command, "has_gpu", lambda: True)
    assert typed("deep")[0] == 0
    assert names(running) == ["deep"]


def test_a_row_that_fails_does_not_stop_the_others(typed, running):
    running.failing = "one"
    code, _, err = typed("--all")
    assert (code, names(running)) == (1, ["one", "two"])
    assert "1 of 3 rows did not come to their end: one" in err


def test_ctrl_c_stops_all_and_the_table_has_what_is_done(typed, running):
    running.stopping = "two"
    code, _, err = typed("--all")
    assert (code, names(running)) == (130, ["one", "two"])
    assert "interrupted; what is done is kept; the same command goes on" in err
    assert "open: 0 of" not in Path("outputs/reproduce/reproduction.md").read_text()
    assert Path("outputs/reproduce/report.html").is_file()


def test_seeds_and_further_words_are_handed_on(typed, running):
    typed("one", "launcher.drivers=2", "--seeds", "5", "logger=csv")
    assert running.rows == [("one", 5, ["launcher.drivers=2", "logger=csv"])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["onne"], "there is no row onne (did you mean one?); fulgurite reproduce lists them"),
        (["one", "--all"], "give names or --all, got one and --all"),
        (["one", "model=cnn"], "such as launcher.drivers=2, but not another sweep or name; got model=cnn"),
        (["one", "sweep.name=x"], "got sweep.name=x"),
        (["one", "sweep=tpe"], "got sweep=tpe"),
        (["one", "--seeds", "2"], "--seeds must be an integer >= 3, got 2"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(typed, running, words, message):
    code, _, err = typed(*words)
    assert code == 2
    assert message in err
    assert running.rows == []


def test_in_the_checkout_the_table_is_in_docs(typed, running, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "CONF_DIR", tmp_path / "conf")
    monkeypatch.setattr(command, "ROWS_DIR", tmp_path / "own")
    (tmp_path / "docs").mkdir()
    _, out, _ = typed("one")
    assert Path("docs/reproduction.md").is_file()
    assert "Wrote docs/reproduction.md" in out
    assert not Path("outputs/reproduce/reproduction.md").exists()


def test_rows_of_ones_own_leave_the_table_of_the_checkout_alone(typed, running, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "CONF_DIR", tmp_path / "conf")
    (tmp_path / "docs").mkdir()
    typed("one")
    assert not Path("docs/reproduction.md").exists()
    assert Path("outputs/reproduce/reproduction.md").is_file()
