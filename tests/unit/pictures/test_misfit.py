import numpy as np
import pytest
import torch

from fulgurite.job import run_job
from fulgurite.pictures.misfit import kinks

PLACES = np.linspace(-5, 5, 1001)


def relu(x):
    return np.maximum(x, 0)


def test_kinks_are_where_the_slope_of_a_relu_network_changes():
    curve = 2 * relu(PLACES - 1.004) - relu(PLACES + 3) + 0.5 * PLACES
    assert PLACES[kinks(curve.astype(np.float32))] == pytest.approx([-3, 1], abs=0.01)


def test_a_smooth_curve_has_no_kinks():
    assert not len(kinks(np.tanh(PLACES) + PLACES**2))


@pytest.mark.parametrize("curve", [np.full(100, 3.0), np.full(100, np.nan)])
def test_a_constant_and_a_lost_curve_have_no_kinks(curve):
    assert not len(kinks(curve))


def test_the_kinks_found_are_those_of_a_layer_of_units():
    """Unit i bends where w_i x + b_i = 0."""
    torch.manual_seed(0)
    first, second = torch.nn.Linear(1, 6), torch.nn.Linear(6, 1)
    with torch.no_grad():
        first.bias.copy_(torch.linspace(-4, 4, 6) * first.weight[:, 0])
        second.weight.copy_(torch.tensor([[1.0, -2.0, 1.5, 1.0, -1.0, 2.0]]) / first.weight[:, 0].abs())
        x = torch.from_numpy(PLACES).float().unsqueeze(1)
        found = PLACES[kinks(second(first(x).relu())[:, 0].numpy())]
    assert found == pytest.approx(np.linspace(-4, 4, 6), abs=0.011)


def test_a_run_on_a_known_curve_draws_its_misfit(compose_config, tmp_path):
    pictures = ["callbacks.pictures.strict=true", "callbacks.pictures.share_of_time=1"]
    words = ["data=quadratic", "model=mlp", "model.hidden=[8]", "trainer.max_epochs=1", "data.passes_per_epoch=5"]
    assert run_job(compose_config(*words, *pictures), []).status == "finished"
    assert (tmp_path / "figures" / "misfit.png").is_file()
