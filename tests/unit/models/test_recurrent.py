import numpy as np
import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.recurrent import Recurrent

SPEC = {"task": "classification", "input_shape": [2, 3, 4], "num_outputs": 5, "metric": "val/acc", "mode": "max"}
POINTS = {"task": "regression", "input_shape": [6], "num_outputs": 1, "metric": "val/loss", "mode": "min"}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _weights(model: Recurrent) -> list[np.ndarray]:
    return [parameter.detach().numpy() for parameter in model.cell.parameters()]


def test_an_rnn_follows_elmans_recurrence() -> None:
    torch.manual_seed(0)
    model = Recurrent(spec=SPEC, cell="rnn", hidden=6).double()
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    w_in, w_state, b_in, b_state = _weights(model)
    state = np.zeros((2, 6))
    for row in range(3):
        state = np.tanh(x.numpy()[:, :, row].reshape(2, 8) @ w_in.T + b_in + state @ w_state.T + b_state)
    expected = state @ model.head.weight.detach().numpy().T + model.head.bias.detach().numpy()
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-9)


def test_an_lstm_follows_its_equations_and_remembers_by_its_bias() -> None:
    torch.manual_seed(0)
    model = Recurrent(spec=SPEC, cell="lstm", hidden=6, keep_bias=1.0, readout="mean").double()
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    w_in, w_state, _, _ = _weights(model)
    state, memory, states = np.zeros((2, 6)), np.zeros((2, 6)), []
    for row in range(3):
        gates = x.numpy()[:, :, row].reshape(2, 8) @ w_in.T + state @ w_state.T
        take, keep, new, show = np.split(gates, 4, axis=1)
        # The forget gate's bias is 1, all others are 0.
        memory = _sigmoid(keep + 1.0) * memory + _sigmoid(take) * np.tanh(new)
        state = _sigmoid(show) * np.tanh(memory)
        states.append(state)
    seen = torch.from_numpy(np.mean(states, axis=0))
    torch.testing.assert_close(model(x), model.head(seen), rtol=1e-9, atol=1e-12)


def test_a_gru_keeps_its_state_where_the_update_gate_says_so() -> None:
    torch.manual_seed(0)
    model = Recurrent(spec=SPEC, cell="gru", hidden=6, keep_bias=2.0).double()
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    w_in, w_state, _, _ = _weights(model)
    state = np.zeros((2, 6))
    for row in range(3):
        reset_in, keep_in, new_in = np.split(x.numpy()[:, :, row].reshape(2, 8) @ w_in.T, 3, axis=1)
        reset_state, keep_state, new_state = np.split(state @ w_state.T, 3, axis=1)
        keep = _sigmoid(keep_in + keep_state + 2.0)
        new = np.tanh(new_in + _sigmoid(reset_in + reset_state) * new_state)
        state = (1 - keep) * new + keep * state
    torch.testing.assert_close(model(x), model.head(torch.from_numpy(state)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", GATES)
def test_recurrent_weights_start_orthogonal_gate_by_gate(cell: str) -> None:
    model = Recurrent(spec=SPEC, cell=cell, hidden=6)
    for gate in model.cell.weight_hh_l0.detach().split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)


def test_the_default_initialisation_is_torchs() -> None:
    torch.manual_seed(5)
    ours = Recurrent(spec=SPEC, cell="gru", hidden=6, init="default").cell
    torch.manual_seed(5)
    theirs = torch.nn.GRU(8, 6)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_number_of_parameters_is_that_of_the_formula(cell: str, bidirectional: bool) -> None:
    model = Recurrent(spec=SPEC, cell=cell, hidden=6, layers=2, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    first = GATES[cell] * (8 * 6 + 6 * 6 + 2 * 6)
    second = GATES[cell] * (6 * directions * 6 + 6 * 6 + 2 * 6)
    assert _count(model) == directions * (first + second) + 6 * directions * 5 + 5


def test_both_directions_have_read_everything_when_the_head_looks() -> None:
    torch.manual_seed(0)
    model = Recurrent(spec=SPEC, cell="rnn", hidden=6, bidirectional=True)
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    states, _ = model.cell(model.sequence(x))
    # The forward state after the last row, the backward state after the first.
    seen = torch.cat((states[:, -1, :6], states[:, 0, 6:]), dim=1)
    torch.testing.assert_close(model(x), model.head(seen))


def test_rows_are_time_steps_from_top_to_bottom() -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    model = Recurrent(spec=SPEC, cell="rnn", hidden=2)
    rows = [[0, 1, 2, 3, 12, 13, 14, 15], [4, 5, 6, 7, 16, 17, 18, 19], [8, 9, 10, 11, 20, 21, 22, 23]]
    assert model.sequence(x)[0].tolist() == rows


def test_pixels_are_time_steps_in_reading_order() -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    model = Recurrent(spec=SPEC, cell="rnn", hidden=2, by="pixels")
    assert model.sequence(x)[0].tolist() == [[pixel, 12 + pixel] for pixel in range(12)]
    assert model(x).shape == (1, 5)


def test_permuted_pixels_are_read_in_one_order_fixed_by_its_seed() -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    options = {"spec": SPEC, "cell": "rnn", "hidden": 2, "by": "permuted_pixels"}
    torch.manual_seed(1)
    first = Recurrent(**options).sequence(x)[0, :, 0]
    torch.manual_seed(2)
    same, other = (Recurrent(**options, permutation_seed=seed).sequence(x)[0, :, 0] for seed in (0, 1))
    assert sorted(first.tolist()) == list(range(12))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_features_are_read_one_at_a_time() -> None:
    model = Recurrent(spec=POINTS, cell="gru", hidden=2, by="features")
    assert model.sequence(torch.arange(6.0).view(1, 6)).tolist() == [[[0], [1], [2], [3], [4], [5]]]
    assert model(torch.randn(3, 6)).shape == (3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "ltsm"}, r"cell must be one of gru, lstm, rnn; got 'ltsm' \(did you mean lstm\?\)"),
        ({"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        ({"layers": 1.5}, "layers must be an integer >= 1, got 1.5"),
        ({"bidirectional": 2}, "bidirectional must be true or false, got 2"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"by": "row"}, r"by must be one of .* rows; got 'row' \(did you mean rows\?\)"),
        ({"by": "features"}, "model.by=features is for data without rows and columns; use model.by=rows for images"),
        ({"readout": "first"}, "readout must be one of last, mean; got 'first'"),
        ({"init": "he"}, "init must be one of chrono, default, orthogonal; got 'he'"),
        ({"keep_bias": "high"}, "keep_bias must be a number, got 'high'"),
        ({"permutation_seed": -1}, "permutation_seed must be an integer >= 0, got -1"),
        ({"activation": "relu"}, "activation=relu is for model=rnn; the gates of lstm need activation=tanh"),
        ({"cell": "rnn", "activation": "gelu"}, "activation must be one of relu, tanh; got 'gelu'"),
    ],
)
def test_a_bad_argument_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recurrent(spec=SPEC, **options)


