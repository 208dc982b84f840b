"""How long epochs take, and where that is shown."""

import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fulgurite import resume
from fulgurite.build import Run, build
from fulgurite.callbacks import throughput
from fulgurite.log import log_to

# 12 steps an epoch.
SMALL = (
    "data=quadratic",
    "data.num_points=384",
    "data.batch_size=32",
    "data.passes_per_epoch=1",
    "model=mlp",
    "model.hidden=[8]",
    "trainer=cpu",
    "callbacks.progress=null",
)
TAGS = {"speed/epoch_s", "speed/samples_per_s"}


class Passes(pl.Callback):
    """Lets time pass: seconds in each training batch, a hundred times as many in each validation."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.clock[0] += self.seconds

    def on_validation_epoch_end(self, trainer, pl_module):
        self.clock[0] += 100 * self.seconds


class SaveAt(pl.Callback):
    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that a run sees, which stands still by itself."""
    now = [1e6]
    stopped = type("Time", (), {"perf_counter": staticmethod(lambda: now[0])})
    monkeypatch.setattr(throughput, "time", stopped)
    return now


def trained(cfg, *callbacks: pl.Callback) -> Run:
    run = build(cfg)
    run.trainer.callbacks.extend(callbacks)
    run.folder.mkdir(exist_ok=True)
    with log_to(run.folder):
        run.trainer.fit(run.model, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)
    return run


def drawn(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw of the speed: places and numbers of each tag."""
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("speed/")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def test_each_epoch_is_timed_without_its_validation(compose_config, clock):
    run = trained(compose_config(*SMALL, "trainer.max_epochs=3"), Passes(clock, 0.5))
    # 12 batches of 32 samples, at half a second.
    assert drawn(run.folder) == {
        "speed/epoch_s": [(1, 6.0), (2, 6.0), (3, 6.0)],
        "speed/samples_per_s": [(1, 64.0), (2, 64.0), (3, 64.0)],
    }
    assert (run.throughput.seconds, run.throughput.samples, run.throughput.samples_per_s) == (18.0, 1152, 64.0)


def test_a_validation_within_an_epoch_is_left_out_too(compose_config, clock):
    run = trained(compose_config(*SMALL, "trainer.max_epochs=1", "trainer.val_check_interval=4"), Passes(clock, 0.5))
    assert drawn(run.folder)["speed/epoch_s"] == [(1, 6.0)]


def test_an_epoch_that_ends_early_counts_what_it_made(compose_config, clock):
    run = trained(compose_config(*SMALL, "trainer.max_epochs=2", "trainer.max_steps=15"), Passes(clock, 0.5))
    assert drawn(run.folder) == {
        "speed/epoch_s": [(1, 6.0), (2, 1.5)],
        "speed/samples_per_s": [(1, 64.0), (2, 64.0)],
    }


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_an_epoch_that_is_gone_on_with_counts_what_is_left_of_it(compose_config, clock, tmp_path):
    path = tmp_path / "in.ckpt"
    begun = compose_config(*SMALL, "trainer.max_epochs=2", folder=tmp_path / "begun")
    trained(begun, Passes(clock, 0.5), SaveAt(path, 16))
    rest = compose_config(*SMALL, "trainer.max_epochs=2", f"checkpoint={path}", folder=tmp_path / "rest")
    run = trained(rest, Passes(clock, 0.25))
    assert drawn(run.folder) == {"speed/epoch_s": [(2, 2.0)], "speed/samples_per_s": [(2, 128.0)]}


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_that_goes_on_after_an_epoch_does_not_time_it_again(compose_config, clock, tmp_path):
    begun = trained(compose_config(*SMALL, "trainer.max_epochs=1", folder=tmp_path / "begun"), Passes(clock, 0.5))
    path = begun.folder / "checkpoints" / "last.ckpt"
    rest = compose_config(*SMALL, "trainer.max_epochs=2", f"checkpoint={path}", folder=tmp_path / "rest")
    run = trained(rest, Passes(clock, 0.25))
    assert drawn(run.folder) == {"speed/epoch_s": [(2, 3.0)], "speed/samples_per_s": [(2, 128.0)]}


def test_times_are_not_in_the_csv_whose_bytes_are_those_of_any_equal_run(compose_config, tmp_path):
    runs = [trained(compose_config(*SMALL, "trainer.max_epochs=1", folder=tmp_path / name)) for name in "ab"]
    one, other = ((run.folder / "metrics.csv").read_bytes() for run in runs)
    assert one == other
    assert b"speed" not in one
    assert all(drawn(run.folder).keys() == TAGS for run in runs)


def test_an_epoch_that_a_killed_run_makes_again_is_drawn_once(compose_config, clock, tmp_path):
    folder = tmp_path / "run"
    path, kept = folder / "checkpoints" / "last.ckpt", tmp_path / "kept.ckpt"
    trained(compose_config(*SMALL, "trainer.max_epochs=1", folder=folder), Passes(clock, 0.5))
    shutil.copy2(path, kept)
    going_on = compose_config(*SMALL, "trainer.max_epochs=2", f"checkpoint={path}", folder=folder)
    trained(going_on, Passes(clock, 0.5))
    # As if it had been killed before the second checkpoint was written.
    shutil.copy2(kept, path)
    resume.prepare(folder, resume.find(folder).begun)
    trained(going_on, Passes(clock, 0.25))
    assert drawn(folder)["speed/epoch_s"] == [(1, 6.0), (2, 3.0)]
