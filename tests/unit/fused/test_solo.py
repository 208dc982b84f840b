"""One run through the program of a single member is the plain run: ``engine=compiled`` and ``engine=auto``."""

import io
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from fused_runs import SMALL, assert_same_curves, difference, some_slow, train_alone, vary
from omegaconf import DictConfig
from rich.console import Console
from test_equality import AUGMENTATIONS, MLP, MODELS, OPTIMIZERS, SCHEDULERS
from test_run import ALONE, BEST_IN_MID_EPOCH, checkpoint_difference, last_checkpoint

from fulgurite.build import Run, build
from fulgurite.callbacks.progress import Bar
from fulgurite.fit import Outcome, fit
from fulgurite.fused import probe, solo
from fulgurite.fused.group import Group
from fulgurite.log import log_to
from fulgurite.training.checkpoint import load_checkpoint

CASE = (*SMALL, "trainer.precision=64-true")
Pair = tuple[tuple[Run, Outcome], tuple[Run, Outcome]]


@pytest.fixture
def uncompiled(monkeypatch):
    """The program as it is traced: to compile it takes seconds, and is tested by itself."""
    monkeypatch.setattr(Group, "compile", lambda group: None)


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """Numbers of steps that programs have made, one for each time that they were asked."""
    run, made = Group.run, []

    def counted(group, number):
        made.append(number)
        return run(group, number)

    monkeypatch.setattr(Group, "run", counted)
    return made


@pytest.fixture
def both(compose_config, tmp_path) -> Callable[..., Pair]:
    """Train one config with an engine, and plainly."""

    def train(*options: str, engine: str = "compiled") -> Pair:
        cfg = compose_config(*CASE, *options)
        ours = train_alone(vary(cfg, tmp_path / engine, f"engine={engine}"))
        return ours, train_alone(vary(cfg, tmp_path / "eager"))

    return train


def assert_equal(ours: tuple[Run, Outcome], plain: tuple[Run, Outcome]) -> None:
    (run, outcome), (solo_run, expected) = ours, plain
    last, expected_last = (load_checkpoint(each.folder / "checkpoints" / "last.ckpt") for each in (run, solo_run))
    # Of a run that diverges only the digits that are left can be equal.
    assert outcome.diverged or checkpoint_difference(last, expected_last) < 1e-10
    assert outcome.metrics == pytest.approx(expected.metrics, rel=1e-5, abs=1e-6, nan_ok=True)
    assert (outcome.epochs, outcome.diverged) == (expected.epochs, expected.diverged)
    assert run.trainer.global_step == solo_run.trainer.global_step
    assert run.trainer.fit_loop.state_dict() == solo_run.trainer.fit_loop.state_dict()
    if not outcome.diverged:
        assert_same_curves(run.folder, solo_run.folder)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    # One of each kind; tests of fused sweeps have more of them.
    "case",
    some_slow((*MODELS, *OPTIMIZERS, *SCHEDULERS, *AUGMENTATIONS), "cnn", "clipped", "plateau", "affine"),
)
def test_each_model_optimizer_schedule_and_augmentation_trains_as_without_a_program(both, steps, capsys, case):
    options = {
        **MODELS,
        **{name: (*MLP, *words) for name, words in OPTIMIZERS.items()},
        **{name: (*MLP, f"scheduler={name}", "trainer.max_epochs=2") for name in SCHEDULERS},
        **{name: (*MLP, f"augmentation={name}") for name in AUGMENTATIONS},
    }
    ours, plain = both(*options[case])
    assert_equal(ours, plain)
    assert difference(ours[0], plain[0]) < 1e-10
    # All of them: what a run does must not depend on the clock.
    assert sum(steps) == ours[0].trainer.global_step
    assert capsys.readouterr().out.startswith("the training step is compiled in ")


DIVERGES = ("optimizer=sgd", "model.norm=none", "optimizer.lr=1e300", "trainer.max_epochs=3")
SHORT_LAST = ("data.train_subset=260", "data.drop_last=false")
STOPS_EARLY = (
    "callbacks=early_stopping",
    "callbacks.early_stopping.patience=1",
    "callbacks.early_stopping.min_delta=0.001",
    "objective.metric=val/loss",
    "objective.mode=min",
    "trainer.max_epochs=4",
    "optimizer.lr=1e-12",
)


