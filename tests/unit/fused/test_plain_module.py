"""Any LightningModule trains in a fused sweep as it does alone, or alone with a reason."""

import math
import re
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from fused_runs import SMALL, difference, train_alone, train_together

from fulgurite import build as building

DOCS = Path(__file__).parents[3] / "docs" / "fused.md"


def class_on_the_docs_page() -> type[pl.LightningModule]:
    (block,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names: dict[str, type[pl.LightningModule]] = {"__name__": "plain_net"}
    exec(compile(block, str(DOCS), "exec"), names)
    return names["PlainNet"]


PlainNet = class_on_the_docs_page()
# Steps of an epoch.
SHORT = "trainer.limit_train_batches=8"
MEMBERS = ({"lr": 0.01, "dropout": 0.2}, {"lr": 0.003, "dropout": 0.4}, {"lr": 0.01, "smoothing": 0.1})


@pytest.fixture
def with_models(monkeypatch):
    """Has the models of the runs made by a function, the seed of the config being set."""

    def use(make):
        monkeypatch.setattr(building, "build_model", lambda cfg: make(cfg.seed))

    return use


def composed(compose_config, folder: Path, number: int, *overrides: str):
    return compose_config(*SMALL, SHORT, f"seed={number}", *overrides, folder=folder / str(number))


def test_a_users_own_module_equals_its_solo_runs(compose_config, tmp_path, with_models):
    with_models(lambda number: PlainNet(**MEMBERS[number]))
    case = ("trainer.precision=64-true", "trainer.max_epochs=2")
    together = train_together([composed(compose_config, tmp_path / "fused", n, *case) for n in range(3)])
    assert "train as one" in together.lines[0], together.lines
    for number, (run, outcome) in enumerate(zip(together.runs, together.outcomes, strict=True)):
        solo, expected = train_alone(composed(compose_config, tmp_path / "solo", number, *case))
        assert difference(run, solo) < 1e-10
        assert outcome.metrics.keys() == expected.metrics.keys() >= {"train/acc", "train/loss_epoch", "val/acc"}
        for name, value in expected.metrics.items():
            assert math.isclose(outcome.metrics[name], value, rel_tol=1e-6), name
        assert run.trainer.fit_loop.state_dict() == solo.trainer.fit_loop.state_dict()
        written, wanted = (
            [line.split(",") for line in (each.folder / "metrics.csv").read_text().splitlines()] for each in (run, solo)
        )
        assert written[0] == wanted[0]
        assert len(written) == len(wanted)
        for row, other in zip(written[1:], wanted[1:], strict=True):
            assert [bool(cell) for cell in row] == [bool(cell) for cell in other]
            assert all(math.isclose(float(a), float(b), rel_tol=1e-6) for a, b in zip(row, other, strict=True) if a)


class StopsWhenSmoothed(PlainNet):
    def on_train_epoch_end(self):
        self.trainer.should_stop = self.hparams.smoothing > 0


def test_a_users_own_module_drops_what_it_drops_alone_when_another_has_ended(compose_config, tmp_path, with_models):
    # The third is the one that is smoothed; it goes first.
    with_models(lambda number: StopsWhenSmoothed(**MEMBERS[number - 1]))
    case = ("trainer.precision=64-true", "trainer.max_epochs=2")
    together = train_together([composed(compose_config, tmp_path / "fused", n, *case) for n in range(3)])
    assert "train as one" in together.lines[0], together.lines
    assert [outcome.epochs for outcome in together.outcomes] == [1, 2, 2]
    for number in (1, 2):
        solo, _ = train_alone(composed(compose_config, tmp_path / "solo", number, *case))
        assert difference(together.runs[number], solo) < 1e-10


class Reads(PlainNet):
    """A step that cannot be traced once and for all."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.seen: list[int] = []

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = functional_loss = torch.nn.functional.cross_entropy(self(x), y)
        if self.what == "item":
            self.log("train/loss", loss.item())
        elif (
            self.what == "branch"
            and loss > 2
            or self.what == "batch_idx"
            and batch_idx % 2
            or self.what == "epoch"
            and self.current_epoch > 0
        ):
            loss = 2 * loss
        elif self.what == "memory":
            self.seen.append(len(x))
        elif self.what == "noise":
            loss = torch.nn.functional.cross_entropy(self(x + torch.randn_like(x)), y)
        elif self.what == "metric value":
            loss = loss + 0 * self.train_acc(self(x), y)
        elif self.what == "numpy":
            loss = loss * float(functional_loss.detach().numpy())
        return loss


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("item", r"its training step calls \.item\(\)"),
        ("branch", "or branches on a tensor's value"),
        ("batch_idx", "its training step reads batch_idx"),
        ("epoch", "its training step reads its trainer, or the number of the step or epoch"),
        ("memory", r"its training step keeps something for later in self\.seen"),
        ("noise", "draws random numbers other than dropout's"),
        ("metric value", "its training step"),
        ("numpy", "its training step"),
    ],
)
def test_a_step_that_cannot_be_batched_trains_alone_with_the_reason(
    compose_config, tmp_path, with_models, what, reason
):
    with_models(lambda number: Reads(what))
    together = train_together([composed(compose_config, tmp_path, number) for number in range(2)])
    assert len(together.lines) == 1
    assert "train alone" in together.lines[0]
    assert re.search(reason, together.lines[0]), together.lines
    assert len(together.outcomes) == 2
    assert all(outcome.epochs == 1 for outcome in together.outcomes)


def test_a_hyper_parameter_that_differs_and_is_read_keeps_jobs_apart(compose_config, tmp_path, with_models):
    class Chooses(pl.LightningModule):
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            return loss if self.hparams.kind == "plain" else 2 * loss

        def validation_step(self, batch, batch_idx):
            self.log("val/acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    with_models(lambda number: Chooses("plain" if number else "double"))
    together = train_together([composed(compose_config, tmp_path, number) for number in range(2)])
    assert "self.hparams.kind, in which the jobs differ" in together.lines[0]
    assert len(together.outcomes) == 2


class Net(pl.LightningModule):
    """A small network whose hooks may do to it what they like."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.weight_of_loss = 1.0
        self.class_weights = torch.ones(10)
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(784, 8), torch.nn.BatchNorm1d(8)
        )
        self.last = torch.nn.Linear(8, 10)

    def features(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        logits = self.last(self.features(batch[0]))
        return self.weight_of_loss * torch.nn.functional.cross_entropy(logits, batch[1], weight=self.class_weights)

    def validation_step(self, batch, batch_idx):
        self.log("val/acc", (self.last(self.net(batch[0])).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def _new_last_layer(net: Net) -> None:
    net.last = torch.nn.Linear(8, 10, dtype=torch.float64)
    net.trainer.optimizers[0].param_groups[0]["params"] = list(net.parameters())


CHANGES = {
    "a number": lambda net: setattr(net, "weight_of_loss", 0.1),
    "dropout": lambda net: setattr(net.net[1], "p", 0.5),
    "a tensor": lambda net: setattr(net, "class_weights", torch.linspace(0, 2, 10, dtype=torch.float64)),
    "what is trained": lambda net: net.net[2].requires_grad_(False),
    "the mode of a layer": lambda net: net.net[3].eval(),
    "a layer": _new_last_layer,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_hook_changes_between_two_epochs_holds_from_there_on(compose_config, tmp_path, with_models, what):
    class Changes(Net):
        def on_train_epoch_start(self):
            self.class_weights = self.class_weights.double()
            if self.current_epoch:
                torch.manual_seed(2)
                CHANGES[what](self)

    with_models(lambda number: Changes())
    case = ("trainer.precision=64-true", "trainer.max_epochs=2")
    together = train_together([composed(compose_config, tmp_path / "fused", n, *case) for n in range(2)])
    assert "train as one" in together.lines[0]
    changed = "goes on alone: its model or optimiser was changed between two epochs"
    assert together.lines[1:] == [f"job job {number} {changed}" for number in range(2)]
    for number, run in enumerate(together.runs):
        solo, _ = train_alone(composed(compose_config, tmp_path / "solo", number, *case))
        assert difference(run, solo) < 1e-10


def test_a_layer_that_a_hook_keeps_out_of_training_mode_stays_so_in_a_program(compose_config, tmp_path, with_models):
    class Frozen(Net):
        def on_train_epoch_start(self):
            self.net[3].eval()

    with_models(lambda number: Frozen())
    together = train_together([composed(compose_config, tmp_path / "fused", number) for number in range(2)])
    assert len(together.lines) == 1
    assert "train as one" in together.lines[0]
    assert all(torch.equal(run.model.net[3].running_mean, torch.zeros(8)) for run in together.runs)


class HookOnTensor(Net):
    def features(self, x):
        features = super().features(x)
        if self.training:
            features.register_hook(lambda gradient: 0.1 * gradient)
        return features


def _with_hook(on: str) -> Net:
    if on == "tensor":
        return HookOnTensor()
    net = Net()
    if on == "parameter":
        net.last.weight.register_hook(lambda gradient: 0.1 * gradient)
    elif on == "accumulated":
        net.last.weight.register_post_accumulate_grad_hook(lambda parameter: setattr(parameter, "grad", None))
    else:
        net.last.register_full_backward_hook(lambda module, inwards, outwards: (0.1 * inwards[0],))
    return net


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        ("tensor", "its training step puts a hook on a gradient"),
        ("parameter", r"its parameter last\.weight has a hook for its gradient"),
        ("accumulated", r"its parameter last\.weight has a hook for its gradient"),
        ("layer", "its layer last has a hook for gradients"),
    ],
)
def test_hooks_on_gradients_are_called_as_alone(compose_config, tmp_path, with_models, on, reason):
    with_models(lambda number: _with_hook(on))
    together = train_together([composed(compose_config, tmp_path / "fused", number) for number in range(2)])
    assert re.search(f"alone: {reason}", together.lines[0]), together.lines
    for number, run in enumerate(together.runs):
        solo, _ = train_alone(composed(compose_config, tmp_path / "solo", number))
        assert difference(run, solo) == 0


@pytest.mark.parametrize("is_buffer", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_tensor_that_a_step_carries_along_is_as_alone(compose_config, tmp_path, with_models, is_buffer, in_place):
    class Carries(Net):
        def __init__(self) -> None:
            super().__init__()
            mean = torch.zeros(8)
            self.register_buffer("mean", mean) if is_buffer else setattr(self, "mean", mean)

        def features(self, x):
            features = super().features(x)
            if self.training:
                mean = 0.9 * self.mean + 0.1 * features.detach().mean(0)
                self.mean = self.mean.copy_(mean) if in_place else mean
            return features - self.mean

    with_models(lambda number: Carries())
    together = train_together([composed(compose_config, tmp_path / "fused", number) for number in range(2)])
    assert ("train as one" in together.lines[0]) == (is_buffer and in_place), together.lines
    for number, run in enumerate(together.runs):
        solo, _ = train_alone(composed(compose_config, tmp_path / "solo", number))
        assert torch.allclose(run.model.mean, solo.model.mean, atol=1e-5)
        assert run.model.mean.abs().max() > 0
