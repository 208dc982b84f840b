"""The tables of weights, against counts by hand."""

import pytest
from omegaconf import OmegaConf

from fulgurite.replay.parameters import Layer, main, network_of
from fulgurite.replay.run_folder import open_run
from fulgurite.result import Objective, Result


def recorded_run(compose_config, folder, accuracy: float, *words: str):
    """A run folder with a config and a record alone."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(compose_config(*words, folder=folder), folder / ".hydra" / "config.yaml")
    Result("finished", Objective("val/acc", "max", 0.5), metrics={"test/acc": accuracy, "val/acc": 0.5}).write(folder)
    return folder


def test_the_weights_of_a_filter_are_used_at_each_place_and_those_of_a_dense_layer_once(compose_config, tmp_path):
    words = ("model=cnn", "model.channels=[4,6]", "model.norm=none")
    network = network_of(open_run(recorded_run(compose_config, tmp_path / "cnn", 0.99, *words)))
    convolutions, dense = [each for each in network.layers if each.kind == "Conv2d"], network.layers[-1]
    # Images of 28 x 28, halved after the first.
    assert [each.uses for each in convolutions] == [28 * 28, 14 * 14]
    assert [each.shapes[0] for each in convolutions] == [(4, 1, 3, 3), (6, 4, 3, 3)]
    assert (dense.kind, dense.uses, dense.number) == ("Linear", 1, 6 * 7 * 7 * 10 + 10)
    assert network.number == sum(each.number for each in network.layers)
    by_hand = sum(each.number * each.uses for each in convolutions) + dense.number
    assert network.uses == by_hand


def test_the_layers_of_an_mlp_are_counted_as_by_hand(compose_config, tmp_path):
    words = ("model=mlp", "model.hidden=[100]", "model.norm=none", "data=iris")
    network = network_of(open_run(recorded_run(compose_config, tmp_path / "mlp", 0.9, *words)))
    assert network.layers == (
        Layer("net.1", "Linear", ((100, 4), (100,)), 500, 1),
        Layer("net.4", "Linear", ((3, 100), (3,)), 303, 1),
    )
    assert network.number == network.uses == 803


def test_the_weights_of_a_recurrent_layer_are_used_at_each_step(compose_config, tmp_path):
    words = ("model=gru", "model.hidden=5")
    network = network_of(open_run(recorded_run(compose_config, tmp_path / "gru", 0.9, *words)))
    cell = next(each for each in network.layers if each.kind == "GRU")
    # Three gates, each with weights of the input and of the state and two biases.
    assert (cell.uses, cell.number) == (28, 3 * (5 * 28 + 5 * 5 + 2 * 5))


def test_the_command_shows_networks_side_by_side_with_their_tests(compose_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    one = recorded_run(compose_config, tmp_path / "one", 0.9876, "model=linear")
    other = recorded_run(compose_config, tmp_path / "other", 0.9123, "model=mlp", "model.hidden=[8]", "model.norm=none")
    assert main([str(one), str(other)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.replace("│", " ").split() for line in lines if "0.9876" in line or "0.9123" in line]
    assert rows == [["one", "7,850", "7,850", "0.9876"], ["other", "6,370", "6,370", "0.9123"]]


def test_a_test_result_of_0_is_shown(compose_config, tmp_path, capsys):
    folders = [recorded_run(compose_config, tmp_path / name, 0.0, "model=linear") for name in ("one", "other")]
    main([str(each) for each in folders])
    assert capsys.readouterr().out.count("0.0000") == 2


@pytest.mark.parametrize("words", [("model=linear",)])
def test_a_single_run_has_no_table_of_runs(compose_config, tmp_path, capsys, words):
    assert main([str(recorded_run(compose_config, tmp_path / "one", 0.5, *words))]) == 0
    out = capsys.readouterr().out
    assert "7,850" in out
    assert "uses for a sample" not in out
