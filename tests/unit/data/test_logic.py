"""Logic gates, and labels by the toss of a coin."""

import pytest
import torch

from fulgurite.data.logic import Logic
from fulgurite.data.random_labels import RandomLabels
from fulgurite.errors import ConfigError

SPEC = {"task": "classification", "input_shape": [2], "num_outputs": 2, "metric": "val/acc", "mode": "max"}
COIN = {**SPEC, "input_shape": [10]}


@pytest.mark.parametrize(
    ("gate", "rule"),
    [("and", lambda a, b: a and b), ("or", lambda a, b: a or b), ("xor", lambda a, b: a != b)],
)
def test_each_part_is_the_truth_table_of_the_gate(gate, rule):
    data = Logic(gate=gate, spec=SPEC)
    data.setup("fit")
    data.setup("test")
    for name in ("train", "val", "test"):
        x, y = data.part(name)
        assert sorted(x.tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert [bool(each) for each in y] == [bool(rule(bool(a), bool(b))) for a, b in x.tolist()]


@pytest.mark.parametrize(("gate", "num_inputs"), [("not", 1), ("xor", 2), ("and", 2), ("or", 2)])
def test_the_gate_sizes_data_and_model(gate, num_inputs, compose_config):
    from fulgurite.build import build_data, build_model

    cfg = compose_config("data=logic", "model=perceptron", f"data.gate={gate}")
    data = build_data(cfg)
    data.setup("fit")
    assert build_model(cfg).num_inputs == data.part("train").x.shape[1] == num_inputs


def test_not_turns_its_input_round():
    data = Logic(gate="not", spec={**SPEC, "input_shape": [1]})
    data.setup("fit")
    assert data.part("train").x.flatten().tolist() == [0, 1]
    assert data.part("train").y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate": "xnor"}, r"^gate must be one of and, not, or, xor; got 'xnor' \(did you mean xor\?\)"),
        ({"gate": "not"}, r"^spec\.input_shape must be \[1\] for gate=not, got \[2\]; leave"),
    ],
)
def test_a_gate_that_is_none_or_does_not_fit_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Logic(spec=SPEC, **options)


def test_random_labels_are_of_a_fair_coin_and_do_not_depend_on_the_inputs():
    data = RandomLabels(spec=COIN, num_points=20_000)
    data.setup("fit")
    x, y = data.part("train")
    assert y.double().mean().item() == pytest.approx(0.5, abs=0.015)
    assert x.mean().item() == pytest.approx(0, abs=0.01)
    assert x.std().item() == pytest.approx(1, abs=0.01)
    # Means over 10,000 points each differ by 1 % of a deviation.
    assert (x[y == 1].mean(0) - x[y == 0].mean(0)).abs().max() < 0.05


def test_what_is_to_be_learned_by_heart_is_measured_on_itself_and_the_test_on_others():
    data = RandomLabels(spec=COIN)
    data.setup("fit")
    data.setup("test")
    assert data.part("train").x.shape == (10, 10)
    assert torch.equal(data.part("train").x, data.part("val").x)
    assert torch.equal(data.part("train").y, data.part("val").y)
    seen, unseen = data.part("train").x, data.part("test").x
    assert len(unseen) == 1000
    assert not (seen.unsqueeze(1) == unseen).all(2).any()


def test_random_labels_depend_on_points_seed_alone():
    first, again, other = (RandomLabels(spec=COIN, **o) for o in ({"seed": 1}, {"seed": 2}, {"points_seed": 1}))
    assert torch.equal(first.load_test().x, again.load_test().x)
    assert torch.equal(first.load_test().y, again.load_test().y)
    assert not torch.equal(first.load_test().x, other.load_test().x)
