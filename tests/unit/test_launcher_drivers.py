"""Who runs which jobs of a fused sweep, on which device, and what becomes of jobs whose process has ended."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.groups import groups, shares
from fulgurite.result import Failure, Objective, Result, read_result
from fulgurite.resume import abandon
from fulgurite.sweep.task import Sweep
from hydra_plugins.fulgurite_launcher import _devices, _drivers
from hydra_plugins.fulgurite_launcher._devices import Devices


def jobs(*kinds: str) -> list:
    """Configs, those of one letter alike."""
    return [OmegaConf.create({"model": {"kind": kind}, "seed": number}) for number, kind in enumerate(kinds)]


def test_each_driver_takes_an_equal_part_of_each_group():
    assert shares(jobs(*"aaaabbbb"), 64, 2) == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


def test_what_cannot_be_shared_out_evenly_goes_to_those_that_have_least():
    assert shares(jobs(*"aaabbbc"), 64, 2) == [[[0, 1], [3], [6]], [[2], [4, 5]]]
    # Not one driver with four jobs beside one with none.
    assert shares(jobs(*"abcd"), 64, 2) == [[[0], [2]], [[1], [3]]]


def test_the_part_of_a_driver_is_cut_to_max_members():
    assert shares(jobs(*"aaaaaaa"), 3, 2) == [[[0, 1, 2], [3]], [[4, 5, 6]]]


def test_one_driver_has_the_groups_of_the_sweep():
    configs = jobs(*"abaabab")
    assert shares(configs, 2, 1) == [groups(configs, 2)]


def test_more_drivers_than_jobs_leave_some_without_work():
    assert shares(jobs(*"aa"), 64, 3) == [[[0]], [[1]], []]
    assert shares([], 64, 2) == [[], []]


def on(accelerator: str, devices: object = 1) -> list:
    return [OmegaConf.create({"trainer": {"accelerator": accelerator, "devices": devices}})]


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(_devices, "num_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_drivers_on_a_cpu_share_its_cores(cores):
    devices = _devices.of(on("cpu"), 3)
    assert devices == Devices(3, [])
    assert [devices.environment(own, 3)["OMP_NUM_THREADS"] for own in range(3)] == ["2", "2", "2"]
    assert devices.environment(0, 16)["OMP_NUM_THREADS"] == "1"
    assert devices.sharers(3) == 3


def test_a_number_of_threads_that_the_user_has_set_is_kept(cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert Devices(2, []).environment(0, 2)["OMP_NUM_THREADS"] == "7"


def test_each_driver_has_a_gpu_of_those_that_the_user_left_visible(cores, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5a,1")
    devices = _devices.of(on("gpu"), None)
    assert devices == Devices(3, ["3", "GPU-5a", "1"])
    assert [devices.environment(own, 3)["CUDA_VISIBLE_DEVICES"] for own in range(3)] == ["3", "GPU-5a", "1"]
    assert devices.sharers(3) == 1
    # Drivers beyond them share.
    assert devices.environment(4, 5)["CUDA_VISIBLE_DEVICES"] == "GPU-5a"
    assert devices.sharers(5) == 2


def test_all_gpus_are_taken_where_the_user_restricts_nothing(cores, monkeypatch):
    monkeypatch.setattr(_devices, "_NODES", ("/",))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 2)))
    assert _devices.of(on("auto"), None) == Devices(2, ["0", "1"])


@pytest.mark.parametrize("visible", ["", "-1", "-1,0"])
def test_a_user_who_hides_all_gpus_has_none(cores, monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _devices.of(on("auto"), None) == Devices(1, [])


def test_jobs_on_a_cpu_leave_the_gpus_alone(cores, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert _devices.of(on("cpu"), None) == Devices(1, [])
    assert _devices.of(on("cpu"), 2).environment(1, 2)["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize("named", [[1], "1,"])
def test_a_job_that_names_its_gpu_is_refused_where_drivers_do(cores, monkeypatch, named):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(
        ConfigError, match=r"trainer\.devices must be 1 where launcher\.drivers gives .* got .*1.*; CUDA"
    ):
        _devices.of(on("gpu", named), 2)
    assert _devices.of(on("gpu", named), 1) == Devices(1, [])


@pytest.fixture
def drive(monkeypatch):
    """Run Python code in drivers' places, one code for each; what is told of their ends."""
    monkeypatch.setattr(_drivers, "_GRACE_S", 1.0)
    config.register()
    told: list[tuple[int, str]] = []
    processes: list[_drivers.Process] = []

    def run(*codes: str) -> list[tuple[int, str]]:
        left = iter(codes)

        def start(environment, view):
            monkeypatch.setattr(_drivers, "_COMMAND", [sys.executable, "-c", next(left)])
            processes.append(real(environment))
            return processes[-1]

        real = _drivers._start
        monkeypatch.setattr(_drivers, "_start", start)
        shares_of = [SimpleNamespace(number=own) for own in range(len(codes))]
        _drivers.drive(shares_of, [dict(os.environ)] * len(codes), lambda *end: told.append(end))  # type: ignore[arg-type]
        return told

    run.processes = processes  # type: ignore[attr-defined]
    run.told = told  # type: ignore[attr-defined]
    return run


