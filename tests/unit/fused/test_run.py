"""What happens to members of a fused sweep: they fail, stop, diverge, go on alone, are resumed, are interrupted.

Whatever it is, the others' numbers stay those of their solo runs.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from fused_runs import SMALL, Together, difference, some_slow, train_alone, train_together
from omegaconf import DictConfig, OmegaConf

from fulgurite.build import build
from fulgurite.fit import fit
from fulgurite.fused import run as running
from fulgurite.fused import together as training_together
from fulgurite.fused.group import Group
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.run import run_together
from fulgurite.fused.settings import Settings
from fulgurite.log import log_to
from fulgurite.training.checkpoint import load_checkpoint

MLP = (*SMALL, "model=mlp", "model.hidden=[6]", "model.dropout=0.1", "trainer.precision=64-true")
# The loss falls, so the highest is the first.
BEST_IN_MID_EPOCH = ("trainer.val_check_interval=5", "objective.metric=val/loss", "objective.mode=max")
pytestmark = pytest.mark.usefixtures("no_hanging")


class RaisesAtEpochEnd(pl.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        raise ValueError("no more epochs")


class LooksAtEachBatch(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pass


class StopsAfter(pl.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class SleepsBetweenEpochs(pl.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        time.sleep(trainer.current_epoch)


class PressesCtrlC(pl.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def no_hanging():
    """End a test that waits for a thread for ever."""

    def give_up(*_):
        raise TimeoutError("a member hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def jobs(compose_config, tmp_path) -> Callable[..., list[DictConfig]]:
    """Configs of jobs in folders of their own."""

    def composed(kind: str, *members: Sequence[str], case: Sequence[str] = ()) -> list[DictConfig]:
        alike = compose_config(*MLP, *case)
        configs = []
        for number, member in enumerate(members):
            # To compose takes as long as to train one of these.
            is_plain = all("." in option or option.startswith(("seed=", "checkpoint=")) for option in member)
            cfg = alike.copy() if is_plain else compose_config(*MLP, *case, *member)
            own = [*(member if is_plain else ()), f"folder={tmp_path / kind / str(number)}"]
            OmegaConf.set_struct(cfg, False)
            cfg.merge_with_dotlist([option.lstrip("+") for option in own])
            configs.append(cfg)
        return configs

    return composed


def callback(name: str, **arguments: int) -> tuple[str, ...]:
    given = [f"+callbacks.more.{key}={value}" for key, value in arguments.items()]
    return (f"+callbacks.more._target_={__name__}.{name}", *given)


def last_checkpoint(cfg: DictConfig) -> dict:
    return load_checkpoint(Path(cfg.folder) / "checkpoints" / "last.ckpt")


def assert_as_alone(together: Together, configs: Sequence[DictConfig], numbers: Sequence[int]) -> None:
    """Compare what jobs have written with what the same jobs write alone."""
    assert not together.errors
    for number in numbers:
        cfg = configs[number].copy()
        cfg.folder = f"{cfg.folder}-alone"
        solo, expected = train_alone(cfg)
        # A member's own tensors go on after its end as a row that nobody looks at; its checkpoint does not.
        assert checkpoint_difference(last_checkpoint(configs[number]), last_checkpoint(cfg)) < 1e-10
        outcome = together.outcomes[number]
        assert outcome.epochs == expected.epochs
        assert outcome.diverged == expected.diverged
        assert outcome.metrics == pytest.approx(expected.metrics, rel=1e-5, abs=1e-6, nan_ok=True)
        assert together.runs[number].trainer.global_step == solo.trainer.global_step
        assert together.runs[number].trainer.fit_loop.state_dict() == solo.trainer.fit_loop.state_dict()


def checkpoint_difference(one: dict, other: dict) -> float:
    """Largest difference of weights and optimiser states, relative to those over 1; no numbers must be so in both."""
    assert one["global_step"] == other["global_step"]
    states = [each["optimizer_states"][0]["state"] for each in (one, other)]
    pairs = [(value, other["state_dict"][name]) for name, value in one["state_dict"].items()]
    for key, state in states[0].items():
        pairs += [(state[name], states[1][key][name]) for name in state if torch.is_tensor(state[name])]
    for a, b in pairs:
        torch.testing.assert_close(a.isfinite(), b.isfinite())
    return max(float(((a - b) / b.abs().clamp(1)).nan_to_num(0, 0, 0).abs().max()) for a, b in pairs if a.numel())


THREE = [("seed=1", "optimizer.lr=0.003"), ("seed=2", "optimizer.lr=0.01"), ("seed=3", "optimizer.lr=0.001")]


def test_a_member_that_raises_leaves_the_others_at_the_numbers_of_their_solo_runs(jobs):
    members = [THREE[0], (*THREE[1], *callback("RaisesAtEpochEnd")), THREE[2]]
    configs = jobs("fused", *members, case=("trainer.max_epochs=2",))
    together = train_together(configs)
    assert [str(error) for error in together.errors] == ["no more epochs"]
    assert len(together.outcomes) == 2
    for number, outcome in zip((0, 2), together.outcomes, strict=True):
        (cfg,) = jobs(f"alone {number}", members[number], case=("trainer.max_epochs=2",))
        solo, expected = train_alone(cfg)
        assert difference(together.runs[number], solo) < 1e-10
        assert outcome.metrics == pytest.approx(expected.metrics, rel=1e-5, abs=1e-6)


def test_members_that_stop_early_leave_and_the_rest_ends_as_alone(jobs):
    stops = [callback("StopsAfter", epochs=epochs) for epochs in (1, 4, 3, 4, 2)]
    members = [(f"seed={number}", *stop) for number, stop in enumerate(stops)]
    configs = jobs("fused", *members, case=("trainer.max_epochs=4", "scheduler=cosine"))
    together = train_together(configs)
    assert_as_alone(together, configs, (0, 2, 3))
    assert [outcome.epochs for outcome in together.outcomes] == [1, 4, 3, 4, 2]


def test_the_rest_is_augmented_as_alone_when_a_member_has_ended(jobs):
    members = [("seed=1", *callback("StopsAfter", epochs=1)), ("seed=2",), ("seed=3",)]
    configs = jobs("fused", *members, case=("trainer.max_epochs=2", "augmentation=affine"))
    together = train_together(configs)
    assert [outcome.epochs for outcome in together.outcomes] == [1, 2, 2]
    assert_as_alone(together, configs, (1, 2))


def test_early_stopping_stops_a_member_when_it_would_alone(jobs):
    members = [("seed=1", "optimizer.lr=1e-12"), ("seed=2",), ("seed=3",)]
    case = ("callbacks=early_stopping", "callbacks.early_stopping.min_delta=0.001")
    options = ("callbacks.early_stopping.patience=1", "trainer.max_epochs=4", "objective.metric=val/loss")
    configs = jobs("fused", *members, case=(*case, *options, "objective.mode=min"))
    together = train_together(configs)
    assert together.outcomes[0].epochs < 4
    assert_as_alone(together, configs, range(3))


def test_a_member_that_diverges_leaves_and_the_rest_ends_as_alone(jobs):
    members = [("optimizer.lr=1e160", "seed=1"), ("optimizer.lr=0.1", "seed=2"), ("optimizer.lr=0.05", "seed=3")]
    case = ("optimizer=sgd", "model.norm=none", "trainer.max_epochs=3")
    configs = jobs("fused", *members, case=case)
    together = train_together(configs)
    assert [outcome.diverged for outcome in together.outcomes] == [True, False, False]
    assert together.outcomes[0].epochs < 3
    assert_as_alone(together, configs, range(3))


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """Sizes of the groups that were formed."""
    sizes: list[int] = []

    class Counted(Group):
        def __init__(self, loops):
            super().__init__(loops)
            sizes.append(len(loops))

    monkeypatch.setattr(training_together, "Group", Counted)
    return sizes


def test_what_another_member_does_between_steps_is_not_in_a_members_seconds(jobs):
    configs = jobs("fused", ("seed=1", *callback("SleepsBetweenEpochs")), ("seed=2",), case=("trainer.max_epochs=2",))
    runs = train_together(configs).runs
    assert all(run.throughput.samples == 1000 for run in runs)
    assert 0 < runs[1].throughput.seconds < 1


def test_a_group_is_formed_anew_when_half_have_left_and_the_last_goes_on_alone(jobs, made):
    members = [(f"seed={n}", f"trainer.max_epochs={epochs}") for n, epochs in enumerate((1, 3, 1, 2, 1))]
    configs = jobs("fused", *members)
    together = train_together(configs)
    assert made == [5, 2]
    assert_as_alone(together, configs, (0, 1, 3))


def test_those_that_are_left_go_on_alone_when_memory_has_gone_meanwhile(jobs, monkeypatch):
    class SecondIsTooLarge(Group):
        def __init__(self, loops):
            super().__init__(loops)
            if len(loops) == 2:
                torch.empty(2**60)

    monkeypatch.setattr(training_together, "Group", SecondIsTooLarge)
    members = [(f"seed={n}", f"trainer.max_epochs={epochs}") for n, epochs in enumerate((1, 3, 1, 2, 1))]
    configs = jobs("fused", *members)
    together = train_together(configs)
    assert together.lines[1:] == ["jobs job 1 to job 3 (2) go on alone: their program does not fit into memory"]
    assert_as_alone(together, configs, (0, 1, 3))


FIVE = [(f"seed={seed}",) for seed in range(5)]


def test_more_members_than_fit_into_memory_train_in_parts(jobs, made, monkeypatch):
    monkeypatch.setattr(running, "num_that_fit", lambda loop: 3)
    configs = jobs("fused", *FIVE)
    together = train_together(configs)
    assert made == [2, 3]
    assert together.lines[0] == "jobs job 0 to job 4 (5) are more than fit into memory; 3 are taken at a time"
    assert_as_alone(together, configs, (0, 4))


def test_a_program_that_does_not_fit_into_memory_is_halved_until_it_does(jobs, monkeypatch):
    class Large(Group):
        def __init__(self, loops):
            super().__init__(loops)
            if len(loops) > 2:
                torch.empty(2**60)

    monkeypatch.setattr(training_together, "Group", Large)
    configs = jobs("fused", *FIVE)
    together = train_together(configs)
    assert together.lines[0] == "jobs job 0 to job 4 (5) do not fit into memory; half of them are taken at a time"
    assert sum("train as one" in line for line in together.lines) == 2
    assert_as_alone(together, configs, (0, 2, 4))


def test_different_numbers_of_steps_end_each_member_at_its_own(jobs):
    members = [("seed=1", "trainer.max_steps=27"), ("seed=2", "trainer.max_steps=33"), ("seed=3",)]
    configs = jobs("fused", *members, case=("trainer.max_epochs=2",))
    together = train_together(configs)
    assert [run.trainer.global_step for run in together.runs] == [27, 33, 40]
    assert_as_alone(together, configs, range(3))


@pytest.mark.parametrize(
    "others",
    some_slow(
        [("model.hidden=[5]", "model.hidden=[7]"), ("model.activation=tanh", "model.activation=relu")],
        ("model.activation=tanh", "model.activation=relu"),
    ),
)
def test_jobs_of_different_structure_form_groups_of_their_own(jobs, made, others):
    configs = jobs("fused", *[(other, f"seed={seed}") for seed in (1, 2) for other in others])
    together = train_together(configs)
    assert made == [2, 2]
    assert sum("train as one" in line for line in together.lines) == 2
    assert_as_alone(together, configs, (1,))


ALONE = {
    "a batch hook": (callback("LooksAtEachBatch"), "its callback LooksAtEachBatch looks at each batch"),
    "scheduled accumulation": (
        (
            "+callbacks.more._target_=pytorch_lightning.callbacks.GradientAccumulationScheduler",
            "+callbacks.more.scheduling={0: 2}",
        ),
        "it accumulates gradients over a number of batches that changes",
    ),
    "LBFGS": (("optimizer=lbfgs", "optimizer.max_iter=2"), "LBFGS looks at each batch several times"),
    "anomaly": (("trainer.detect_anomaly=true",), "trainer.detect_anomaly is on"),
}


@pytest.mark.parametrize("why", ALONE)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_what_looks_into_single_steps_trains_alone_and_a_line_says_why(jobs, why):
    options, reason = ALONE[why]
    members = [("seed=1", "optimizer.lr=0.01", *options), ("seed=2",), ("seed=3",)]
    if why == "LBFGS":
        members[0] = ("seed=1", "model.dropout=0.0", *options)
    configs = jobs("fused", *members, case=("trainer.limit_train_batches=8",))
    together = train_together(configs)
    assert together.lines[0] == f"job job 0 trains alone: {reason}"
    assert "jobs job 1 to job 2 (2) train as one" in together.lines[1]
    assert_as_alone(together, configs, (0,))


def test_members_that_are_not_faster_together_are_released_and_end_as_alone(jobs, monkeypatch):
    timed = running.time_alone
    monkeypatch.setattr(running, "time_alone", lambda members: 0 * timed(members))
    configs = jobs("fused", *THREE, case=("augmentation=rotate",))
    together = train_together(configs, probe=True)
    assert len(together.lines) == 1
    assert together.lines[0].startswith("jobs job 0 to job 2 (3) train alone: a step takes ")
    assert_as_alone(together, configs, (0, 2))


def test_members_that_are_faster_together_go_on_after_the_probe_as_alone(jobs, monkeypatch):
    timed = running.time_alone
    monkeypatch.setattr(running, "time_alone", lambda members: 1e9 + timed(members))
    configs = jobs("fused", *THREE, case=("augmentation=rotate",))
    together = train_together(configs, probe=True)
    assert "train as one" in together.lines[0]
    assert_as_alone(together, configs, (0, 2))


@pytest.mark.parametrize("is_faster", [True, False])
def test_a_probe_between_two_updates_loses_no_gradient(jobs, monkeypatch, is_faster):
    timed = running.time_alone
    monkeypatch.setattr(running, "time_alone", lambda members: timed(members) + (1e9 if is_faster else -1e9))
    configs = jobs("fused", *THREE, case=("trainer.accumulate_grad_batches=8", "trainer.log_every_n_steps=6"))
    together = train_together(configs, probe=True)
    assert ("train as one" in together.lines[0]) == is_faster
    assert_as_alone(together, configs, range(3))


def test_a_run_shorter_than_the_probe_ends_as_alone(jobs):
    configs = jobs("fused", *THREE, case=("trainer.limit_train_batches=2",))
    assert_as_alone(train_together(configs, probe=True), configs, range(3))


def test_a_run_that_ends_within_a_probe_that_fusing_loses_ends_as_alone(jobs, monkeypatch):
    timed = running.time_alone
    monkeypatch.setattr(running, "time_alone", lambda members: 0 * timed(members))
    configs = jobs("fused", *THREE, case=("trainer.limit_train_batches=7",))
    together = train_together(configs, probe=True)
    assert "train alone" in together.lines[0]
    assert_as_alone(together, configs, range(3))


@pytest.mark.parametrize(("checkpoint", "drop_last"), [("best", "false"), ("last", "true")])
def test_members_go_on_from_checkpoints_as_alone(jobs, checkpoint, drop_last):
    # Rows that are left over make a smaller last batch.
    case = ("data.train_subset=260", f"data.drop_last={drop_last}", "scheduler=constant", *BEST_IN_MID_EPOCH)
    (begun,) = jobs("begun", ("seed=1",), case=case)
    train_alone(begun)
    path = Path(begun.folder) / "checkpoints" / f"{checkpoint}.ckpt"
    assert load_checkpoint(path)["global_step"] == {"best": 5, "last": 10 + (drop_last == "false")}[checkpoint]
    resumed = ("seed=1", f"checkpoint={path}")
    members = (resumed, (*resumed, "optimizer.lr=0.02"), ("seed=3",), ("seed=4",))
    configs = jobs("fused", *members, case=(*case, "trainer.max_epochs=2"))
    together = train_together(configs)
    assert all("train as one" in line for line in together.lines), together.lines
    assert_as_alone(together, configs, (1, 3))


def test_a_checkpoint_of_mid_epoch_is_that_of_a_run_alone(jobs):
    configs = jobs("fused", *THREE[:2], case=BEST_IN_MID_EPOCH)
    train_together(configs)
    alone = jobs("alone", *THREE[:2], case=BEST_IN_MID_EPOCH)
    for one, other in zip(configs, alone, strict=True):
        train_alone(other)
        paths = [Path(cfg.folder) / "checkpoints" / "best.ckpt" for cfg in (one, other)]
        best, expected = (torch.load(path, weights_only=True) for path in paths)
        assert best["global_step"] == 5
        assert checkpoint_difference(best, expected) < 1e-10
        assert best["loops"] == expected["loops"]
        assert best["lr_schedulers"] == expected["lr_schedulers"]


def test_epochs_of_different_lengths_keep_each_members_batches(jobs):
    """One member is in its smaller last batch while the other is in mid-epoch."""
    members = [
        ("seed=1", "trainer.max_epochs=2"),
        ("seed=2", "trainer.max_epochs=5", "trainer.limit_train_batches=0.5"),
    ]
    case = ("data.train_subset=255", "data.drop_last=false")
    configs = jobs("fused", *members, case=case)
    assert_as_alone(train_together(configs), configs, range(2))


def test_epochs_of_different_lengths_keep_each_members_batches_when_they_are_in_order(jobs):
    members = [("seed=1", "+trainer.overfit_batches=0.2"), ("seed=1", "+trainer.overfit_batches=0.4")]
    configs = jobs("fused", *members, case=("trainer.max_epochs=4", "callbacks=default"))
    assert_as_alone(train_together(configs), configs, range(2))


@pytest.mark.parametrize(
    ("seeds", "augmentations"),
    [((1, 1), ("none", "rotate")), ((1, 2), ("none", "rotate")), ((1, 2), ("rotate", "none"))],
)
def test_members_keep_their_own_augmentation(jobs, seeds, augmentations):
    members = [(f"seed={seed}", f"augmentation={each}") for seed, each in zip(seeds, augmentations, strict=True)]
    configs = jobs("fused", *members)
    assert_as_alone(train_together(configs), configs, range(2))


def raise_at_turn(monkeypatch, error: BaseException, turn: int) -> None:
    run, turns = Group.run, []

    def run_or_raise(self, number):
        turns.append(number)
        if len(turns) == turn:
            raise error
        return run(self, number)

    monkeypatch.setattr(Group, "run", run_or_raise)


def test_ctrl_c_between_steps_interrupts_each_member(jobs, monkeypatch):
    raise_at_turn(monkeypatch, KeyboardInterrupt(), 3)
    configs = jobs("fused", *THREE)
    errors, ended = [], []

    def job(cfg: DictConfig) -> None:
        folder = Path(cfg.folder)
        folder.mkdir(parents=True)
        run = build(cfg, epoch_loop=FusedEpochLoop)
        try:
            with log_to(folder):
                fit(run)
        except BaseException as error:
            errors.append(type(error))
            raise
        finally:
            ended.append(run.trainer.global_step)

    with pytest.raises(KeyboardInterrupt):
        run_together({str(n): partial(job, cfg) for n, cfg in enumerate(configs)}, Settings(print, probe=False))
    assert errors == [KeyboardInterrupt] * 3
    assert len(set(ended)) == 1
    assert 0 < ended[0] < 20


def test_a_fault_of_the_program_fails_its_members_alone(jobs, monkeypatch):
    configs = jobs("fused", *[("model.hidden=[5]", f"seed={n}") for n in (1, 2)], *THREE[:2])
    raise_at_turn(monkeypatch, ValueError("shapes differ"), 3)
    together = train_together(configs)
    assert len(together.errors) == 2
    assert all(str(error).endswith("shapes differ") for error in together.errors)
    assert together.lines[1] == "jobs job 0 to job 1 (2) failed together: shapes differ"
    assert [run.trainer.global_step for run in together.runs[2:]] == [20, 20]
    assert len(together.outcomes) == 2


@pytest.mark.parametrize("options", [(), ("trainer.accumulate_grad_batches=2",)])
def test_ctrl_c_ends_a_member_that_trains_alone(jobs, options):
    (cfg,) = jobs("fused", (*options, *callback("PressesCtrlC"), "trainer.max_epochs=30"))
    with pytest.raises(KeyboardInterrupt):
        train_together([cfg])
    assert last_checkpoint(cfg)["epoch"] < 5


def test_what_a_job_raises_before_training_is_not_lost():
    def job() -> None:
        raise OSError("no space left")

    lines: list[str] = []
    with pytest.raises(OSError, match="no space left"):
        run_together({"job 0": job}, Settings(lines.append))
