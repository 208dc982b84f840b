"""`launcher.spread=data`: two processes train each batch of all jobs, and nobody is left waiting."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fulgurite import cli
from fulgurite.result import Result, read_result
from fulgurite.training.checkpoint import load_checkpoint
from hydra_plugins.fulgurite_launcher import _drivers

TRAIN = Path(__file__).parents[2] / "train.py"
TINY = [
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=1000",
    "trainer.precision=64-true",
    "trainer.max_epochs=1",
    "trainer.log_every_n_steps=3",
]
MLP = ["model=mlp", "model.hidden=[6]"]
FOLDER = Path("outputs", "sweeps", "night")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def started(monkeypatch) -> list[_drivers.Process]:
    """The processes that a sweep of this process has started."""
    processes = []
    start = _drivers._start
    monkeypatch.setattr(_drivers, "_start", lambda *given: processes.append(start(*given)) or processes[-1])
    return processes


def sweep(*more: str) -> int:
    launcher = ["launcher=fused", "launcher.spread=data", "launcher.drivers=auto", "launcher.probe=false"]
    return cli.train(["-m", *launcher, "trainer=ddp_cpu", "sweep.name=night", *TINY, *more])


def alone(*words: str, trainer: str = "ddp_cpu") -> Path:
    """The folder of a run by itself, in processes of its own."""
    folder = Path("outputs", f"alone_{len(list(Path('outputs').glob('alone_*')))}")
    command = [sys.executable, TRAIN, f"trainer={trainer}", f"folder={folder}", *TINY, *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    return folder


def job(*parts: str) -> Path:
    """The folder of the one job of the sweep whose name has all ``parts``."""
    (folder,) = (each for each in FOLDER.iterdir() if each.is_dir() and all(part in each.name for part in parts))
    return folder


def results() -> dict[str, Result]:
    return {path.parent.name: read_result(path.parent) for path in sorted(FOLDER.glob("*/result.json"))}


def statuses() -> list[str]:
    return [result.status for result in results().values()]


def rows(folder: Path) -> list[dict[str, float]]:
    names, *lines = (line.split(",") for line in (folder / "metrics.csv").read_text().splitlines())
    return [{name: float(value) for name, value in zip(names, line, strict=True) if value} for line in lines]


def tensors(value: object, name: str = "") -> dict[str, torch.Tensor]:
    """All tensors in a checkpoint's part, by where they are."""
    if isinstance(value, torch.Tensor):
        return {name: value.double()}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {where: found for key, each in pairs for where, found in tensors(each, f"{name}.{key}").items()}


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("state_dict", "optimizer_states"):
        found, expected = (tensors(load_checkpoint(each / "checkpoints" / "last.ckpt")[name]) for each in (one, other))
        assert found.keys() == expected.keys()
        for where, tensor in expected.items():
            torch.testing.assert_close(found[where], tensor, rtol=0, atol=1e-10, msg=where)
    assert [each.keys() for each in rows(one)] == [each.keys() for each in rows(other)]
    for found, expected in zip(rows(one), rows(other), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
    found, expected = read_result(one), read_result(other)
    assert (found.status, found.epochs, found.fingerprint) == (expected.status, expected.epochs, expected.fingerprint)
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-6)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_whole_batches(started, capfd):
    assert sweep(*MLP, "optimizer.lr=1e-3,1e-2", "seed=1") == 0
    assert [process.returncode for process in started] == [0, 0]
    out = capfd.readouterr().out
    assert out.count("[1/2] lr-0.001") == 1
    assert "jobs 1 to 2 (2) train as one: a step takes " in out
    # Without dropout and batch norm, the mean of the gradients of two halves is that of the whole.
    words = [*MLP, "optimizer.lr=1e-2", "seed=1", *TINY, "trainer=cpu", "folder=alone"]
    assert cli.train(words) == 0
    found, expected = (load_checkpoint(each / "checkpoints" / "last.ckpt") for each in (job("lr-0.01"), Path("alone")))
    for where, tensor in tensors(expected["state_dict"]).items():
        torch.testing.assert_close(tensors(found["state_dict"])[where], tensor, rtol=0, atol=1e-10, msg=where)
    assert read_result(job("lr-0.01")).metrics == pytest.approx(read_result(Path("alone")).metrics, abs=1e-6)
    found, expected = ([row.get("grad_norm") for row in rows(each)] for each in (job("lr-0.01"), Path("alone")))
    assert found == [None if norm is None else pytest.approx(norm, rel=1e-9) for norm in expected]
    # Steps 3, 6 and 9.
    assert sum(norm is not None for norm in expected) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [*MLP, "model.dropout=0.3", "trainer.accumulate_grad_batches=3", "trainer.gradient_clip_val=0.5"],
        ["model=cnn", "model.channels=[4]", "augmentation=affine", "optimizer=sgd", "scheduler=cosine"],
        [
            *MLP,
            "model.norm=batch",
            "optimizer=sgd",
            "data.drop_last=false",
            "data.train_subset=510",
            "trainer.val_check_interval=4",
        ],
    ],
    ids=["mlp", "cnn", "uneven"],
)
def test_each_member_is_its_run_on_two_devices(words, capfd):
    assert sweep(*words, "optimizer.lr=1e-3,1e-2", "seed=1,2") == 0
    assert "jobs 1 to 4 (4) train as one" in capfd.readouterr().out
    for lr, seed in (("1e-3", 1), ("1e-2", 2)):
        assert_same_run(job(f"lr-{float(lr)}_", f"seed-{seed}"), alone(*words, f"optimizer.lr={lr}", f"seed={seed}"))


