"""Images that excite a unit most: the ascent by itself, and the command on a finished run."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fulgurite.build import build
from fulgurite.errors import ConfigError
from fulgurite.job import run_job
from fulgurite.replay.activation_maximisation import Ascent, Pixels, activation, blurred, maximise
from fulgurite.replay.run_folder import open_run
from fulgurite.replay.visualise import main, read_units

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

PLAIN = {"decay": 0.0, "blur": 0.0, "jitter": 0}
PIXELS = Pixels(low=-1.0, high=3.0, ground=-1.0)


def weighted(weights: torch.Tensor):
    """Units that weight pixels, U x 1 x H x W."""
    return lambda x: torch.einsum("nkhw,ukhw->nu", x, weights)


def test_a_unit_that_weights_pixels_wants_the_largest_where_it_is_positive_and_the_least_elsewhere() -> None:
    torch.manual_seed(0)
    weights = torch.randn(3, 1, 6, 6).sign() * (0.5 + torch.rand(3, 1, 6, 6))
    found = maximise(weighted(weights), (1, 6, 6), [2, 0], PIXELS, Ascent(steps=60, **PLAIN))
    torch.testing.assert_close(found, torch.where(weights[[2, 0]] > 0, 3.0, -1.0))


def test_what_excites_nothing_fades_to_the_ground() -> None:
    weights = torch.zeros(1, 1, 6, 6)
    weights[0, 0, 2, 3] = 1.0
    ascent = Ascent(steps=200, decay=0.1, blur=0.0, jitter=0)
    found = maximise(weighted(weights), (1, 6, 6), [0], PIXELS, ascent)[0, 0]
    assert found[2, 3] == pytest.approx(3.0, abs=0.05)
    # Noise of at most 0.4 above the ground, times 0.9, 0.8995, 0.899 ...
    others = found[torch.arange(6) != 2]
    assert float((others + 1).max()) < 1e-3


def test_jitter_makes_no_place_better_than_its_neighbours() -> None:
    weights = torch.zeros(1, 1, 9, 9)
    weights[0, 0, 4, 4] = 1.0
    shifted = maximise(weighted(weights), (1, 9, 9), [0], PIXELS, Ascent(steps=200, decay=0.02, blur=0.0, jitter=1))
    lit = (shifted[0, 0] > 0.0).nonzero()
    assert set(map(tuple, lit.tolist())) == {(row, column) for row in (3, 4, 5) for column in (3, 4, 5)}


def test_the_same_seed_gives_the_same_images() -> None:
    torch.manual_seed(0)
    activate = weighted(torch.randn(1, 1, 6, 6))

    def found(seed: int) -> torch.Tensor:
        return maximise(activate, (1, 6, 6), [0], PIXELS, Ascent(steps=5, seed=seed))

    assert torch.equal(found(1), found(1))
    assert not torch.equal(found(1), found(2))


def test_a_blur_spreads_a_point_as_a_normal_curve_and_leaves_a_plain_image() -> None:
    image = torch.zeros(1, 2, 11, 11)
    image[0, 1, 5, 5] = 1.0
    found = blurred(image, 1.0)
    curve = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    curve /= curve.sum()
    np.testing.assert_allclose(found[0, 1, 2:9, 2:9].numpy(), np.outer(curve, curve), atol=1e-6)
    assert not found[0, 0].any()
    torch.testing.assert_close(blurred(torch.full((1, 1, 5, 5), 0.7), 0.5), torch.full((1, 1, 5, 5), 0.7))


@pytest.mark.parametrize(
    ("words", "layer", "expected"),
    [
        (("model=cnn", "model.channels=[3]"), "net.0", lambda model, x: model.net[0](x).mean(dim=(2, 3))),
        (("model=gru", "model.hidden=5"), "cell", lambda model, x: model.cell(x.squeeze(1))[0].mean(dim=1)),
        (("model=mlp", "head=softmax", "loss=mse"), None, lambda model, x: model(x).log()),
        (("model=mlp", "data=mnist_even", "head=sigmoid"), None, lambda model, x: model(x).logit()),
        (("model=mlp",), None, lambda model, x: model(x)),
    ],
)
def test_an_activation_is_the_mean_over_a_map_over_time_or_the_output(compose_config, words, layer, expected) -> None:
    model = build(compose_config(*words)).model.eval()
    x = torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(activation(model, layer, (1, 28, 28))(x), expected(model, x))


@pytest.mark.parametrize(
    "model", ["mlp", "cnn", "lenet5", "rnn", "lstm", "gru", "linear", "perceptron", "rashid", "rbm", "dbn"]
)
def test_the_outputs_of_every_model_can_be_climbed(compose_config, model) -> None:
    words = ("head=sigmoid", "loss=half_squares") if model == "rashid" else ()
    built = build(compose_config(f"model={model}", "data.scaling=unit", *words)).model.eval().requires_grad_(False)
    # Some start at zero, where no image is better than another.
    for each in built.parameters():
        torch.nn.init.normal_(each, std=0.1)
    activate = activation(built, None, (1, 28, 28))
    climbed = [maximise(activate, (1, 28, 28), [0, 9], PIXELS, Ascent(steps=steps, **PLAIN)) for steps in (1, 20)]
    before, after = (activate(images)[[0, 1], [0, 9]] for images in climbed)
    assert (after > before).all()


def test_a_layer_that_is_gone_through_twice_is_named_once(compose_config) -> None:
    model = build(compose_config("model=dbn", "model.hidden=[4,3]", "data.scaling=unit")).model.eval()
    with pytest.raises(
        ConfigError, match=r"--layer must be one of machines\.0\.up, machines\.1\.up, head, dropout; got"
    ):
        activation(model, "net", (1, 28, 28))


@pytest.mark.parametrize(
    ("text", "units"), [("3", [3]), ("0-3,7", [0, 1, 2, 3, 7]), (" 5 , 5", [5, 5]), ("0-63", list(range(64)))]
)
def test_units_are_numbers_and_ranges(text: str, units: list[int]) -> None:
    assert read_units(text) == units


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "5-2", "1.5", "0-1-2", "²"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--units must be numbers and ranges such as 0-15,20, got"):
        read_units(text)


def test_more_units_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ConfigError, match="--units must be 64 at most"):
        read_units("0-64")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"decay": 1.0}, r"decay must be in \[0, 1\), got 1.0"),
        ({"blur": -1}, "blur must be a number >= 0, got -1"),
        ({"jitter": -1}, "jitter must be an integer >= 0, got -1"),
        ({"rate": 0}, "rate must be a number > 0, got 0"),
    ],
)
def test_a_way_of_climbing_that_leads_nowhere_is_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Ascent(**options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small network that was trained for a moment on a part of MNIST, with TensorBoard."""
    from hydra import compose, initialize_config_dir

    from fulgurite import config

    folder = tmp_path_factory.mktemp("run")
    config.register()
    words = ("model=mlp", "model.hidden=[64]", "model.norm=none", "trainer=cpu", "trainer.max_epochs=3", "test=false")
    few = ("data.train_subset=3000", "callbacks.progress=null", "callbacks.pictures.enabled=false")
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        cfg = compose(config.CONFIG_NAME, overrides=[*words, *few, f"folder='{folder}'"])
    (folder / ".hydra").mkdir()
    OmegaConf.save(cfg, folder / ".hydra" / "config.yaml")
    assert run_job(cfg, []).status == "finished"
    return folder