def test_reading_numbers_by_rows_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"model.by=rows is for images, .* \[6\]; use model.by=features to read"):
        Recurrent(spec=POINTS)


def test_a_sequence_of_one_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"read sequences, .* shape \[1\]; use model=mlp"):
        Recurrent(spec={**POINTS, "input_shape": [1]})


def test_chrono_gates_remember_for_one_step_up_to_the_whole_sequence() -> None:
    torch.manual_seed(0)
    spec = {**SPEC, "input_shape": [1, 10, 10]}
    for cell, gates in (("lstm", 4), ("gru", 3)):
        model = Recurrent(spec=spec, cell=cell, hidden=400, by="pixels", init="chrono")
        bias = model.cell.bias_ih_l0.detach().split(400)
        steps = bias[1].exp()
        # Uniform from 1 to T - 1 = 99 steps: the mean is 50, its deviation 98 / sqrt(12 * 400) = 1.4.
        assert 1 <= float(steps.min()) < 3
        assert 96 < float(steps.max()) <= 99
        assert float(steps.mean()) == pytest.approx(50, abs=6)
        others = [number for number in range(gates) if number != 1]
        if cell == "lstm":
            torch.testing.assert_close(bias[0], -bias[1])
            others.remove(0)
        assert all(not bias[number].any() for number in others)
        assert not model.cell.bias_hh_l0.any()


def test_a_chrono_lstm_still_knows_its_first_pixel_at_the_end_of_the_image() -> None:
    torch.manual_seed(0)
    spec = {**SPEC, "input_shape": [1, 14, 14]}
    kept = {}
    for init in ("orthogonal", "chrono"):
        model = Recurrent(spec=spec, cell="lstm", hidden=64, by="pixels", init=init)
        x = torch.randn(8, 1, 14, 14, requires_grad=True)
        (slope,) = torch.autograd.grad(model(x).square().sum(), x)
        first, *_, last = slope.flatten(1).norm(dim=0).tolist()
        kept[init] = first / last
    assert kept["orthogonal"] < 0.003
    assert kept["chrono"] > 0.03


def test_chrono_is_refused_where_there_are_no_gates() -> None:
    with pytest.raises(ConfigError, match="init=chrono sets the gates of lstm and gru, and rnn has none"):
        Recurrent(spec=SPEC, cell="rnn", init="chrono")
