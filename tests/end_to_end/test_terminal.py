"""What a person sees of a sweep on a terminal: a line a job that stays in place, and a terminal in order afterwards."""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fulgurite.result import Objective, Result

pytest.importorskip("pty")
from terminal import Terminal  # noqa: E402

TRAIN = Path(__file__).parents[2] / "train.py"
FOLDER = Path("outputs", "sweeps", "night")
WORDS = [sys.executable, str(TRAIN), "-m", "sweep.name=night", "model=mlp", "model.hidden=[8]", "trainer=cpu"]
WORDS += ["data.train_subset=2000", "data.batch_size=20", "logger=csv", "test=false"]
PROCESSES = [*WORDS, "launcher=processes", "launcher.num_workers=2"]
WATCH = [sys.executable, "-c", "import sys; from fulgurite.cli import main; sys.exit(main())"]
WATCH += ["sweep", "show", "night", "--watch"]
RUNNING = re.compile(r"^running +seed=(\d) +(\d+)/(\d+) +0\.\d{4} ", re.MULTILINE)
TITLE = re.compile(r"^night: of \d jobs .*", re.MULTILINE)


@pytest.fixture
def on_terminal(tmp_path, monkeypatch) -> Iterator[Callable[..., Terminal]]:
    """Runs commands on terminals of their own, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("FAULTS", "1")
    opened: list[Terminal] = []

    def run(words: list[str], **size: int) -> Terminal:
        opened.append(Terminal(words, **size))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def fault(kinds: str) -> list[str]:
    node = "+callbacks.fault"
    return [f"{node}._target_=faults.Fault", f"{node}.kinds={{{kinds}}}", f"{node}.seed=${{seed}}"]


def test_jobs_in_processes_have_a_line_each_in_place_and_failures_stand_above(on_terminal):
    terminal = on_terminal([*PROCESSES, "seed=0,1,2", "trainer.max_epochs=30", "sweep.retries=0", *fault("1:raises")])
    seen = terminal.until(RUNNING.search)
    assert len(TITLE.findall(seen)) == 1
    assert RUNNING.search(seen)[3] == "30"
    seen = terminal.until(lambda text: re.search(r"^failed +seed=1 ", text, re.MULTILINE))
    assert seen.index("[2/3] failed: RuntimeError") < TITLE.search(seen).start()
    assert len(TITLE.findall(seen)) == 1
    assert terminal.end() == 1
    seen = terminal.screen.text
    # What was said has stayed, each line whole and once; the lines of jobs are gone, and the leaderboard is there.
    said = re.findall(r"^\[(\d)/3\] (seed-\d|failed|finished)", seen, re.MULTILINE)
    assert sorted(said) == [*(("1", each) for each in ("finished", "seed-0")), ("2", "failed"), ("2", "seed-1")] + [
        ("3", each) for each in ("finished", "seed-2")
    ]
    assert not TITLE.search(seen)
    assert not RUNNING.search(seen)
    assert "Wrote outputs/sweeps/night/leaderboard.csv" in seen
    assert terminal.screen.has_cursor


@pytest.mark.slow
def test_ctrl_c_takes_the_lines_of_jobs_away_and_leaves_the_cursor(on_terminal):
    terminal = on_terminal([*PROCESSES, "seed=0,1,2", "trainer.max_epochs=500"], columns=50, lines=12)
    terminal.until(RUNNING.search)
    terminal.press(signal.SIGINT)
    assert terminal.end() == 130
    seen = terminal.screen.text
    assert not TITLE.search(seen)
    assert "interrupted; to go on with it" in seen
    assert terminal.screen.has_cursor


@pytest.mark.slow
@pytest.mark.parametrize("drivers", ["1", "2"])
def test_members_of_a_fused_program_have_a_line_each(on_terminal, drivers):
    words = [*WORDS, "launcher=fused", f"launcher.drivers={drivers}", "launcher.probe=false", "seed=0,1,2,3"]
    terminal = on_terminal([*words, "trainer.max_epochs=20"])
    seen = terminal.until(lambda text: len(RUNNING.findall(text)) == 4)
    assert {seed for seed, _, _ in RUNNING.findall(seen)} == {"0", "1", "2", "3"}
    assert terminal.end() == 0
    assert not TITLE.search(terminal.screen.text)
    assert terminal.screen.text.count("[4/4] seed-3") == 1
    assert terminal.screen.has_cursor


def job(number: int, status: str, value: float | None = None) -> Path:
    folder = FOLDER / f"seed-{number}_abc"
    folder.mkdir(parents=True, exist_ok=True)
    Result(status, Objective("val/acc", "max", value), overrides=[f"seed={number}"], epochs=3).write(folder)
    return folder


@pytest.fixture
def sweep(on_terminal) -> None:
    """A sweep of which this process is the driver, with a job that runs."""
    folder = job(1, "running")
    (FOLDER / "sweep.json").write_text('{"swept": {"seed": "1,2"}, "num_jobs": 2}')
    (FOLDER / ".lock").write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    written = time.time() - 100
    os.utime(FOLDER / ".lock", (written, written))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("trainer:\n  max_epochs: 3\n")
    (folder / "metrics.csv").write_text("epoch,step,val/acc\n0,9,0.5\n")


def test_a_sweep_is_watched_from_another_terminal_until_it_ends(on_terminal, sweep):
    terminal = on_terminal(WATCH)
    assert RUNNING.search(terminal.until(RUNNING.search)).groups() == ("1", "1", "3")
    with (FOLDER / "seed-1_abc" / "metrics.csv").open("a") as file:
        file.write("1,19,0.75\n")
    assert "0.7500" in terminal.until(lambda text: (found := RUNNING.search(text)) and found[2] == "2")
    job(1, "finished", 0.75)
    seen = terminal.until(lambda text: re.search(r"^finished +seed=1 +3 +0\.7500", text, re.MULTILINE))
    assert "night: of 2 jobs 1 finished, 1 to come" in seen
    (FOLDER / ".lock").write_text("")
    assert terminal.end() == 0
    seen = terminal.screen.text
    assert "outputs/sweeps/night: nobody is at work; of 2 jobs 1 finished, 1 to come" in seen
    assert not TITLE.search(seen)


def test_ctrl_c_ends_watching_and_leaves_what_was_seen_last(on_terminal, sweep):
    terminal = on_terminal(WATCH)
    terminal.until(RUNNING.search)
    terminal.press(signal.SIGINT)
    assert terminal.end() == 130
    assert len(RUNNING.findall(terminal.screen.text)) == 1
    assert terminal.screen.has_cursor


def test_into_a_file_a_line_is_written_when_something_changes(on_terminal, sweep, tmp_path):
    terminal = on_terminal(["sh", "-c", 'exec "$@" > seen.txt', "sh", *WATCH])
    seen = tmp_path / "seen.txt"
    while not (seen.exists() and seen.read_text()):
        time.sleep(0.1)
    job(2, "failed")
    time.sleep(1.5)
    (FOLDER / ".lock").write_text("")
    assert terminal.end() == 0
    lines = seen.read_text().splitlines()
    assert lines[:2] == ["night: of 2 jobs 1 running, 1 to come", "night: of 2 jobs 1 failed, 1 running"]
    assert lines[2].startswith("outputs/sweeps/night: nobody is at work; of 2 jobs 1 failed, 1 killed")
    assert "\x1b" not in seen.read_text()