@pytest.mark.slow
def test_what_cannot_be_fused_and_what_cannot_run_leaves_the_others_in_step(started, capfd):
    words = ["trainer.detect_anomaly=false,true", "optimizer.lr=1e-2,1e-3,-1.0"]
    assert sweep(*MLP, *words, "launcher.probe=true", "launcher.compile=false") == 1
    out, err = capfd.readouterr()
    assert [process.returncode for process in started] == [0, 0]
    assert out.count("trains alone: trainer.detect_anomaly is on") == 2
    assert err.splitlines() == [
        f"[{number}/6] failed: optimizer.lr must be a number > 0, got -1.0" for number in (3, 6)
    ]
    assert statuses().count("finished") == 4
    assert_same_run(job("anomaly-True", "lr-0.01_"), alone(*MLP, "trainer.detect_anomaly=true", "optimizer.lr=1e-2"))


@pytest.mark.slow
def test_members_stop_diverge_and_are_pruned_in_all_ranks(started, capfd):
    words = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1"]
    assert sweep(*MLP, *words, "optimizer=sgd", "optimizer.lr=1e-2,1e-1,1e200", "trainer.max_epochs=5") == 1
    assert [process.returncode for process in started] == [0, 0]
    by_lr = {name.split("_")[0]: (result.status, result.epochs) for name, result in results().items()}
    assert by_lr == {"lr-0.01": ("finished", 2), "lr-0.1": ("finished", 2), "lr-1e+200": ("diverged", 1)}
    assert sweep(*MLP, "launcher.halving=2", "seed=range(4)", "trainer.max_epochs=3", "sweep.name=halved") == 0
    assert "2 of 4 jobs are pruned" in capfd.readouterr().out


LONG = [*MLP, "trainer.max_epochs=40", "test=false", "seed=1,2"]


