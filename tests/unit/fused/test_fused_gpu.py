"""Members of a fused sweep on a CUDA device against their solo runs there; run with ``pytest -m gpu``."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from fused_runs import SMALL, Together, difference, train_alone, train_together, vary
from omegaconf import DictConfig
from torch import Tensor, nn

from fulgurite import build as building
from fulgurite.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.gpu
ON_GPU = tuple("trainer=gpu" if each == "trainer=cpu" else each for each in SMALL)
MEMBERS = (("seed=1", "optimizer.lr=0.003"), ("seed=2", "optimizer.lr=0.01"), ("seed=2", "optimizer.lr=0.001"))
MLP = ("model=mlp", "model.hidden=[8]", "model.dropout=0.1")
CASES = {
    "mlp": ("model=mlp", "model.hidden=[12,9]"),
    # Not with Adam: see test_equality.py.
    "mlp, batch norm": ("model=mlp", "model.hidden=[12]", "model.norm=batch", "optimizer=sgd"),
    "mlp, dropout": ("model=mlp", "model.hidden=[12,9]", "model.dropout=0.3"),
    "linear": ("model=linear",),
    "cnn, batch norm and dropout": ("model=cnn", "model.channels=[4,6]", "model.dropout=0.2"),
    "cnn, average": ("model=cnn", "model.channels=[4]", "model.norm=none", "model.head=average", "model.pooling=avg"),
    "lenet5": ("model=lenet5",),
    "rnn": ("model=rnn", "model.hidden=8", "model.activation=relu"),
    "lstm": ("model=lstm", "model.hidden=8", "model.layers=2", "model.bidirectional=true"),
    "gru": ("model=gru", "model.hidden=8", "model.readout=mean", "model.dropout=0.3"),
    "sgd": (*MLP, "optimizer=sgd", "optimizer.nesterov=true", "optimizer.weight_decay=0.01"),
    "adam": (*MLP, "optimizer=adam", "optimizer.weight_decay=0.01"),
    "adamw": (*MLP, "optimizer=adamw", "optimizer.weight_decay=0.1"),
    "rmsprop": (*MLP, "optimizer=rmsprop", "optimizer.momentum=0.5", "optimizer.centered=true"),
    "an optimiser of its own for each": (*MLP, "optimizer=adam", "+optimizer.amsgrad=true"),
    "clipped": (*MLP, "optimizer=sgd", "trainer.gradient_clip_val=0.1"),
    "accumulated": (*MLP, "trainer.accumulate_grad_batches=3"),
    "one cycle": (*MLP, "scheduler=one_cycle"),
    "affine": (*MLP, "augmentation=affine"),
    "elastic": (*MLP, "augmentation=elastic"),
}
# Recurrent layers compile for a minute.
COMPILED = ("mlp, dropout", "cnn, batch norm and dropout")

Jobs = Callable[..., list[DictConfig]]


class Plain(pl.LightningModule):
    """A user's own module: it draws from one generator, step after step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val/acc", (self.layers(batch[0]).argmax(1) == batch[1]).double().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.fixture
def jobs(compose_config, tmp_path) -> Jobs:
    """Configs of three jobs in folders of their own."""

    def composed(kind: str, *case: str, members: Sequence[Sequence[str]] = MEMBERS) -> list[DictConfig]:
        alike = compose_config(*ON_GPU, *case)
        return [vary(alike, tmp_path / kind / str(number), *each) for number, each in enumerate(members)]

    return composed


def assert_equal_to_solo(together: Together, configs: Sequence[DictConfig], tolerance: float = 1e-10) -> None:
    assert not together.errors
    assert "train as one" in " ".join(together.lines), together.lines
    for run, cfg in zip(together.runs, configs, strict=True):
        assert difference(run, train_alone(cfg)[0]) < tolerance


@pytest.mark.parametrize("case", CASES)
def test_each_member_trains_as_it_does_alone(jobs, case):
    options = (*CASES[case], "trainer.precision=64-true")
    assert_equal_to_solo(train_together(jobs("fused", *options)), jobs("solo", *options))


def test_dropout_may_differ_between_members(jobs):
    members = (("seed=1", "model.dropout=0.1"), ("seed=1", "model.dropout=0.0"), ("seed=2", "model.dropout=0.5"))
    options = ("model=mlp", "model.hidden=[12]", "trainer.precision=64-true")
    together = train_together(jobs("fused", *options, members=members))
    assert_equal_to_solo(together, jobs("solo", *options, members=members))


