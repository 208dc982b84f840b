"""A solo run on a CUDA device; run with ``pytest -m gpu``."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from fulgurite.build import Run, build
from fulgurite.data.augmentation import transform
from fulgurite.data.batches import BatchLoader
from fulgurite.fit import Outcome, fit
from fulgurite.log import log_to
from fulgurite.models.mlp import MLP
from fulgurite.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
SMALL = (
    "trainer=gpu",
    "trainer.max_epochs=1",
    "data.train_subset=5000",
    "data.batch_size=50",
    "callbacks.progress=null",
    "logger=csv",
    "test=false",
)
MODELS = {
    "mlp": ("model=mlp",),
    "cnn": ("model=cnn", "model.channels=[8,16]"),
    "lstm": ("model=lstm", "model.hidden=64"),
}
# Validation accuracies on a CPU after the same epoch: 0.91, 0.95 and 0.76.
AT_LEAST = {"mlp": 0.85, "cnn": 0.85, "lstm": 0.5}
DOUBLE = ("model=mlp", "model.hidden=[16]", "trainer.precision=64-true", "scheduler=constant")


@pytest.fixture
def trained(compose_config, tmp_path) -> Callable[..., tuple[Run, Outcome]]:
    def train(name: str, *overrides: str) -> tuple[Run, Outcome]:
        cfg: DictConfig = compose_config(*SMALL, *overrides, folder=tmp_path / name)
        Path(cfg.folder).mkdir()
        with log_to(Path(cfg.folder)):
            run = build(cfg)
            return run, fit(run)

    return train


def difference(one: Run, other: Run) -> float:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return max(float((a.cpu().double() - b.cpu().double()).abs().max()) for a, b in pairs if a.numel())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("model", MODELS)
def test_each_model_learns(trained, model, precision):
    run, outcome = trained("run", *MODELS[model], f"trainer.precision={precision}")
    assert run.data.part("train").x.device.type == DEVICE
    assert outcome.metrics["val/acc"] > AT_LEAST[model]
    assert {each.dtype for each in run.model.parameters()} == {torch.float32}


def test_a_run_in_float64_is_the_cpus(trained):
    # The initialisation and the order are drawn on the CPU.
    on_gpu, _ = trained("gpu", *DOUBLE)
    on_cpu, _ = trained("cpu", *DOUBLE, "trainer=cpu")
    assert difference(on_gpu, on_cpu) < 1e-8


@pytest.mark.parametrize("augmentation", ["none", "affine"])
def test_a_run_that_goes_on_draws_what_it_would_have_drawn(trained, tmp_path, augmentation):
    options = (*DOUBLE, "model.dropout=0.3", f"augmentation={augmentation}")
    whole, _ = trained("whole", *options, "trainer.max_epochs=2")
    trained("first", *options)
    checkpoint = tmp_path / "first" / "checkpoints" / "last.ckpt"
    on, _ = trained("on", *options, "trainer.max_epochs=2", f"checkpoint='{checkpoint}'")
    assert difference(on, whole) < 1e-10


def test_a_checkpoint_loads_on_a_cpu(trained):
    run, _ = trained("run", "model=mlp")
    path = run.folder / "checkpoints" / "best.ckpt"
    content = load_checkpoint(path)
    states = content["optimizer_states"][0]["state"].values()
    tensors = [*content["state_dict"].values(), *(each for state in states for each in state.values())]
    assert {each.device.type for each in tensors} == {"cpu"}
    model = MLP.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval()
    x = run.data.encode(run.data.part("val").x[:100])
    with torch.no_grad():
        torch.testing.assert_close(model(x.cpu()), model.to(DEVICE)(x.to(DEVICE)).cpu(), rtol=1e-4, atol=1e-4)


def test_the_order_of_the_samples_is_the_cpus():
    x, y = torch.arange(100.0).view(50, 2), torch.arange(50)

    def targets(device: str) -> list[list[int]]:
        loader = BatchLoader(
            x.to(device), y.to(device), batch_size=8, encode=lambda x: x, train=True, shuffle=True, seed=3
        )
        return [batch[1].tolist() for batch in loader]

    assert targets(DEVICE) == targets("cpu")


def test_what_is_drawn_for_a_batch_depends_on_seed_epoch_and_batch_alone():
    x, y = torch.zeros(40, 4, device=DEVICE), torch.zeros(40, device=DEVICE)
    loaders = [BatchLoader(x, y, batch_size=8, encode=lambda x: x, train=True, seed=3) for _ in range(2)]
    torch.rand(5, device=DEVICE)
    first, again = loaders[0].draws(2, 8), loaders[1].draws(2, 8)
    assert torch.equal(first.uniform(-1, 1, 3), again.uniform(-1, 1, 3))
    assert torch.equal(first.normal(2), again.normal(2))
    halves = [
        BatchLoader(x, y, batch_size=8, encode=lambda x: x, train=True, seed=3, rank=rank, world_size=2)
        for rank in range(2)
    ]
    shares = [each.draws(2, 8).uniform(-1, 1, 3) for each in halves]
    assert torch.equal(torch.cat(shares), loaders[0].draws(2, 8).uniform(-1, 1, 3))


def test_a_transform_by_given_numbers_is_the_cpus():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 28, 28), generator=generator, dtype=torch.uint8)
    numbers = {
        "angle": torch.rand(6, generator=generator) * 40 - 20,
        "shift": torch.rand(6, 2, generator=generator) * 6 - 3,
        "scale": torch.rand(6, generator=generator) + 0.5,
        "shear": torch.rand(6, generator=generator) * 20 - 10,
    }
    there = transform(images.to(DEVICE), **{name: each.to(DEVICE) for name, each in numbers.items()})
    # In grey levels, 0 to 255; a matrix product may round to ten bits of mantissa.
    torch.testing.assert_close(there.cpu(), transform(images, **numbers), rtol=0, atol=0.5)