TAKE = "import pickle, sys; pickle.load(sys.stdin.buffer), pickle.load(sys.stdin.buffer)"


def test_the_end_of_each_driver_is_told_when_it_comes(drive):
    told = drive(f"{TAKE}; import time; time.sleep(0.5)", f"{TAKE}; sys.exit(3)", "import os; os.kill(os.getpid(), 9)")
    assert sorted(told[:2]) == [
        (1, "driver 2 of 3 ended with exit code 3"),
        (2, "driver 3 of 3 was ended by SIGKILL"),
    ]
    assert told[2:] == [(0, "driver 1 of 3 ended with exit code 0")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_drivers_are_interrupted_with_the_first_process_and_killed_when_they_do_not_listen(drive, tmp_path, number):
    sleep = "import pathlib, time; pathlib.Path('{}').touch(); time.sleep(60)"
    listens = sleep.format(tmp_path / "0")
    deaf = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {sleep.format(tmp_path / '1')}"

    def press() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        drive(listens, deaf)
    assert [process.returncode for process in drive.processes] == [-signal.SIGINT, -signal.SIGKILL]
    assert drive.told == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def begun(folder: Path, status: str = "running") -> Result:
    folder.mkdir()
    return Result(status, Objective("val/acc", "max"), overrides=["seed=1"], seconds=5.0).write(folder)  # type: ignore[arg-type]


def test_a_job_whose_process_was_ended_is_recorded_as_failed_with_the_time_that_went_into_it(tmp_path):
    begun(tmp_path / "job")
    written = (tmp_path / "job" / "result.json").stat().st_mtime
    os.utime(tmp_path / "job" / "result.json", (written - 100, written - 100))
    result = abandon(tmp_path / "job", ["seed=1"], "driver 2 of 2 was ended by SIGKILL")
    assert (result.status, result.objective.metric) == ("failed", "val/acc")
    assert result.seconds == pytest.approx(105, abs=5)
    assert result.error == Failure("ProcessEnded", "driver 2 of 2 was ended by SIGKILL", "train.log")
    assert read_result(tmp_path / "job") == result


def test_a_job_that_its_process_did_not_begin_is_named_and_counts_as_failed(tmp_path, capsys):
    sweep = Sweep(["seed"], 4)
    assert sweep.collect(2, tmp_path / "job", ["seed=3"], "driver 2 of 2 was ended by SIGKILL") is None
    assert capsys.readouterr().err == "[3/4] failed: driver 2 of 2 was ended by SIGKILL\n"
    assert (sweep.num_failed, read_result(tmp_path / "job").overrides) == (1, ["seed=3"])


def test_a_job_that_failed_before_and_was_not_begun_again_is_named_too(tmp_path, capsys):
    before = begun(tmp_path / "job", "failed")
    sweep = Sweep(["seed"], 4)
    sweep.collect(2, tmp_path / "job", ["seed=3"], "driver 2 of 2 was ended by SIGKILL", before)
    assert capsys.readouterr().err == "[3/4] failed: driver 2 of 2 was ended by SIGKILL\n"
    assert sweep.num_failed == 1


@pytest.mark.parametrize(("status", "num_failed"), [("finished", 0), ("pruned", 0), ("diverged", 1), ("failed", 1)])
def test_a_job_that_its_process_has_ended_is_left_as_it_was_recorded(tmp_path, capsys, status, num_failed):
    result = begun(tmp_path / "job", status)
    result = replace(result, objective=replace(result.objective, value=0.5)).write(tmp_path / "job")
    sweep = Sweep(["seed"], 4)
    value = sweep.collect(0, tmp_path / "job", ["seed=1"], "driver 1 of 2 ended with exit code 0")
    assert value == (None if status == "failed" else 0.5)
    assert (sweep.num_failed, capsys.readouterr().err) == (num_failed, "")
    assert read_result(tmp_path / "job") == result


def test_drivers_that_share_memory_take_their_part_of_what_fits(monkeypatch):
    from fulgurite.fused import run

    taken = []
    monkeypatch.setattr(run, "num_that_fit", lambda loop: 9)
    monkeypatch.setattr(run, "_run_parts", lambda parts, solo_s, settings: taken.append([len(part) for part in parts]))
    members = [SimpleNamespace(name=str(own), request=object()) for own in range(10)]
    for sharers in (1, 2, 20):
        run._run_group(members, run.Settings(tell=lambda line: None, probe=False, sharers=sharers))  # type: ignore[arg-type]
    assert taken == [[5, 5], [3, 3, 4], [1] * 10]


def test_a_program_that_goes_on_knows_where_it_was_pruned():
    from hydra_plugins.fulgurite_launcher._core import _left

    ended = {
        3: Result("pruned", Objective("val/acc", "max"), epochs=1),
        5: Result("pruned", Objective("val/acc", "max"), epochs=3),
        6: Result("finished", Objective("val/acc", "max"), epochs=9),
        8: Result("pruned", Objective("val/acc", "max"), epochs=27),
    }
    left = _left([2, 3, 4, 5, 6], ended)
    assert (left.jobs, left.rungs) == ([2, 4], {1, 3})