def when_all_have_checkpoints(act: Callable[[], None], number: int = 2) -> None:
    """Do something as soon as ``number`` jobs have ended their first epoch."""

    folder = FOLDER.absolute()

    def wait() -> None:
        until = time.monotonic() + 120
        while len(list(folder.glob("*/checkpoints/last.ckpt"))) < number and time.monotonic() < until:
            time.sleep(0.01)
        if len(list(folder.glob("*/checkpoints/last.ckpt"))) >= number:
            act()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_other_and_the_sweep_can_be_gone_on_with(started, capfd, rank):
    killed = []

    def kill() -> None:
        killed.append(time.monotonic())
        started[rank].kill()

    when_all_have_checkpoints(kill)
    assert sweep(*LONG) == 1
    assert time.monotonic() - killed[0] < 10
    assert all(process.poll() is not None for process in started)
    err = capfd.readouterr().err.splitlines()
    assert err == [f"[{number}/2] failed: driver {rank + 1} of 2 was ended by SIGKILL" for number in (1, 2)]
    assert statuses() == ["failed", "failed"]
    assert sweep(*LONG) == 0
    assert capfd.readouterr().out.count(" goes on after epoch ") == 2
    assert statuses() == ["finished", "finished"]
    assert_same_run(job("seed-1"), alone(*LONG[:-1], "seed=1"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_both_ranks_and_is_recorded(started, capfd, number):
    pressed = []

    def press() -> None:
        pressed.append(time.monotonic())
        os.kill(os.getpid(), number)

    when_all_have_checkpoints(press)
    assert sweep(*LONG) == 130
    assert time.monotonic() - pressed[0] < 10
    assert started[0].returncode == 130
    assert statuses() == ["interrupted", "interrupted"]
    assert capfd.readouterr().err == "interrupted; to go on with it, give the same command with sweep.name=night\n"


ODD = """
    import os, time
    import pytorch_lightning as pl

    class Odd(pl.Callback):
        def __init__(self, what, rank):
            self.what, self.rank = what, rank

        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.global_rank == self.rank and trainer.current_epoch == 1:
                if self.what == "raise":
                    raise OSError("no space left")
                if self.what == "exit":
                    os._exit(0)
                trainer.should_stop = True
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["raise", "exit"])
@pytest.mark.parametrize("rank", [0, 1])
def test_what_befalls_one_rank_alone_ends_both(started, capfd, monkeypatch, tmp_path, what, rank):
    (tmp_path / "odd.py").write_text(textwrap.dedent(ODD))
    monkeypatch.syspath_prepend(tmp_path)
    odd = ["+callbacks.odd._target_=odd.Odd", f"+callbacks.odd.what={what}", f"+callbacks.odd.rank={rank}"]
    began = time.monotonic()
    assert sweep(*LONG, *odd) == 1
    assert time.monotonic() - began < 100
    assert all(process.poll() is not None for process in started)
    err = capfd.readouterr().err
    if what == "raise":
        assert f"driver {rank + 1} of 2 failed, and the others did not: OSError: no space left" in err
    assert statuses() == ["failed", "failed"]


HOOKED = """
    import pytorch_lightning as pl

    class Scaled:
        \"\"\"A training step that reads an attribute of its model when a batch is small.\"\"\"

        def __init__(self, model):
            self.model, self.step = model, model.training_step

        def __eq__(self, other):
            return isinstance(other, Scaled)

        __hash__ = None

        def __call__(self, batch, batch_idx):
            out = self.step(batch, batch_idx)
            return {**out, "loss": out["loss"] * (1 + self.model.best)} if len(batch[0]) == 5 else out

    class Hooked(pl.Callback):
        def __init__(self, what, rank):
            self.what, self.rank = what, rank

        def on_fit_start(self, trainer, pl_module):
            pl_module.best, pl_module.seen = 0.0, []
            if self.what == "best":
                pl_module.training_step = Scaled(pl_module)

        def on_validation_end(self, trainer, pl_module):
            if trainer.global_rank == self.rank:
                pl_module.best = 0.5
                if self.what == "seen":
                    pl_module.seen.append(0.5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("what", ["best", "seen"])
def test_what_a_hook_changes_in_one_rank_alone_takes_no_rank_another_way(
    started, capfd, monkeypatch, tmp_path, what, rank
):
    (tmp_path / "hooked.py").write_text(textwrap.dedent(HOOKED))
    monkeypatch.syspath_prepend(tmp_path)
    words = ["data.drop_last=false", "data.train_subset=510", "trainer.val_check_interval=4", "test=false"]
    hooked = ["+callbacks.hooked._target_=hooked.Hooked", f"+callbacks.hooked.what={what}"]
    assert sweep(*MLP, *words, *hooked, f"+callbacks.hooked.rank={rank}", "seed=1,2,3") == 0
    assert [process.returncode for process in started] == [0, 0]
    assert statuses() == ["finished"] * 3
    out = capfd.readouterr().out
    if what == "seen":
        # The first alone has tried its validation.
        assert "job 1 trains alone: no other job is like it" in out
        assert "jobs 2 to 3 (2) train as one" in out
    else:
        reason = "another process cannot batch its part of the steps"
        reason = reason if rank else "its training step reads what hooks have changed"
        assert "jobs 1 to 3 (3) train as one" in out
        assert f"jobs 1 to 3 (3) go on alone: {reason}" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["launcher.drivers=1", "trainer=ddp_cpu"],
            "launcher.drivers must be auto, or 2 as trainer.devices is, with launcher.spread=data; got 1",
        ),
        (
            ["launcher.drivers=2", "trainer=ddp_cpu", "trainer.devices=2,3"],
            "trainer.devices and trainer.accelerator must be the same in all jobs with launcher.spread=data, got 2 cpu "
            "and 3 cpu",
        ),
        (
            ["launcher.drivers=auto", "trainer=cpu"],
            "trainer.devices must be 2 or more with launcher.spread=data, which shares out each batch, got 1; use "
            "trainer=ddp or trainer=ddp_cpu, or launcher.spread=members",
        ),
        (
            ["launcher.drivers=2", "trainer=ddp_cpu", "trainer.strategy=fsdp"],
            "trainer.strategy must be one of auto, ddp, ddp_find_unused_parameters_false, "
            "ddp_find_unused_parameters_true with launcher.spread=data, got fsdp",
        ),
    ],
)
def test_jobs_that_are_no_two_processes_work_are_refused(capfd, words, message):
    assert cli.train(["-m", "launcher=fused", "launcher.spread=data", *words, *TINY, *MLP, "seed=1,2"]) == 2
    assert capfd.readouterr().err == f"error: {message}\n"
