"""The lines of a sweep that runs: what each says, how many there are, and how wide they are."""

import io
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from fulgurite.report.frame import frame
from fulgurite.report.live import Region
from fulgurite.report.watched import Watched
from fulgurite.result import Objective, Result


def job(sweep: Path, lr: float, status: str, value: float | None = None, *, age_s: float = 0.0, **options) -> Path:
    """A job whose record was written ``age_s`` seconds ago."""
    folder = sweep / f"lr-{lr}_abc123"
    folder.mkdir(parents=True, exist_ok=True)
    Result(status, Objective("val/acc", "max", value), overrides=[f"optimizer.lr={lr}"], **options).write(folder)
    written = time.time() - age_s
    os.utime(folder / "result.json", (written, written))
    return folder


def running(sweep: Path, lr: float, values: list[float], max_epochs: int, seconds: float = 10.0) -> Path:
    """A job that has taken ``seconds`` for its epochs, of 10 steps each."""
    folder = job(sweep, lr, "running", age_s=seconds)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(f"seed: 0\ntrainer:\n  devices: 1\n  max_epochs: {max_epochs}\n")
    rows = "".join(f"{epoch},{10 * epoch + 9},{value}\n" for epoch, value in enumerate(values))
    (folder / "metrics.csv").write_text(f"epoch,step,val/acc\n{rows}")
    return folder


def watched(sweep: Path, since: float = 0.0) -> Watched:
    return Watched(sweep, ["optimizer.lr"], since)


def lines(sweep: Path, total: int = 0, width: int = 80, height: int = 24, **options) -> list[str]:
    return [line.plain.rstrip() for line in frame(watched(sweep, **options), total, width, height)]


def test_a_running_job_shows_epochs_best_so_far_time_and_what_is_left(tmp_path):
    running(tmp_path, 0.1, [0.5, 0.75], max_epochs=5, seconds=110.0)
    # Two epochs took 110 s, so three more take 165.
    assert lines(tmp_path)[2].split() == ["running", "lr=0.1", "2/5", "0.7500", "1", "min", "2", "min"]


def test_a_job_that_went_on_counts_the_time_before(tmp_path):
    folder = running(tmp_path, 0.1, [0.5, 0.6, 0.7, 0.8], max_epochs=5)
    job(tmp_path, 0.1, "running", age_s=10.0, seconds=30.0)
    assert (folder / "metrics.csv").exists()
    # Four epochs took 40 s in all.
    (state,) = (watch.stand(seen) for watch in [watched(tmp_path)] for seen in watch.look())
    assert state.seconds == pytest.approx(40, abs=1)
    assert state.left_s == pytest.approx(10, abs=1)


def test_a_job_without_curves_has_no_epoch_and_nobody_knows_what_is_left(tmp_path):
    job(tmp_path, 0.1, "running", age_s=130.0)
    assert lines(tmp_path)[2].split() == ["running", "lr=0.1", "0", "-", "2", "min"]


def test_an_ended_job_shows_its_record(tmp_path):
    job(tmp_path, 0.1, "finished", 0.9876, epochs=5, seconds=185.0)
    assert lines(tmp_path)[2].split() == ["finished", "lr=0.1", "5", "0.9876", "3", "min"]


def test_the_first_line_counts_jobs_and_says_what_is_left_of_all(tmp_path):
    running(tmp_path, 0.1, [0.5, 0.75], max_epochs=4, seconds=30.0)
    job(tmp_path, 0.2, "finished", 0.9, seconds=60.0)
    job(tmp_path, 0.3, "failed")
    # 30 s for the one that runs, then two of a minute each, one after the other.
    assert lines(tmp_path, total=5, width=120)[0] == (
        f"{tmp_path.name}: of 5 jobs 1 finished, 1 failed, 1 running, 2 to come; about 2 min left"
    )


def test_a_job_that_runs_since_before_the_sweep_went_on_was_killed(tmp_path):
    job(tmp_path, 0.1, "running", age_s=60.0)
    job(tmp_path, 0.2, "running")
    now = lines(tmp_path, since=time.time() - 30)
    assert [line.split()[:2] for line in now[2:]] == [["running", "lr=0.2"], ["killed", "lr=0.1"]]


