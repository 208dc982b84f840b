"""What a trace has read must stay as it is; what it has not may change between two epochs."""

import copy
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fused_runs import SMALL, difference, train_alone, train_together, vary
from torch import nn

from fulgurite import build as building
from fulgurite.fused import group
from fulgurite.fused.reads import Reads
from fulgurite.fused.surroundings import isolated
from fulgurite.fused.traced_state import alike, traced_state
from fulgurite.fused.unfusable import UnfusableError

EPOCHS = ("trainer.precision=64-true", "trainer.max_epochs=3")
CHANGED = "its model or optimiser was changed between two epochs"


class Scaled(nn.Module):
    """Reads an attribute in its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = 1.0
        self.unread = 1.0

    def forward(self, x):
        return self.factor * x


@dataclass
class Options:
    scale: float = 1.0


class Net(pl.LightningModule):
    """A network with much to read, and a step that reads it by ``read``."""

    of_class = 1.0

    def __init__(self, read=lambda net: 1.0) -> None:
        super().__init__()
        self.save_hyperparameters({"alpha": 1.0, "beta": {"gamma": 1.0}})
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), Scaled(), nn.Dropout(0.1), nn.Linear(4, 10))
        self.read = [read]
        self.best = 0.0
        self.seen: list[float] = []
        self.number = 1.0
        self.parts = {"scale": [1.0]}
        self.options = Options()
        self.names = {"a"}
        self.recent = deque([1.0])
        self.array = np.ones(2)

    @property
    def doubled(self):
        return 2 * self.number

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1]) * self.read[0](self)

    def validation_step(self, batch, batch_idx):
        if self.trainer.sanity_checking:
            return
        self.seen.append((self.net(batch[0]).argmax(1) == batch[1]).double().mean().item())
        self.log("val/acc", self.seen[-1])

    def on_validation_epoch_end(self):
        self.best = max([self.best, *self.seen])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def with_default(net):
    return getattr(net, "later", 1.0)


def if_there(net):
    return net.later if hasattr(net, "later") else 1.0


def state_after_a_trace(net, change, reads=None):
    """What is compared, before and after a change."""
    reads = reads or Reads()
    batch = torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 3])
    with isolated(net, {}, (), reads), reads.watching(net):
        net.training_step(batch, 0)
    loop = SimpleNamespace(model=net, optimizer=net.configure_optimizers())
    before = traced_state(loop, reads)
    assert traced_state(loop, reads) == before
    change(net)
    return before, traced_state(loop, reads)


def set_later(net):
    net.later = 2.0


READ_AND_CHANGED = {
    "a number": (lambda net: net.number, lambda net: setattr(net, "number", 2.0)),
    "by a property": (lambda net: net.doubled, lambda net: setattr(net, "number", 2.0)),
    "inside containers": (lambda net: net.parts["scale"][0], lambda net: net.parts["scale"].append(2.0)),
    "of an object": (lambda net: net.options.scale, lambda net: setattr(net.options, "scale", 2.0)),
    "a set": (lambda net: len(net.names), lambda net: net.names.add("b")),
    "a deque": (lambda net: net.recent[-1], lambda net: net.recent.append(2.0)),
    "an array": (lambda net: float(net.array[0]), lambda net: net.array.fill(2.0)),
    "not there, with a default": (with_default, set_later),
    "not there, asked for": (if_there, set_later),
    "in forward of a submodule": (lambda net: 1.0, lambda net: setattr(net.net[2], "factor", 2.0)),
    "of another module": (lambda net: net.net[2].unread, lambda net: setattr(net.net[2], "unread", 2.0)),
    "by vars": (lambda net: vars(net)["number"], lambda net: setattr(net, "number", 2.0)),
    "by __dict__": (lambda net: net.__dict__.get("later", 1.0), set_later),
    "of a copy": (lambda net: copy.copy(net).number, lambda net: setattr(net, "number", 2.0)),
    "of the class": (lambda net: net.of_class, lambda net: setattr(net, "of_class", 2.0)),
    "a hyper-parameter": (lambda net: net.hparams.alpha, lambda net: net.hparams.update(alpha=2.0)),
    "inside one": (lambda net: net.hparams["beta"]["gamma"], lambda net: net.hparams.beta.update(gamma=2.0)),
    "one not there": (lambda net: net.hparams.get("delta", 1.0), lambda net: net.hparams.update(delta=2.0)),
    "a hook": (lambda net: 1.0, lambda net: net.net[1].register_forward_hook(lambda *_: None)),
    "a hook before it": (lambda net: 1.0, lambda net: net.net[1].register_forward_pre_hook(lambda *_: None)),
    "a hook on the way back": (lambda net: 1.0, lambda net: net.net[1].register_full_backward_hook(lambda *_: None)),
    "all of them": (lambda net: dict(**net.hparams)["alpha"], lambda net: net.hparams.update(alpha=2.0)),
}


@pytest.mark.parametrize("what", READ_AND_CHANGED)
def test_a_change_of_what_a_trace_has_read_is_seen(what):
    read, change = READ_AND_CHANGED[what]
    before, after = state_after_a_trace(Net(read), change)
    assert before != after


def _everything_unread(net):
    net.best, net.number, net.later = 3.0, 3.0, 3.0
    net.seen.append(1.0)
    net.parts["scale"][0] = net.options.scale = net.net[2].unread = 3.0
    net.hparams.update(alpha=3.0, delta=3.0)


def test_a_change_of_what_no_trace_has_read_is_not():
    before, after = state_after_a_trace(Net(), _everything_unread)
    assert before == after


def test_a_layer_made_in_the_step_tells_nothing_of_the_model():
    net = Net(lambda net: nn.Sequential(nn.Flatten(), nn.Linear(1, 1))(torch.ones(1, 1)).sum())
    before, after = state_after_a_trace(net, _everything_unread)
    assert before == after


def test_modes_and_what_is_trained_are_compared_though_no_step_reads_them():
    for change in (lambda net: net.net[3].eval(), lambda net: net.net[1].weight.requires_grad_(False)):
        before, after = state_after_a_trace(Net(), change)
        assert before != after


def test_a_method_put_on_a_model_is_a_change_where_the_step_calls_it():
    before, after = state_after_a_trace(Net(), lambda net: setattr(net.net[2], "forward", lambda x: 2 * x))
    assert before != after


def test_a_class_of_which_all_attributes_are_looked_up_elsewhere_is_compared_whole():
    class Elsewhere(Net):
        def __getattribute__(self, key):
            return object.__getattribute__(self, key)

    before, after = state_after_a_trace(Elsewhere(), lambda net: setattr(net, "best", 2.0))
    assert before != after


def test_several_traces_add_up():
    reads = Reads()
    state_after_a_trace(Net(lambda net: net.number), lambda net: None, reads)
    before, after = state_after_a_trace(Net(), lambda net: setattr(net, "number", 2.0), reads)
    assert before != after


def test_members_are_alike_when_what_was_read_or_is_lifted_is_the_same():
    one, other, reads = Net(lambda net: net.number), Net(), Reads()
    state_after_a_trace(one, lambda net: None, reads)
    other.read, other.best = one.read, 5.0
    assert alike([one, other], {}, reads)
    other.number = 5.0
    assert not alike([one, other], {}, reads)
    assert alike([one, other], {("", "number"): torch.ones(2)}, reads)


def test_attributes_are_looked_up_as_before_when_a_trace_has_ended_or_failed():
    def fails(net):
        raise ValueError("no")

    state_after_a_trace(Net(), lambda net: None)
    with pytest.raises(ValueError, match="no"):
        state_after_a_trace(Net(fails), lambda net: None)
    assert "__getattribute__" not in vars(nn.Module)
    assert nn.Module.__getattribute__ is object.__getattribute__


def _counts(net):
    net._count = getattr(net, "_count", 0) + 1


KEPT = {
    "self._count": _counts,
    "self.recent": lambda net: net.recent.append(1.0),
    "self.hparams.alpha": lambda net: setattr(net.hparams, "alpha", 2.0),
}


@pytest.mark.parametrize("where", KEPT)
def test_a_step_that_keeps_something_for_the_next_is_refused(where):
    def keeps(net):
        KEPT[where](net)
        return 1.0

    with pytest.raises(UnfusableError, match=f"its training step keeps something for later in {where}"):
        state_after_a_trace(Net(keeps), lambda net: None)


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda net: net.hparams.get("alpha"), r"reads self\.hparams\.alpha, in which the jobs differ"),
        (lambda net: list(net.hparams.values()), r"reads all of self\.hparams, in which the jobs differ"),
        (lambda net: net.hparams_initial["beta"], r"reads self\.hparams_initial"),
    ],
)
def test_a_hyper_parameter_in_which_jobs_differ_is_refused_however_it_is_read(read, reason):
    net = Net(read)
    batch = torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 3])
    with pytest.raises(UnfusableError, match=reason), isolated(net, {}, ("alpha",), Reads()):
        net.training_step(batch, 0)


@pytest.fixture
def jobs(compose_config, tmp_path, monkeypatch):
    """Configs of jobs whose models a function makes."""

    def use(make, *options, number=2):
        monkeypatch.setattr(building, "build_model", lambda cfg: seeded(make, cfg.seed))
        cfg = compose_config(*SMALL, *EPOCHS, *options)
        return [[vary(cfg, tmp_path / kind / str(n), f"seed={n}") for n in range(number)] for kind in ("fused", "solo")]

    return use


def seeded(make, seed):
    torch.manual_seed(seed)
    return make()


def assert_as_alone(runs, configs):
    for run, cfg in zip(runs, configs, strict=True):
        solo, _ = train_alone(cfg)
        assert difference(run, solo) < 1e-10
        assert run.model.best == pytest.approx(solo.model.best)
        assert len(run.model.seen) == len(solo.model.seen) >= 3


def test_a_model_that_keeps_scores_in_its_validation_hooks_stays_in_its_program(jobs):
    # With a smaller last batch, which is traced after the first validation has changed what the step does not read.
    options = ("data.train_subset=260", "data.drop_last=false", "trainer.val_check_interval=0.5")
    fused, solo = jobs(Net, *options)
    together = train_together(fused)
    assert len(together.lines) == 1
    assert "train as one" in together.lines[0]
    assert_as_alone(together.runs, solo)


class Stops(Net):
    """The first two of four end after an epoch, and the others make a program of their own."""

    not_in_step = ("number_of_job",)

    def __init__(self) -> None:
        super().__init__()
        self.number_of_job = torch.initial_seed()

    def on_train_epoch_end(self):
        self.trainer.should_stop = self.number_of_job < 2


def test_what_no_step_reads_may_differ_when_those_that_are_left_make_a_new_program(jobs):
    fused, solo = jobs(Stops, number=4)
    together = train_together(fused)
    assert len(together.lines) == 1
    assert [outcome.epochs for outcome in together.outcomes] == [1, 1, 3, 3]
    assert_as_alone(together.runs[2:], solo[2:])


class ReadsBest(Net):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) * (1 + self.best)


class ReadsBestOfShortBatch(Net):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * (1 + self.best) if len(batch[0]) == 10 else loss


@pytest.mark.parametrize(
    ("make", "lines"),
    [
        (ReadsBest, [f"job job {number} goes on alone: {CHANGED}" for number in range(2)]),
        (
            ReadsBestOfShortBatch,
            ["jobs job 0 to job 1 (2) go on alone: its training step reads what hooks have changed"],
        ),
    ],
)
def test_a_model_whose_step_reads_what_its_hooks_change_leaves_its_program(jobs, make, lines):
    options = ("data.train_subset=260", "data.drop_last=false", "trainer.val_check_interval=0.5")
    fused, solo = jobs(make, *options)
    together = train_together(fused)
    assert "train as one" in together.lines[0]
    assert together.lines[1:] == lines
    assert_as_alone(together.runs, solo)


@pytest.mark.parametrize(("make", "leaves"), [(Net, False), (ReadsBest, True), (ReadsBestOfShortBatch, True)])
def test_a_compiled_run_goes_on_as_long_as_what_its_step_reads_stays(jobs, monkeypatch, capsys, make, leaves):
    monkeypatch.setattr(group.Group, "compile", lambda group: None)
    options = ("data.train_subset=260", "data.drop_last=false", "trainer.val_check_interval=0.5")
    (fused, _), (solo, _) = jobs(make, *options)
    run, _ = train_alone(vary(fused, fused.folder, "engine=compiled"))
    assert ("compiled no longer" in capsys.readouterr().out) == leaves
    assert_as_alone([run], [solo])
