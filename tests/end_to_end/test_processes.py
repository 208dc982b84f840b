"""Sweeps whose jobs fail, hang or are killed, one after the other and in processes of their own."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.result import Result, read_result
from hydra_plugins.fulgurite_launcher import _pool

TRAIN = Path(__file__).parents[2] / "train.py"
FOLDER = Path("outputs", "sweeps", "night")
TINY = [
    "trainer=cpu",
    "trainer.max_epochs=1",
    "model=mlp",
    "model.hidden=[8]",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=1000",
    "test=false",
]
LAUNCHERS = {"basic": ["launcher=basic"], "processes": ["launcher=processes", "launcher.num_workers=2"]}
# Where both do the same by the same code, one of them is enough each time.
ONE_ALWAYS = [pytest.param("basic", marks=pytest.mark.slow), "processes"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def faults(monkeypatch) -> Callable[..., list[str]]:
    """Overrides that make jobs fail, by their seeds."""
    monkeypatch.setenv("FAULTS", "1")

    def overrides(**kinds: str) -> list[str]:
        listed = ",".join(f"{seed.removeprefix('s')}:{kind}" for seed, kind in kinds.items())
        node = "+callbacks.fault"
        return [f"{node}._target_=faults.Fault", f"{node}.kinds={{{listed}}}", f"{node}.seed=${{seed}}"]

    return overrides


def words(launcher: str, *more: str) -> list[str]:
    return ["-m", "sweep.name=night", *LAUNCHERS[launcher], *TINY, *more]


def results() -> dict[str, Result]:
    """Records of the jobs by the seed in the name of their folders."""
    return {path.parent.name.split("_")[0]: read_result(path.parent) for path in FOLDER.glob("*/result.json")}


def statuses() -> Counter[str]:
    return Counter(result.status for result in results().values())


def folder_end(seed: int) -> str:
    (path,) = FOLDER.glob(f"seed-{seed}_*")
    return path.name.partition("_")[2]


def log_of(seed: int) -> str:
    (path,) = FOLDER.glob(f"seed-{seed}_*/train.log")
    return path.read_text()


# Those that do not kill the process; how each is told.
IN_TURN = {
    "raises": "RuntimeError: raised on purpose",
    "has_no_memory": "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
    "exits": "SystemExit: 3",
    "exits_without_code": "SystemExit",
    "is_told_of_a_full_disk": "[Errno 28] No space left on device: 'events'",
}
APART = {
    "raises": "RuntimeError: raised on purpose",
    "exits": "SystemExit: 3",
    "is_killed": "its process was ended by SIGKILL",
    "faults": "its process was ended by SIGSEGV",
    "fills_the_disk": "RuntimeError: [enforce fail at inline_container.cc",
}


@pytest.mark.parametrize(
    ("launcher", "kinds"), [pytest.param("basic", IN_TURN, marks=pytest.mark.slow), ("processes", APART)]
)
def test_five_jobs_that_fail_are_named_and_run_again_and_seven_are_done_once(
    faults, monkeypatch, capfd, launcher, kinds
):
    command = words(launcher, "seed=range(12)", *faults(**{f"s{2 * own}": kind for own, kind in enumerate(kinds)}))
    assert cli.train(command) == 1
    out, err = capfd.readouterr()
    assert statuses() == {"finished": 7, "failed": 5}
    assert "5 of 12 jobs did not finish:" in out
    table = out.partition("did not finish:")[2]
    for own, said in enumerate(kinds.values()):
        assert f"seed-{2 * own}_" in table
        assert said in table
        assert f"seed-{2 * own}_{folder_end(2 * own)}/train.log" in table
        assert results()[f"seed-{2 * own}"].attempts == 1
    if launcher == "processes":
        assert "[7/12] failed: its process was ended by SIGSEGV" in err
        assert "Fatal Python error: Segmentation fault" in log_of(6)
        assert "in on_train_epoch_start" in log_of(6)
    else:
        # One line of each, at the moment it happens.
        lines = [line for line in err.splitlines() if "failed: " in line]
        assert [line.split("]")[0] for line in lines] == [f"[{number}/12" for number in (1, 3, 5, 7, 9)]
        assert all(said in line for said, line in zip(kinds.values(), lines, strict=True))
    assert "raised on purpose" in log_of(0)
    assert "in raises" in log_of(0)
    before = {name: result for name, result in results().items() if result.status == "finished"}
    monkeypatch.delenv("FAULTS")
    assert cli.train(command) == 0
    out, _ = capfd.readouterr()
    assert out.count(" finished before (val/acc 0.") == 7
    assert statuses() == {"finished": 12}
    assert {name: result for name, result in results().items() if name in before} == before
    assert Counter(result.attempts for result in results().values()) == {1: 7, 2: 5}


@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_a_job_that_fails_once_makes_up_for_it_in_the_same_sweep_when_it_may_run_twice_more(faults, launcher):
    command = words(launcher, "seed=0,1", *faults(s1="fails_once"))
    assert cli.train([*command, "sweep.retries=2"]) == 0
    assert {name: result.attempts for name, result in results().items()} == {"seed-0": 1, "seed-1": 2}


@pytest.mark.parametrize("launcher", ONE_ALWAYS)
def test_a_job_that_takes_too_long_is_ended_where_it_is(faults, launcher):
    limit = "sweep.job_timeout_s=4"
    assert cli.train(words(launcher, "seed=0,1", limit, *faults(s0="hangs"))) == 1
    error = results()["seed-0"].error
    assert error is not None
    assert (error.type, error.message) == ("JobTimeout", "took longer than sweep.job_timeout_s=4")
    assert results()["seed-1"].status == "finished"
    # Where it was.
    assert "in hangs" in log_of(0)


def test_a_process_that_cannot_end_by_itself_is_ended_and_leaves_where_it_was(faults, monkeypatch, capfd):
    monkeypatch.setattr(_pool, "_TIMEOUT_GRACE_S", 0.5)
    command = words("processes", "seed=0,1", "sweep.job_timeout_s=4", *faults(s0="hangs_in_a_library"))
    assert cli.train(command) == 1
    assert capfd.readouterr().err.splitlines()[-1] == "[1/2] failed: took longer than sweep.job_timeout_s=4"
    assert "in hangs_in_a_library" in log_of(0)
    assert statuses() == {"failed": 1, "finished": 1}


LONG = ["trainer.max_epochs=40", "seed=1,2"]


def once_all_have_checkpoints(number: int, act: Callable[[], None]) -> None:
    """Do something as soon as ``number`` jobs have ended their first epoch, in a thread."""

    def wait() -> None:
        until = time.monotonic() + 120
        while len(list(FOLDER.glob("*/checkpoints/last.ckpt"))) < number and time.monotonic() < until:
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.slow
def test_what_is_no_exception_is_told_in_one_line_and_its_traceback_is_in_the_log(faults, monkeypatch):
    # In a process of its own: jobs write where the fork server of this one has written since it was started.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    command = [sys.executable, TRAIN, *words("processes", "seed=0,1", *faults(s1="raises_no_exception"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, statuses()) == (1, {"finished": 1, "failed": 1})
    assert done.stderr == "[2] failed: GeneratorExit: raised on purpose\n"
    assert "in raises_no_exception" in log_of(1)


@linux
@pytest.mark.parametrize("launcher", ONE_ALWAYS)
def test_a_sweep_that_nobody_reads_any_more_is_interrupted_and_no_job_has_failed(launcher, capfd):
    command = [sys.executable, str(TRAIN), *words(launcher, "seed=range(6)", "trainer.max_epochs=3")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # Of two at a time either may be first.
        assert process.stdout.readline().startswith((b"[1/6]", b"[2/6]"))
        process.stdout.close()
    assert "failed" not in statuses()
    assert len(results()) < 6
    assert "failed" not in capfd.readouterr().err
    assert cli.train(words(launcher, "seed=range(6)", "trainer.max_epochs=3")) == 0
    assert statuses() == {"finished": 6}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_ends_all_jobs_and_the_sweep_can_be_gone_on_with(capfd, number):
    pressed = []

    def press() -> None:
        pressed.append(time.monotonic())
        os.kill(os.getpid(), number)

    once_all_have_checkpoints(2, press)
    assert cli.train(words("processes", *LONG)) == 130
    assert time.monotonic() - pressed[0] < 10
    assert statuses() == {"interrupted": 2}
    err = capfd.readouterr().err
    assert err == "interrupted; to go on with it, give the same command with sweep.name=night\n"
    epochs = {name: result.epochs for name, result in results().items()}
    assert cli.train(words("processes", *LONG)) == 0
    assert statuses() == {"finished": 2}
    assert {(result.epochs, result.attempts) for result in results().values()} == {(40, 1)}
    assert all(epoch < 40 for epoch in epochs.values())


def marked(mark: str) -> list[int]:
    """Processes that were started with ``mark`` in their environment, or by one that was."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes() and "State:\tZ" not in (path / "status").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def assert_all_end(mark: str) -> None:
    until = time.monotonic() + 10
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert marked(mark) == []