def test_a_network_recognises_the_images_that_it_likes_best(run) -> None:
    from fulgurite.build import build_model
    from fulgurite.replay.weights import load_weights

    opened = open_run(run)
    model = build_model(opened.cfg)
    load_weights(model, opened.checkpoint("best"))
    model.eval()
    black = float(-0.1307 / 0.3081)
    pixels = Pixels(black, float((1 - 0.1307) / 0.3081), black)
    images = maximise(activation(model, None, (1, 28, 28)), (1, 28, 28), range(10), pixels, Ascent(steps=100))
    assert model(images).argmax(dim=1).tolist() == list(range(10))
    assert images.min() >= pixels.low
    assert images.max() <= pixels.high


def test_the_command_writes_a_picture_and_shows_it_in_tensorboard(run, capsys) -> None:
    assert main([str(run), "--steps", "5"]) == 0
    assert main([str(run), "--steps", "5", "--layer", "net.1", "--units", "0-3,9"]) == 0
    assert "and the picture in TensorBoard" in capsys.readouterr().out
    assert {path.name for path in (run / "visualise").iterdir()} == {"outputs.png", "net.1.png"}
    board = EventAccumulator(str(run))
    board.Reload()
    assert {"viz_inside/excites_outputs", "viz_inside/excites_net.1"} <= set(board.Tags()["images"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layer", "net.7"), "--layer must be one of net.1, net.4, net.0, .*; got 'net.7'"),
        (("--units", "8-12"), "--units must be from 0 to 9, as there are 10 units; got 10"),
        (("--steps", "0"), "steps must be an integer >= 1, got 0"),
    ],
)
def test_what_is_not_there_is_refused(run, words, message) -> None:
    with pytest.raises(ConfigError, match=message):
        main([str(run), *words])


def test_a_run_on_points_is_refused(compose_config, tmp_path) -> None:
    quiet = ("trainer=cpu", "logger=none", "callbacks.progress=null", "test=false", "trainer.max_epochs=1")
    cfg = compose_config("data=iris", "model=mlp", *quiet)
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(cfg, tmp_path / ".hydra" / "config.yaml")
    run_job(cfg, [])
    with pytest.raises(ConfigError, match="visualise makes images, and the samples of .* are none"):
        main([str(tmp_path)])
