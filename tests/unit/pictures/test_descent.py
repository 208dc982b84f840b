"""The path of descent, and the loss surface that it is drawn on."""

from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from fulgurite.build import Run, build
from fulgurite.callbacks.descent_path import DescentPath
from fulgurite.errors import ConfigError
from fulgurite.figures.colours import VIRIDIS, WRONG, Scale
from fulgurite.figures.panel import PLOT_BESIDE_LEGEND as BOX
from fulgurite.figures.surface import cell_middles, surface
from fulgurite.fit import fit
from fulgurite.pictures.descent import losses_at, path_of, principal_axes, sides
from fulgurite.pictures.scene import Scene
from fulgurite.pictures.seen import Seen

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

LINE = ("experiment=linear_regression", "trainer=cpu", "logger=none", "callbacks.progress=null", "test=false")


def trained(compose_config, *words: str, **folder: Path) -> Run:
    run = build(compose_config(*LINE, "callbacks.pictures.strict=true", *words, **folder))
    fit(run)
    return run


def points(run: Run) -> tuple[np.ndarray, np.ndarray]:
    part = run.data.part("train")
    return run.data.encode(part.x).double().numpy()[:, 0], part.y.double().numpy()[:, 0]


def test_each_mark_of_the_path_is_a_step_of_gradient_descent_after_the_one_before(compose_config):
    run = trained(compose_config, "trainer.max_epochs=6", "callbacks.pictures.enabled=false")
    (x, y), w, b = points(run), 0.0, 0.0
    expected = [(w, b)]
    for _ in range(6):
        errors = w * x + b - y
        w, b = w - 0.1 * float((2 * errors * x).mean()), b - 0.1 * float((2 * errors).mean())
        expected.append((w, b))
    np.testing.assert_allclose(path_of(run.trainer).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_surface_of_a_line_is_its_mean_squared_error_at_each_place(compose_config):
    run = trained(compose_config, "trainer.max_epochs=1", "callbacks.pictures.enabled=false")
    (x, y), places = points(run), [(0.0, 0.0), (1.0, -2.0), (1.15, 1.0)]
    scene = Scene(run.trainer, run.model, Seen(), 1)
    expected = [np.mean((w * x + b - y) ** 2) for w, b in places]
    np.testing.assert_allclose(losses_at(scene, torch.tensor(places)).numpy(), expected, rtol=1e-5)


def test_the_surface_of_a_network_is_the_loss_that_it_has_with_those_weights(compose_config):
    network = ("data=iris", "model=mlp", "model.hidden=[4]", "callbacks.descent_path.max_weights=100")
    words = (*network, "logger=none", "callbacks.progress=null", "test=false", "trainer.max_epochs=2")
    run = build(compose_config(*words))
    fit(run)
    path, part = path_of(run.trainer), run.data.part("train")
    run.model.eval()
    with torch.no_grad():
        expected = run.model.loss(run.model(run.data.encode(part.x)), part.y)
        found = losses_at(Scene(run.trainer, run.model, Seen(), 2), path)
    # Weights and biases of 4-4-3, and the normalisation's; the last place is where it is now.
    assert path.shape == (3, 4 * 4 + 4 + 2 * 4 + 4 * 3 + 3)
    assert found[-1].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found[0] > found[-1]


@pytest.mark.slow
def test_the_picture_of_the_preset_ends_in_the_deepest_band(compose_config, tmp_path):
    trained(compose_config, "trainer.max_epochs=25")
    pixels = np.asarray(Image.open(tmp_path / "figures" / "surface.png").convert("RGB")).astype(int)
    inside = pixels[BOX.top : BOX.top + BOX.height, BOX.left : BOX.left + BOX.width]
    red = np.argwhere(np.abs(inside - WRONG).sum(axis=2) < 60)
    # The dot is larger than the marks: where most red is, there is it.
    row, column = np.median(red, axis=0).astype(int)
    beside = inside[max(0, row - 18) : row + 18, max(0, column - 18) : column + 18].reshape(-1, 3)
    deepest = VIRIDIS[-5].astype(int)
    assert (np.abs(beside - deepest).sum(axis=1) < 60).mean() > 0.3


def test_a_run_that_goes_on_goes_on_with_its_path(compose_config, tmp_path):
    quiet, first = ("callbacks.pictures.enabled=false",), tmp_path / "first"
    whole = path_of(trained(compose_config, "trainer.max_epochs=6", *quiet, folder=tmp_path / "whole").trainer)
    trained(compose_config, "trainer.max_epochs=3", *quiet, folder=first)
    words = ("trainer.max_epochs=6", f"checkpoint='{first / 'checkpoints' / 'last.ckpt'}'")
    second = trained(compose_config, *words, *quiet, folder=tmp_path / "second")
    torch.testing.assert_close(path_of(second.trainer), whole)


def test_of_a_larger_network_no_path_is_kept(compose_config):
    run = trained(compose_config, "data.num_features=2", "data.weights=null", "trainer.max_epochs=1")
    kept = next(each for each in run.trainer.callbacks if isinstance(each, DescentPath))  # type: ignore[attr-defined]
    assert kept.descent_path.numel() == 0
    assert kept.state_dict() == {}


def test_of_a_long_path_every_second_place_is_forgotten_but_never_the_last():
    path, model = DescentPath(), pl.LightningModule()
    model.weight = torch.nn.Parameter(torch.zeros(1))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    path.on_train_start(trainer, model)
    for epoch in range(1003):
        model.weight.data.fill_(epoch + 1)
        trainer.fit_loop.epoch_progress.current.completed = epoch
        path.on_train_epoch_end(trainer, model)
    assert path.descent_path[:, 0].tolist() == [*range(0, 1001, 8), 1003]


def test_principal_axes_of_a_path_in_a_plane_hold_all_of_it():
    torch.manual_seed(0)
    plane, flat = torch.linalg.qr(torch.randn(7, 2, dtype=torch.float64)).Q.T, torch.randn(9, 2, dtype=torch.float64)
    steps = flat @ plane
    axes, told = principal_axes(steps)
    assert told == pytest.approx(1)
    torch.testing.assert_close(steps @ axes.T @ axes, steps)
    assert principal_axes(torch.diag(torch.tensor([3.0, 2.0, 1.0])))[1] == pytest.approx(13 / 14)


def test_a_path_along_one_axis_has_a_plane_round_it():
    x, y = sides(np.array([[0.0, 5.0], [4.0, 5.0]]))
    assert x == pytest.approx((2 - 4 * 0.85, 2 + 4 * 0.85))
    assert y == pytest.approx((5 - 2 * 0.85, 5 + 2 * 0.85))


def test_a_height_is_drawn_where_it_is():
    x, y = (0.0, 10.0), (-1.0, 1.0)
    across, up = cell_middles(x, 20), cell_middles(y, 20)
    assert across[2:5] == pytest.approx([0.25, 0.75, 1.25])
    heights = np.where((across[None, :] > 7) & (up[:, None] > 0.4), 1.0, 0.0)
    scale, names = Scale(VIRIDIS, 0.0, 1.0), ("x", "y")
    path = np.array([[1.0, -0.9], [2.0, -0.9]])
    pixels = surface(heights, path, title="t", subtitle="", x=x, y=y, scale=scale, names=names).astype(int)

    def at(across: float, up: float) -> np.ndarray:
        return pixels[BOX.top + round((1 - up) * BOX.height), BOX.left + round(across * BOX.width)]

    # Bands are coloured by their middles.
    top, bottom = scale(np.array([13.5 / 14, 0.5 / 14])).astype(int)
    assert np.abs(at(0.9, 0.9) - top).max() <= 2
    assert np.abs(at(0.5, 0.9) - bottom).max() <= 2
    assert np.abs(at(0.9, 0.5) - bottom).max() <= 2
    assert np.abs(at(0.2, 0.05) - WRONG).max() <= 2


def test_a_number_of_weights_below_0_is_refused():
    with pytest.raises(ConfigError, match="max_weights must be an integer >= 0, got -1"):
        DescentPath(max_weights=-1)
