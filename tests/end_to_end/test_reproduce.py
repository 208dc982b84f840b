"""``fulgurite reproduce`` on tiny rows, trained: killed and gone on with, and the numbers of the table."""

import json
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.result import read_result
from fulgurite.sweep.folder import driver_of

OUT = Path("outputs", "reproduce")
TINY = "trainer=cpu, model=mlp, 'model.hidden=[6]', data.train_subset=500, data.batch_size=50, launcher.compile=false"
ROWS = f"""\
title: Tiny
rows:
  gate:
    what: XOR by a perceptron
    source: a test
    words: [experiment=logic_xor, trainer=cpu, trainer.max_epochs=2, launcher.compile=false, launcher.probe=false]
    seeds: 3
    figure: viz_outputs/plane
    lines: [{{metric: test/acc, statistic: max, unit: percent, goal: {{at_most: 0.75}}}}]
  digits:
    what: digits
    source: a test
    words: [{TINY}, trainer.max_epochs=3, "optimizer.lr=1e-3,1e-2"]
    seeds: 3
    lines:
      - {{name: slow, where: [optimizer.lr=1e-3], metric: test/acc, unit: percent}}
      - {{name: fast, where: [optimizer.lr=1e-2], metric: test/acc, unit: percent, goal: {{at_least: 0.99}}}}
  wrong:
    what: no such key
    source: a test
    words: [model=mlp, model.hiden=7]
    seeds: 3
    lines: [{{metric: test/acc}}]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of one's own, with the rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FULGURITE_DEBUG", "0")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tiny.yaml").write_text(ROWS)


@pytest.fixture
def reproduce(monkeypatch, capsys):
    """Type it in this process: exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fulgurite", "reproduce", "--rows", "own", *words])
        return cli.main(), *capsys.readouterr()

    return run


def of_runs(row: str, lr: str = "") -> list[float]:
    """The test accuracies in the runs' own records."""
    results = [read_result(path.parent) for path in (OUT / row).glob("*/result.json")]
    return [each.metrics["test/acc"] for each in results if not lr or f"optimizer.lr={lr}" in each.overrides]


def test_a_row_trains_fused_and_its_picture_is_on_the_page(reproduce):
    code, out, _ = reproduce("gate")
    assert code == 0
    value = max(of_runs("gate"))
    assert f"    goal ≤ 75 %; {100 * value:.2f} % (max), n 3; met" in out
    page = (OUT / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64,iVBORw0KGgo" in page
    assert 'href="gate/report.html"' in page


def test_rows_at_a_time_have_logs_of_their_own_and_one_that_fails_says_why(reproduce):
    code, out, err = reproduce("gate", "wrong", "--at-once", "2", "--seeds", "4")
    assert code == 1
    assert "[1/2] gate: XOR by a perceptron" in out
    assert f"    goal ≤ 75 %; {100 * max(of_runs('gate')):.2f} % (max), n 4; met" in out
    assert re.search(r"^2 rows in .*, 2 at a time$", out, re.MULTILINE)
    assert re.search(
        r"^wrong failed: .*did you mean model\.hidden\?.*; see outputs/reproduce/wrong\.log$", err, re.MULTILINE
    )
    assert "[4/4] seed-3" in (OUT / "gate.log").read_text()
    assert "OMP_NUM_THREADS=" in json.loads((OUT / "gate" / "reproduce.json").read_text())["machine"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_rows_at_a_time_end_with_the_command_and_it_goes_on(how, reproduce):
    starter = "import sys; from fulgurite import cli; sys.exit(cli.main())"
    command = [sys.executable, "-c", starter, "reproduce", "--rows", "own", "digits", "gate", "--at-once", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not list((OUT / "digits").glob("*/checkpoints/last.ckpt")) and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(how)
        said = process.communicate()[1]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("interrupted; what is done is kept; the same command goes on\n")
    # Who works on a row holds its folder.
    until = time.monotonic() + 30
    while driver_of(OUT / "digits") and time.monotonic() < until:
        time.sleep(0.05)
    assert not driver_of(OUT / "digits")
    # The slow and the fast rate train as one, so that none has ended.
    assert not any("test/acc" in read_result(path.parent).metrics for path in (OUT / "digits").glob("*/result.json"))

    assert reproduce("digits", "gate", "--at-once", "2")[0] == 0
    assert len(of_runs("digits")) == 6
    assert len(of_runs("gate")) == 3


@pytest.mark.slow
def test_a_row_that_was_killed_goes_on_and_the_table_has_the_numbers_of_the_runs(reproduce):
    command = [sys.executable, "-m", "fulgurite.cli", "reproduce", "--rows", "own", "digits"]
    starter = "import sys; from fulgurite import cli; sys.exit(cli.main())"
    command[1:3] = ["-c", starter]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not list((OUT / "digits").glob("*/checkpoints/last.ckpt")) and time.monotonic() < until:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len([path for path in (OUT / "digits").glob("*/result.json")]) >= 1

    code, out, err = reproduce("digits", "wrong", "--at-once", "1")
    assert code == 1
    assert "goes on after epoch" in out
    assert "wrong failed: " in err
    assert "did you mean model.hidden?" in err
    for lr, name in (("0.001", "slow"), ("0.01", "fast")):
        values = of_runs("digits", lr)
        mean, deviation = 100 * statistics.fmean(values), 100 * statistics.stdev(values)
        assert re.search(rf"{name}: .*{mean:.2f} ± {deviation:.2f} %, n 3; ", out)
    table = (OUT / "reproduction.md").read_text(encoding="utf-8")
    short = 99 - 100 * statistics.fmean(of_runs("digits", "0.01"))
    assert f"| missed by {short:.2g} points |" in table
    assert "More than " in table
    assert json.loads((OUT / "digits" / "reproduce.json").read_text())["unknown"] is True

    times = {path: path.stat().st_mtime_ns for path in (OUT / "digits").glob("*/*.ckpt")}
    assert reproduce("digits")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
