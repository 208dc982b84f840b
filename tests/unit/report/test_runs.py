"""What lies below a folder: which are runs and sweeps, how each stands, in which order, and as which lines."""

import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from fulgurite.report import runs
from fulgurite.report.durations import rough
from fulgurite.report.listing import listed
from fulgurite.report.runs import Entry, entries
from fulgurite.result import Objective, Result


def run(folder: Path, status: str = "finished", value: float | None = 0.9, age_s: float = 0.0, *overrides: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Result(status, Objective("val/acc", "max", value), overrides=list(overrides)).write(folder)
    written = time.time() - age_s
    os.utime(folder / "result.json", (written, written))
    return folder


def sweep(folder: Path, num_jobs: int, *jobs: tuple[str, float | None], age_s: float = 0.0) -> Path:
    for number, (status, value) in enumerate(jobs):
        run(folder / f"job-{number}", status, value, age_s + number, f"optimizer.lr={number}")
    (folder / "sweep.json").write_text(f'{{\n  "name": "night",\n  "num_jobs": {num_jobs},\n  "jobs": []\n}}\n')
    return folder


def found(folder: Path, driver: str = "", alive: tuple[int, ...] = ()) -> list[Entry]:
    return entries(folder, lambda path: driver, lambda process: process in alive)


def test_runs_and_sweeps_are_found_newest_first(tmp_path):
    run(tmp_path / "mnist" / "old", age_s=300)
    run(tmp_path / "sine" / "new", age_s=10)
    sweep(tmp_path / "sweeps" / "night", 1, ("finished", 0.8), age_s=100)
    assert [(entry.folder.name, entry.kind) for entry in found(tmp_path)] == [
        ("new", "run"),
        ("night", "sweep"),
        ("old", "run"),
    ]


def test_a_folder_of_a_task_a_sweep_and_a_run_is_listed_alike(tmp_path):
    run(tmp_path / "mnist" / "one")
    sweep(tmp_path / "sweeps" / "night", 2, ("finished", 0.8), ("failed", None))
    assert [entry.folder.name for entry in found(tmp_path / "mnist")] == ["one"]
    assert [entry.folder.name for entry in found(tmp_path / "sweeps" / "night")] == ["job-0", "job-1"]
    assert [entry.folder.name for entry in found(tmp_path / "mnist" / "one")] == ["one"]


@pytest.mark.parametrize(
    ("jobs", "driver", "status"),
    [
        ([("finished", 0.8), ("pruned", 0.1), ("finished", 0.7)], "", "finished"),
        ([("finished", 0.8), ("finished", 0.7)], "", "unfinished"),
        ([("finished", 0.8), ("running", None)], "process 1 on host", "running"),
        ([("finished", 0.8), ("failed", None), ("diverged", None)], "", "2 failed"),
    ],
)
def test_a_sweep_says_how_it_stands(tmp_path, jobs, driver, status):
    sweep(tmp_path / "night", 3, *jobs)
    (entry,) = found(tmp_path, driver)
    assert (entry.status, entry.num_jobs) == (status, 3)
    assert entry.num_finished == sum(each == "finished" for each, _ in jobs)


def test_a_sweep_shows_the_mean_of_its_best_setting(tmp_path):
    folder = tmp_path / "night"
    for number, (lr, value) in enumerate([("1", 0.5), ("1", 0.7), ("2", 0.65)]):
        run(folder / f"job-{number}", "finished", value, 0, f"optimizer.lr={lr}", f"seed={number}")
    (folder / "multirun.yaml").touch()
    (entry,) = found(tmp_path)
    assert (entry.metric, entry.value, entry.num_jobs) == ("val/acc", 0.65, 3)


def events(folder: Path, host: str, process: int, second: int = 1) -> None:
    (folder / f"events.out.tfevents.{1700000000 + second}.{host}.{process}.0").touch()


@pytest.mark.parametrize(
    ("host", "process", "status"),
    [(socket.gethostname(), 7, "killed"), (socket.gethostname(), 8, "running"), ("elsewhere.org", 7, "running")],
)
def test_a_run_whose_process_is_gone_was_killed_where_that_can_be_known(tmp_path, host, process, status):
    folder = run(tmp_path / "one", "running", None)
    events(folder, socket.gethostname(), 7, second=0)
    events(folder, host, process)
    (entry,) = found(tmp_path, alive=(8,))
    assert entry.status == status


def test_a_run_without_events_is_taken_at_its_word(tmp_path):
    run(tmp_path / "one", "running", None)
    assert found(tmp_path)[0].status == "running"


@pytest.mark.parametrize(("driver", "status"), [("", "killed"), ("process 1 on host", "running")])
def test_a_job_runs_while_somebody_works_on_its_sweep(tmp_path, driver, status):
    sweep(tmp_path, 1, ("running", None))
    assert [entry.status for entry in found(tmp_path, driver)] == [status]


def test_what_cannot_be_read_is_listed_as_such(tmp_path):
    (run(tmp_path / "one") / "result.json").write_text("{")
    (tmp_path / "two" / ".hydra").mkdir(parents=True)
    assert {entry.folder.name: entry.status for entry in found(tmp_path)} == {"one": "damaged", "two": "missing"}


def test_a_line_names_the_folder_as_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "outputs" / "mnist" / "cnn", value=0.98765, age_s=7300)
    sweep(tmp_path / "outputs" / "sweeps" / "night", 4, ("finished", 0.8), age_s=200000)
    assert [line.split() for line in listed(found(tmp_path / "outputs"), None)] == [
        ["kind", "status", "objective", "jobs", "age", "name"],
        ["run", "finished", "val/acc", "0.9877", "-", "2", "h", "outputs/mnist/cnn"],
        ["sweep", "unfinished", "val/acc", "0.8000", "1/4", "2", "d", "outputs/sweeps/night"],
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_stands_before_the_name_leaves_room_for_it(tmp_path, width):
    sweep(tmp_path / "night", 12, ("finished", 0.8))
    heading, line = listed(found(tmp_path), width)
    assert heading.index("name") <= width - 4
    assert line[heading.index("name") :].endswith("night")
    assert ("kind" in heading) == (width > 40)


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86_400, "1 d"), (864_000, "10 d")]
)
def test_a_time_is_said_in_its_largest_unit(seconds, said):
    assert rough(seconds) == said


def test_a_run_that_goes_while_it_is_looked_at_takes_no_other_out_of_the_list(tmp_path, monkeypatch):
    for name in ("a", "gone", "z"):
        run(tmp_path / name)

    def looked_at(folder: Path) -> bool:
        if folder.name == "gone":
            shutil.rmtree(folder)
        return True

    monkeypatch.setattr(runs, "is_run", lambda folder: folder != tmp_path and looked_at(folder))
    assert sorted(entry.folder.name for entry in found(tmp_path)) == ["a", "z"]