# Options, and the epochs that a run then makes.
ENDINGS = {
    "diverges": (DIVERGES, 1),
    "stops early": (STOPS_EARLY, 2),
    "max_steps": (("trainer.max_epochs=3", "trainer.max_steps=27"), 2),
    "a short last batch": (("trainer.max_epochs=2", *SHORT_LAST, *BEST_IN_MID_EPOCH), 2),
    "two of them in an epoch": (("trainer.max_epochs=2", *SHORT_LAST, "data.passes_per_epoch=2"), 2),
    "shorter than the probe": (("trainer.limit_train_batches=2", "trainer.max_epochs=2"), 2),
}
# Only auto has a probe.
QUICK = [(ending, "compiled") for ending in ("diverges", "stops early", "max_steps", "a short last batch")]
QUICK += [("shorter than the probe", "auto"), ("max_steps", "auto")]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("ending", "engine"),
    [
        pytest.param(ending, engine, marks=() if (ending, engine) in QUICK else pytest.mark.slow)
        for ending in ENDINGS
        for engine in ("compiled", "auto")
    ],
)
def test_a_run_ends_where_it_would_without_a_program(both, ending, engine):
    options, num_epochs = ENDINGS[ending]
    ours, plain = both("model=mlp", "model.hidden=[6]", *options, engine=engine)
    assert_equal(ours, plain)
    assert plain[1].epochs == num_epochs


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("checkpoint", [pytest.param("best", marks=pytest.mark.slow), "last"])
def test_a_run_goes_on_from_a_checkpoint_of_a_plain_run_and_a_plain_run_from_its(compose_config, tmp_path, checkpoint):
    cfg = compose_config(*CASE, *MLP, "scheduler=constant", *BEST_IN_MID_EPOCH)
    ends = []
    for first, second in (("eager", "eager"), ("eager", "compiled"), ("compiled", "eager"), ("compiled", "compiled")):
        begun = vary(cfg, tmp_path / f"{first}-{second}", f"engine={first}")
        train_alone(begun)
        path = Path(begun.folder) / "checkpoints" / f"{checkpoint}.ckpt"
        assert load_checkpoint(path)["global_step"] == {"best": 5, "last": 20}[checkpoint]
        resumed = vary(begun, tmp_path / f"{first}-{second}-on", f"engine={second}", f"checkpoint={path}")
        resumed.trainer.max_epochs = 2
        train_alone(resumed)
        ends.append(last_checkpoint(resumed))
    assert [end["global_step"] for end in ends] == [40] * 4
    assert max(checkpoint_difference(ends[0], end) for end in ends[1:]) < 1e-10


@pytest.mark.usefixtures("uncompiled")
def test_a_run_resumed_between_epochs_is_bitwise_the_uninterrupted_one(compose_config, tmp_path):
    cfg = compose_config(*SMALL, *MLP, "scheduler=constant", "optimizer.lr=0.1", "engine=compiled")
    whole, begun = (vary(cfg, tmp_path / name, f"trainer.max_epochs={n}") for name, n in (("whole", 2), ("begun", 1)))
    train_alone(whole)
    train_alone(begun)
    path = Path(begun.folder) / "checkpoints" / "last.ckpt"
    resumed = vary(whole, tmp_path / "resumed", f"checkpoint={path}")
    train_alone(resumed)
    assert checkpoint_difference(last_checkpoint(resumed), last_checkpoint(whole)) == 0


@pytest.mark.parametrize("why", ALONE)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_what_cannot_be_a_program_trains_plainly_and_a_line_says_why(both, capsys, why):
    options, reason = ALONE[why]
    dropout = ("model.dropout=0.0",) if why == "LBFGS" else ()
    ours, plain = both(*MLP, "trainer.limit_train_batches=8", *dropout, *options)
    assert_equal(ours, plain)
    assert capsys.readouterr().out == f"the training step is not compiled: {reason}\n"


class CallsItem(pl.Callback):
    """Has the training step ask for a value, which a trace does not have."""

    def on_fit_start(self, trainer, pl_module):
        step = pl_module.training_step

        def step_and_look(batch, batch_idx):
            return step(batch, batch_idx) if batch[0].sum().item() else None

        pl_module.training_step = step_and_look


def test_a_step_that_cannot_be_traced_is_made_plainly_and_a_line_says_why(both, capsys):
    options = (f"+callbacks.more._target_={__name__}.CallsItem",)
    assert_equal(*both(*MLP, *options))
    assert capsys.readouterr().out == (
        "the training step is not compiled: its training step calls .item(), or branches on a tensor's value\n"
    )


@pytest.mark.parametrize("engine", ["compiled", "auto"])
def test_without_a_compiler_the_run_is_trained_and_a_line_says_so(both, capsys, monkeypatch, engine):
    def fail(graph):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found in ...\nsecond line")

    monkeypatch.setattr("torch.compile", fail)
    monkeypatch.setattr(probe, "_COMPILE_S", 0.0)
    assert_equal(*both(*MLP, "trainer.max_epochs=3", engine=engine))
    assert capsys.readouterr().out == (
        "the training step is not compiled: there is no C++ compiler; install one, such as g++\n"
    )