TEN = ["seed=range(10)", "trainer.max_epochs=2"]


def python_path() -> str:
    """For a process that needs the classes beside this file."""
    return os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))


def start(mark: str, *more: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "FULGURITE_TEST": mark, "PYTHONPATH": python_path()}
    # A group of its own, as a terminal gives it.
    command = [sys.executable, TRAIN, *words("processes", *more)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


@linux
@pytest.mark.parametrize("moment", [3, *(pytest.param(own, marks=pytest.mark.slow) for own in range(20))])
def test_a_sweep_whose_first_process_is_killed_leaves_none_behind_and_is_done_after_one_more_start(moment):
    mark = f"killed-{os.getpid()}-{moment}"
    with start(mark, *TEN) as process:
        until = time.monotonic() + 120
        while len(list(FOLDER.glob("*/result.json"))) <= moment % 9 and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(random.Random(moment).uniform(0, 0.4))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert_all_end(mark)
    done = {name: result for name, result in results().items() if result.status == "finished"}
    assert cli.train(words("processes", *TEN)) == 0
    assert statuses() == {"finished": 10}
    assert len([path for path in FOLDER.iterdir() if path.is_dir()]) == 10
    assert {result.epochs for result in results().values()} == {2}
    assert {name: result for name, result in results().items() if name in done} == done


@linux
@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_jobs_that_do_not_listen_within_ten_seconds_and_a_second_one_at_once(faults):
    overrides = ["seed=0,1", *faults(s0="is_deaf", s1="is_deaf")]
    for own, presses in enumerate((1, 2)):
        mark = f"pressed-{os.getpid()}-{own}"
        with start(mark, *overrides) as process:
            until = time.monotonic() + 120
            while statuses()["running"] < 2 and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(3)
            pressed = time.monotonic()
            for _ in range(presses):
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.5)
            assert process.wait(15) == 130
        assert time.monotonic() - pressed < (10 if presses == 1 else 3)
        assert_all_end(mark)
        assert statuses() == {"interrupted": 2}


