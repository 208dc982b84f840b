"""Which GPUs and how many threads the jobs of ``launcher=processes`` have, and how many run at a time."""

import pytest
from omegaconf import OmegaConf

from fulgurite import cli
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import ConfigError
from hydra_plugins.fulgurite_launcher import _slots
from hydra_plugins.fulgurite_launcher.processes import ProcessesLauncher


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Eight cores, four GPUs."""
    monkeypatch.setattr(_slots, "num_cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def config(accelerator: str = "gpu", devices: int | str = 1):
    return OmegaConf.create({"trainer": {"accelerator": accelerator, "devices": devices}})


def slots(cfg, num_workers=None, gpus_per_job=None, most=None):
    return _slots.slots_of(cfg, num_workers, gpus_per_job, most)


def test_there_is_a_slot_for_each_gpu():
    found = slots(config())
    assert (found.number, found.threads) == (4, 2)
    assert [found.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "1", "2", "5"]


def test_a_job_sees_as_many_gpus_as_it_asks_for():
    found = slots(config(devices=2))
    assert (found.number, found.threads) == (2, 2)
    assert [found.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0,1", "2,5"]
    assert found.num_processes(config(devices=2)) == 2


def test_a_job_that_takes_all_gpus_takes_those_of_its_slot():
    found = slots(config(devices=-1), gpus_per_job=2)
    assert (found.number, found.num_processes(config(devices=-1))) == (2, 2)
    assert slots(config(devices=-1)).number == 1


def test_gpus_that_are_left_over_stay_idle():
    found = slots(config(), gpus_per_job=3)
    assert (found.number, found.gpus) == (1, [["0", "1", "2"]])


def test_more_workers_than_gpus_share_them():
    found = slots(config(), num_workers=6)
    assert (found.number, found.threads) == (6, 1)
    assert [found.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(6)] == ["0", "1", "2", "5", "0", "1"]


def test_on_a_cpu_there_is_a_slot_for_each_core():
    found = slots(config("cpu"))
    assert (found.number, found.threads) == (8, 1)
    assert found.environment(0) == {"OMP_NUM_THREADS": "1"}


def test_cores_are_divided_among_the_processes_of_all_jobs():
    assert slots(config("cpu", 2)).number == 4
    found = slots(config("cpu", 2), num_workers=2)
    assert (found.number, found.threads) == (2, 2)


def test_a_number_of_threads_that_is_set_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    found = slots(config("cpu"))
    assert (found.number, found.threads, found.environment(0)) == (2, None, {})


def test_there_are_no_more_slots_than_jobs_and_one_job_has_all_cores():
    assert slots(config("cpu"), most=3).number == 3
    found = slots(config("cpu"), most=1)
    assert (found.number, found.threads) == (1, None)


def test_gpus_that_are_not_there_are_refused():
    with pytest.raises(ConfigError, match="launcher.gpus_per_job=8 needs 8 GPUs, and 4 can be used here; leave it out"):
        slots(config(), gpus_per_job=8)
    with pytest.raises(ConfigError, match="launcher.gpus_per_job=1 needs 1 GPUs, and 0 can be used here"):
        slots(config("cpu"), gpus_per_job=1)


@pytest.mark.parametrize("name", ["num_workers", "gpus_per_job"])
def test_a_value_that_is_no_number_is_refused(name):
    with pytest.raises(ConfigError, match=f"launcher.{name} must be an integer >= 1, got 0"):
        ProcessesLauncher(**{"num_workers": None, "gpus_per_job": None, name: 0})


def test_several_devices_are_refused_with_the_remedy_but_where_each_job_has_a_process(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.train(["-m", "trainer=ddp_cpu", "seed=1,2"]) == 2
    assert "use launcher=processes, or run each job by itself, without -m" in capsys.readouterr().err
    cfg = OmegaConf.create({"launcher": {"name": "processes"}, "trainer": {"accelerator": "cpu", "devices": 2}})
    refuse_many_devices(cfg)