def test_ctrl_c_waits_until_the_steps_that_were_made_are_accounted_for(compose_config, tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "compile", lambda group: None)
    run, weights = Group.run, []

    def run_and_press(group, number):
        results = run(group, number)
        if group.loops[0].trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return results

    class Keeps(pl.Callback):
        def on_exception(self, trainer, pl_module, exception):
            weights.append((type(exception), trainer.global_step, pl_module.net[1].weight.detach().clone()))

    monkeypatch.setattr(Group, "run", run_and_press)
    cfg = vary(compose_config(*CASE, *MLP, "scheduler=constant"), tmp_path / "ours", "engine=compiled")
    cfg.trainer.max_epochs = 5
    with pytest.raises(KeyboardInterrupt):
        train_alone_with(cfg, Keeps())
    ((kind, step, weight),) = weights
    assert (kind, step) == (KeyboardInterrupt, 21)
    plain = vary(cfg, tmp_path / "plain", "engine=eager", "trainer.max_steps=21")
    assert float((train_alone(plain)[0].model.net[1].weight.detach() - weight).abs().max()) < 1e-10


def train_alone_with(cfg: DictConfig, more: pl.Callback) -> None:
    folder = Path(cfg.folder)
    folder.mkdir(parents=True)
    with log_to(folder):
        run = build(cfg)
        run.trainer.callbacks.append(more)
        fit(run)


def test_a_bar_is_moved_and_keeps_nothing_from_being_a_program(compose_config, tmp_path, monkeypatch, steps):
    monkeypatch.setattr(Group, "compile", lambda group: None)
    console = Console(file=io.StringIO(), force_terminal=True)
    cfg = vary(compose_config(*CASE, *MLP), tmp_path / "ours", "engine=compiled")
    bar = Bar(refresh_s=0.0, console=console)
    train_alone_with(cfg, bar)
    assert sum(steps) == 20
    shown = console.file.getvalue()
    assert all(f"{sum(steps[:turn])}/20" in shown for turn in range(1, len(steps) + 1))


@pytest.fixture
def timed(monkeypatch, uncompiled) -> Callable[[float, float, float], None]:
    """Set the seconds of a step alone, of the program traced, and of the program compiled."""

    def set_times(alone_s: float, traced_s: float, compiled_s: float) -> None:
        compiled: list[Group] = []
        monkeypatch.setattr(Group, "compile", lambda group: compiled.append(group))
        seconds = property(lambda group: compiled_s if compiled else traced_s, lambda group, measured: None)
        monkeypatch.setattr(Group, "step_s", seconds, raising=False)
        monkeypatch.setattr(solo.AutoEpochLoop, "step_s", property(lambda loop: alone_s, lambda *_: None))

    return set_times


@pytest.mark.parametrize(
    ("seconds", "num_steps", "words"),
    [
        ((10.0, 9.0, 4.0), 60 - 11, "compiled in .*: it takes 4e[+]03 ms instead of 1e[+]04 ms"),
        ((10.0, 9.0, 11.0), 38, "not compiled: it would take 1.1e[+]04 ms instead of 1e[+]04 ms"),
        (
            (0.4, 0.3, 0.1),
            60 - 11,
            "not compiled, .*: 32 steps of 4e[+]02 ms are left, of 3e[+]02 ms as a traced program",
        ),
        ((0.4, 0.5, 0.1), 17, "not compiled, which takes longer than it saves: 32 steps of 4e[+]02 ms are left"),
    ],
    ids=["compiled", "compiled is slower", "too short, traced is quicker", "too short"],
)
def test_auto_goes_on_with_the_quickest(both, steps, timed, capsys, seconds, num_steps, words):
    timed(*seconds)
    ours, plain = both(*MLP, "trainer.max_epochs=3", engine="auto")
    assert_equal(ours, plain)
    assert sum(steps) == num_steps
    assert re.fullmatch(f"the training step is {words}\n", capsys.readouterr().out)


def test_a_compiled_run_equals_the_plain_one_and_repeats_itself_bit_by_bit(both, compose_config, tmp_path, capsys):
    options = (*MLP, "data.train_subset=260", "data.drop_last=false")
    ours, plain = both(*options)
    assert_equal(ours, plain)
    again, _ = train_alone(vary(compose_config(*CASE, *options), tmp_path / "again", "engine=compiled"))
    assert difference(ours[0], again) == 0
    assert capsys.readouterr().out.count("the training step is compiled in ") == 2


class DropsMoreLater(pl.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        for module in pl_module.modules():
            if trainer.current_epoch and isinstance(module, torch.nn.Dropout):
                module.p = 0.5


@pytest.mark.usefixtures("uncompiled")
def test_what_a_callback_changes_between_two_epochs_holds_from_there_on(both, steps, capsys):
    more = ("model.dropout=0.1", "trainer.max_epochs=2", f"+callbacks.more._target_={__name__}.DropsMoreLater")
    ours, plain = both(*MLP, *more)
    assert_equal(ours, plain)
    assert sum(steps) == ours[0].trainer.global_step // 2
    changed = "the training step is compiled no longer: its model or optimiser was changed between two epochs"
    assert changed in capsys.readouterr().out