GRID = ["optimizer.lr=1e-3,3e-3"]
SEARCH = ["sweep=tpe", "sweep.num_trials=2", "optimizer.lr=tag(log,interval(1e-4,1e-1))"]


@pytest.mark.slow
@pytest.mark.parametrize("swept", [GRID, SEARCH], ids=["grid", "tpe"])
def test_both_processes_of_a_ddp_job_have_its_rate(swept):
    each = ["trainer=ddp_cpu", "+callbacks.rates._target_=rates.Rates", "+callbacks.rates.folder=${folder}"]
    assert cli.train(words("processes", *swept, *each, "launcher.num_workers=1")) == 0
    folders = list(FOLDER.glob("lr-*"))
    assert len(folders) == 2
    for folder in folders:
        value = folder.name.split("_")[0].removeprefix("lr-")
        assert {path.name: path.read_text() for path in folder.glob("rate-*")} == {"rate-0": value, "rate-1": value}


@pytest.mark.slow
def test_the_launcher_decides_no_number():
    found = []
    for launcher in LAUNCHERS:
        assert cli.train(words(launcher, "seed=1,2", f"sweep.name={launcher}")) == 0
        folders = sorted(Path("outputs", "sweeps", launcher).glob("seed-*"))
        found.append([(folder.name, read_result(folder).metrics) for folder in folders])
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_launcher_that_is_not_ours_leaves_the_same_and_what_failed_runs_again(faults, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", python_path())
    of_sweep = ["-m", "sweep.name=night", "launcher=joblib", "launcher.num_workers=2", *TINY, "seed=range(3)"]
    command = [sys.executable, TRAIN, *of_sweep, *faults(s1="raises")]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert failed.returncode == 1, failed.stderr
    assert "1 of 3 jobs did not finish:" in failed.stdout
    assert statuses() == {"finished": 2, "failed": 1}
    finished = {name: result for name, result in results().items() if result.status == "finished"}
    monkeypatch.delenv("FAULTS")
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(" finished before (val/acc 0.") == 2
    assert {name: result for name, result in results().items() if name in finished} == finished
    assert statuses() == {"finished": 3}


@pytest.mark.slow
def test_a_ddp_job_goes_on_where_it_was_interrupted(capfd):
    once_all_have_checkpoints(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    each = ["trainer=ddp_cpu", "trainer.max_epochs=30", "seed=1", "launcher.num_workers=1"]
    assert cli.train(words("processes", *each)) == 130
    assert statuses() == {"interrupted": 1}
    assert cli.train(words("processes", *each)) == 0
    assert [result.epochs for result in results().values()] == [30]


@pytest.mark.slow
def test_processes_with_different_configs_end_before_the_first_step():
    command = [sys.executable, TRAIN, *TINY, "trainer=ddp_cpu", "seed=${oc.env:LOCAL_RANK,0}", "hydra.run.dir=here"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "error: all processes of a run must have the same config, got " in done.stderr
    assert not Path("here", "checkpoints").exists()
    assert read_result(Path("here")).status == "failed"


@pytest.mark.slow
def test_sweeps_that_start_in_the_same_second_get_folders_of_their_own():
    command = [sys.executable, TRAIN, "-m", *TINY, "seed=1,2", "trainer.limit_train_batches=1"]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(20)]
    assert [process.wait(600) for process in processes] == [0] * 20
    folders = [path for path in Path("outputs", "sweeps").iterdir() if path.is_dir()]
    assert len(folders) == 20
    assert all(len(list(folder.glob("*/result.json"))) == 2 for folder in folders)