def test_running_jobs_stand_first_then_those_that_ended_last_and_the_rest_is_counted(tmp_path):
    for number in range(6):
        job(tmp_path, number, "finished", 0.5, age_s=number)
    for number in (7, 8):
        job(tmp_path, number, "running", age_s=100.0 - number)
    shown = lines(tmp_path, height=8)
    assert len(shown) == 8
    assert [line.split()[1] for line in shown[2:7]] == ["lr=7", "lr=8", "lr=0", "lr=1", "lr=2"]
    assert shown[7] == "and 3 finished"


def test_more_running_jobs_than_lines_are_counted(tmp_path):
    for number in range(12):
        job(tmp_path, number, "running")
    shown = lines(tmp_path, height=10)
    assert len(shown) == 10
    assert shown[-1] == "and 5 running"


@pytest.mark.parametrize("width", [39, 59, 79, 199])
def test_no_line_is_wider_than_the_terminal_and_each_says_what_is_left(tmp_path, width):
    job(tmp_path, 0.123456789, "diverged", age_s=5.0)
    running(tmp_path, 0.1234567891234, [0.5, 0.75], max_epochs=400)
    shown = [line.plain for line in frame(watched(tmp_path), 12, width, 24)]
    assert max(map(len, shown)) <= width
    assert shown[2].split()[-1] in ("min", "s")
    assert "2/400" in shown[2]


def test_what_is_not_a_job_is_no_line(tmp_path):
    job(tmp_path, 0.1, "finished", 0.5)
    job(tmp_path, "0.1_rerun", "finished", 0.5)
    (tmp_path / "figures").mkdir()
    (tmp_path / "lr-0.3_begun").mkdir()
    assert len(lines(tmp_path)) == 3


def test_half_a_record_is_not_shown_and_hurts_nobody(tmp_path):
    (job(tmp_path, 0.1, "finished", 0.5) / "result.json").write_text("{")
    assert lines(tmp_path, total=1) == [f"{tmp_path.name}: of 1 jobs 1 to come", lines(tmp_path)[1]]


def test_a_region_is_drawn_in_place_below_what_is_said_and_leaves_the_cursor(tmp_path):
    running(tmp_path, 0.1, [0.5], max_epochs=5)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with Region(watched(tmp_path), 1, console) as region:
        region.draw()
        assert 0 < region.due_s <= 5
        region.say("[1/1] said")
        drawn = console.file.getvalue()
    # Up over the three lines, the line that is said, and the three lines again.
    before, _, after = drawn.partition("[1/1] said")
    assert before.count("lr=0.1") == after.count("lr=0.1") == 1
    assert before.endswith("\x1b[1A\x1b[2K" * 2)
    # Should it be killed now, the cursor is there.
    assert drawn.rfind("\x1b[?25h") > drawn.rfind("\x1b[?25l")


def test_lines_that_a_terminal_has_folded_when_it_was_made_narrower_are_taken_away_whole(tmp_path):
    sweep = tmp_path / "night"
    running(sweep, "0." + "1" * 40, [0.5], max_epochs=5)
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=24)
    with Region(watched(sweep), 1, console) as region:
        region.draw()
        widths = [len(line) for line in lines(sweep, total=1, width=99)]
        before = len(console.file.getvalue())
        console.width = 50
        region.draw()
        drawn = console.file.getvalue()[before:]
    # A short title, and two lines that take two rows each; the cursor stands in the last of them.
    assert [width > 50 for width in widths] == [False, True, True]
    assert drawn.count("\x1b[1A\x1b[2K") == 4


def test_a_drawing_takes_less_than_a_hundredth_of_the_time_to_the_next(tmp_path):
    for number in range(100):
        job(tmp_path, number, "finished", 0.5)
    with Region(watched(tmp_path), 100, Console(file=io.StringIO(), force_terminal=True)) as region:
        region.draw()
        began = time.thread_time()
        region.draw()
        assert region.due_s > 99 * (time.thread_time() - began)