@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_program_trains_each_member_as_it_does_alone(jobs, case):
    options = (*CASES[case], "trainer.precision=64-true")
    together = train_together(jobs("fused", *options), compile=True)
    assert not [line for line in together.lines if "not compiled" in line], together.lines
    assert_equal_to_solo(together, jobs("solo", *options))


@pytest.mark.parametrize("shape", [(64, 128), (25, 9), (7,), (3, 5, 11)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_masks_are_those_of_dropout_in_the_same_state(shape, dtype):
    from fulgurite.fused.device import draw_mask

    ones = torch.ones(shape, dtype=dtype, device="cuda")
    torch.cuda.manual_seed(5)
    expected = [nn.functional.dropout(ones, p) for p in (0.3, 0.6)]
    generator = torch.Generator("cuda").manual_seed(5)
    before = torch.cuda.get_rng_state()
    masks = [ones.clone() for _ in expected]
    for mask, p in zip(masks, (0.3, 0.6), strict=True):
        draw_mask(mask, p, generator)
    assert all(torch.equal(mask, wanted) for mask, wanted in zip(masks, expected, strict=True))
    assert torch.equal(before, torch.cuda.get_rng_state())


def test_a_module_that_goes_on_drawing_from_one_generator_draws_as_alone(jobs, monkeypatch):
    monkeypatch.setattr(building, "build_model", lambda cfg: Plain())
    options = ("trainer.precision=64-true",)
    assert_equal_to_solo(train_together(jobs("fused", *options)), jobs("solo", *options))


def test_dropout_between_the_layers_of_cudnn_trains_alone_with_the_reason(jobs):
    options = ("model=lstm", "model.hidden=8", "model.layers=2", "model.dropout=0.3")
    together = train_together(jobs("fused", *options))
    assert not together.errors
    assert "train alone: its training step cannot be batched: cuDNN's dropout" in together.lines[0], together.lines


@pytest.mark.parametrize("case", ["mlp", "cnn, batch norm and dropout", "gru"])
def test_members_in_bfloat16_are_as_near_to_float32_as_their_solo_runs_are(jobs, case):
    exact = [_parameters(train_alone(cfg)[0].model) for cfg in jobs("exact", *CASES[case])]
    options = (*CASES[case], "trainer.precision=bf16-mixed")
    solo = [_parameters(train_alone(cfg)[0].model) for cfg in jobs("solo", *options)]
    together = train_together(jobs("fused", *options))
    assert "train as one" in " ".join(together.lines), together.lines
    fused = [_parameters(run.model) for run in together.runs]
    # Three times, as in test_envelope.py.
    assert statistics.median(_distances(fused, exact)) <= 3 * max(_distances(solo, exact))
    assert max(_distances(fused, exact)) >= statistics.median(_distances(solo, exact)) / 3


def _parameters(model: nn.Module) -> Tensor:
    return torch.cat([each.detach().cpu().double().flatten() for each in model.parameters()])


def _distances(some: Sequence[Tensor], others: Sequence[Tensor]) -> list[float]:
    return [float((one - other).square().mean().sqrt()) for one, other in zip(some, others, strict=True)]


def test_the_probe_times_what_the_device_does(jobs):
    members = [(f"seed={number}",) for number in range(16)]
    options = ("model=mlp", "model.hidden=[32]", "trainer.max_epochs=4")
    together = train_together(jobs("fused", *options, members=members), probe=True)
    # Sixteen small networks in as many launches as one.
    assert "train as one" in together.lines[0], together.lines


def test_jobs_on_different_devices_do_not_share_their_tensors(jobs):
    members = [("seed=1", "trainer.accelerator=cpu"), ("seed=1",), ("seed=2",)]
    options = ("model=mlp", "model.hidden=[8]", "trainer.precision=64-true")
    together = train_together(jobs("fused", *options, members=members))
    assert not together.errors
    assert difference(together.runs[0], together.runs[1]) < 1e-8


def test_a_members_checkpoint_loads_on_a_cpu_and_goes_on_alone(jobs, tmp_path):
    options = (*MLP, "trainer.precision=64-true", "scheduler=constant")
    train_together(jobs("fused", *options))
    path = tmp_path / "fused" / "0" / "checkpoints" / "last.ckpt"
    content = load_checkpoint(path)
    assert {each.device.type for each in content["state_dict"].values()} == {"cpu"}
    whole, _ = train_alone(jobs("whole", *options, "trainer.max_epochs=2")[0])
    cfg = jobs("on", *options, "trainer.max_epochs=2")[0]
    on, _ = train_alone(vary(cfg, Path(cfg.folder), f"checkpoint={path}"))
    assert difference(on, whole) < 1e-10
