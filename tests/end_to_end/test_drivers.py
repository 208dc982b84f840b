"""`launcher.drivers=2`: two processes leave, say and survive what one does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fulgurite import cli
from fulgurite.result import Result, read_result
from hydra_plugins.fulgurite_launcher import _drivers

TRAIN = Path(__file__).parents[2] / "train.py"
TINY = [
    "trainer=cpu",
    "model=mlp",
    "model.hidden=[6]",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=1000",
    "trainer.precision=64-true",
    "launcher.probe=false",
]
FOLDER = Path("outputs", "sweeps", "night")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def words(drivers: int, *more: str, name: str = "night") -> list[str]:
    return ["-m", "launcher=fused", f"launcher.drivers={drivers}", f"sweep.name={name}", *TINY, *more]


def results() -> dict[str, Result]:
    return {path.parent.name: read_result(path.parent) for path in sorted(FOLDER.glob("*/result.json"))}


def statuses() -> list[str]:
    return sorted(result.status for result in results().values())


def files_in(folder: Path) -> set[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {f"{name.rpartition('/')[0]}/events" if "tfevents" in name else name for name in names}


def record_of(folder: Path) -> list[object]:
    """What Hydra has written down of a job, but for the number of drivers and the times."""
    texts = ((folder / ".hydra" / name).read_text() for name in ("config.yaml", "hydra.yaml", "overrides.yaml"))
    return [
        OmegaConf.create(text.replace("drivers: 2", "drivers: 1").replace("drivers=2", "drivers=1")) for text in texts
    ]


@pytest.mark.slow
def test_two_drivers_leave_and_say_what_one_does(tmp_path, monkeypatch, capfd):
    said, errors, folders = [], [], []
    for drivers in (1, 2):
        (tmp_path / str(drivers)).mkdir()
        monkeypatch.chdir(tmp_path / str(drivers))
        swept = ["seed=1,2,3,4", "optimizer.lr=1e-3,-1.0", "trainer.max_epochs=2"]
        assert cli.train(words(drivers, *swept)) == 1
        out, err = capfd.readouterr()
        said.append(sorted(line for line in out.splitlines() if line.startswith("[")))
        errors.append(sorted(err.splitlines()))
        folders.append(FOLDER.absolute())
        names = "jobs 1 to 7 (4)" if drivers == 1 else "jobs 5 to 7 (2)"
        assert f"{names} train as one" in out
    assert said[0] == said[1]
    assert said[0][0] == "[1/8] seed-1 lr-0.001"
    assert errors[0] == errors[1]
    assert errors[0][0] == "[2/8] failed: optimizer.lr must be a number > 0, got -1.0"
    assert files_in(folders[0]) == files_in(folders[1])
    for one in (path for path in folders[0].iterdir() if path.is_dir()):
        other = folders[1] / one.name
        first, second = read_result(one), read_result(other)
        assert (first.status, first.epochs, first.fingerprint) == (second.status, second.epochs, second.fingerprint)
        assert second.metrics == pytest.approx(first.metrics, abs=1e-9)
        assert (second.command, second.error) == (first.command, first.error)
        assert record_of(one) == [
            OmegaConf.create(OmegaConf.to_yaml(each).replace(str(folders[1].parents[2]), str(folders[0].parents[2])))
            for each in record_of(other)
        ]


@pytest.fixture
def started(monkeypatch) -> list[_drivers.Process]:
    """The processes of drivers that a sweep of this process has started."""
    processes = []
    start = _drivers._start
    monkeypatch.setattr(_drivers, "_start", lambda *given: processes.append(start(*given)) or processes[-1])
    return processes


def when_all_have_checkpoints(act: Callable[[], None], number: int) -> threading.Thread:
    """Do something as soon as ``number`` jobs have ended their first epoch."""

    def wait() -> None:
        until = time.monotonic() + 120
        while len(list(FOLDER.glob("*/checkpoints/last.ckpt"))) < number and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


LONG = ["trainer.max_epochs=40", "test=false", "seed=1,2,3,4"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_drivers_and_the_sweep_can_be_gone_on_with(started, capfd, number):
    pressed = []

    def press() -> None:
        pressed.append(time.monotonic())
        os.kill(os.getpid(), number)

    when_all_have_checkpoints(press, 4)
    assert cli.train(words(2, *LONG)) == 130
    assert time.monotonic() - pressed[0] < 10
    # Not killed: each has interrupted its jobs and recorded it.
    assert [process.returncode for process in started] == [130, 130]
    assert statuses() == ["interrupted"] * 4
    assert capfd.readouterr().err == "interrupted; to go on with it, give the same command with sweep.name=night\n"
    assert cli.train(words(2, *LONG)) == 0
    assert capfd.readouterr().out.count(" goes on after epoch ") == 4
    assert statuses() == ["finished"] * 4


@pytest.mark.slow
def test_a_killed_driver_leaves_the_other_to_finish_and_its_jobs_to_be_gone_on_with(started, capfd):
    when_all_have_checkpoints(lambda: started[1].kill(), 4)
    assert cli.train(words(2, *LONG)) == 1
    err = capfd.readouterr().err.splitlines()
    assert err == [f"[{number}/4] failed: driver 2 of 2 was ended by SIGKILL" for number in (3, 4)]
    assert [result.status for result in results().values()] == ["finished", "finished", "failed", "failed"]
    failed = list(results().values())[2]
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ProcessEnded", "driver 2 of 2 was ended by SIGKILL")
    assert failed.seconds > 0
    started.clear()
    assert cli.train(words(2, *LONG)) == 0
    out = capfd.readouterr().out
    assert (out.count(" finished before "), out.count(" goes on after epoch ")) == (2, 2)
    # One part of the work is left: it is done here.
    assert started == []
    assert statuses() == ["finished"] * 4


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_drivers_end_with_a_killed_first_process():
    with subprocess.Popen([sys.executable, TRAIN, *words(2, *LONG)], stdout=subprocess.DEVNULL) as process:
        when_all_have_checkpoints(lambda: None, 4).join()
        drivers = children_of(process.pid)
        assert len(drivers) == 2
        process.kill()
    until = time.monotonic() + 5
    while any(Path("/proc", str(each)).exists() for each in drivers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path("/proc", str(each)).exists() for each in drivers)
    # As after one driver that was killed: nobody could record it, and the jobs can be gone on with.
    assert statuses() == ["running"] * 4


def test_one_run_says_that_the_launcher_is_for_sweeps(capfd):
    assert cli.train(["launcher=fused", *TINY, "trainer.max_epochs=1", "test=false"]) == 0
    assert capfd.readouterr().out.splitlines()[0] == (
        "launcher=fused trains the jobs of a sweep; this is one run: use engine=compiled, or add -m"
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("launcher.drivers=0", "launcher.drivers must be an integer >= 1 or auto, got 0"),
        ("launcher.drivers=many", "launcher.drivers must be an integer >= 1 or auto, got 'many'"),
        (
            "launcher.spread=data",
            "trainer.devices must be 2 or more with launcher.spread=data, which shares out each batch, got 1; use "
            "trainer=ddp or trainer=ddp_cpu, or launcher.spread=members",
        ),
        ("launcher.spread=jobs", "launcher.spread must be one of data, members; got 'jobs'"),
        (
            "hydra.job.chdir=true",
            "hydra.job.chdir must be false with launcher=fused, got true: its jobs share one working directory; "
            "leave it out, or use launcher=basic",
        ),
    ],
)
def test_what_the_launcher_does_not_do_is_refused_in_words(capfd, word, message):
    assert cli.train(words(1, "seed=1,2", word)) == 2
    assert capfd.readouterr().err == f"error: {message}\n"
