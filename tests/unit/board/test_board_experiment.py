import pytest
from tensorboard.plugins.hparams import api_pb2
from written_events import CONFIG, seen

from fulgurite.board.experiment import columns, uses_tensorboard, write_experiment
from fulgurite.config import resolve

VALUES = {
    "optimizer.lr": ["1e-2", "1e-3", "0.1"],
    "model": ["mlp", "cnn"],
    "model.hidden": ["[8]", "[8,4]"],
    "model.bias": ["true", "false"],
    "optimizer.weight_decay": ["0", "null"],
    "seed": ["3"],
}


def infos(folder):
    (experiment,) = seen(folder).experiments
    return {info.name: info for info in experiment.hparam_infos}


def test_numbers_lie_in_an_interval_and_so_have_axes(tmp_path):
    write_experiment(tmp_path, VALUES, CONFIG)
    info = infos(tmp_path)["optimizer.lr"]
    assert info.type == api_pb2.DATA_TYPE_FLOAT64
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (0.001, 0.1)


@pytest.mark.parametrize(
    ("key", "type_", "values"),
    [
        ("model", api_pb2.DATA_TYPE_STRING, ["mlp", "cnn"]),
        ("model.hidden", api_pb2.DATA_TYPE_STRING, ["[8]", "[8,4]"]),
        ("model.bias", api_pb2.DATA_TYPE_BOOL, [True, False]),
        ("optimizer.weight_decay", api_pb2.DATA_TYPE_STRING, ["0", "null"]),
    ],
)
def test_everything_else_is_one_of_its_values(tmp_path, key, type_, values):
    write_experiment(tmp_path, VALUES, CONFIG)
    info = infos(tmp_path)[key]
    assert (info.type, list(info.domain_discrete)) == (type_, values)


def test_keys_with_several_values_come_first_on_the_page(tmp_path):
    write_experiment(tmp_path, VALUES, CONFIG)
    assert {name: info.differs for name, info in infos(tmp_path).items()} == dict.fromkeys(VALUES, True) | {
        "seed": False
    }


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, ["val/acc", "test/acc", "val/loss", "test/loss"]),
        ({"test": False}, ["val/acc", "val/loss"]),
        ({"objective": {"metric": "val/loss"}}, ["val/loss", "test/loss"]),
        ({"objective": {"metric": "seconds"}}, ["seconds", "val/loss", "test/loss"]),
    ],
)
def test_the_results_shown_are_the_objective_its_twin_on_the_test_set_and_the_losses(tmp_path, changed, names):
    write_experiment(tmp_path, VALUES, CONFIG | changed)
    (experiment,) = seen(tmp_path).experiments
    assert [info.display_name for info in experiment.metric_infos] == names
    assert [info.name.tag for info in experiment.metric_infos] == [f"final/{name}" for name in names]


def test_a_sweep_that_goes_on_with_more_values_keeps_one_record_of_all(tmp_path):
    write_experiment(tmp_path, {"optimizer.lr": ["0.1", "0.2"], "model": ["mlp"], "model.bias": ["true"]}, CONFIG)
    write_experiment(tmp_path, {"optimizer.lr": ["0.01"], "model": ["cnn"], "model.bias": ["false"]}, CONFIG)
    found = infos(tmp_path)
    assert found["optimizer.lr"].domain_interval.min_value == 0.01
    assert found["optimizer.lr"].domain_interval.max_value == 0.2
    assert list(found["model"].domain_discrete) == ["cnn", "mlp"]
    assert list(found["model.bias"].domain_discrete) == [False, True]


def test_columns_are_read_back_with_their_kinds(tmp_path):
    write_experiment(tmp_path, VALUES, CONFIG)
    kinds = {"optimizer.lr": "number", "model.bias": "bool", "seed": "number"}
    assert columns(tmp_path) == dict.fromkeys(VALUES, "text") | kinds
    assert columns(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("logger", [{}, None, {"csv": {"_target_": "fulgurite.training.loggers.CSV"}}])
def test_without_our_logger_there_is_no_record_and_an_old_one_goes(tmp_path, logger):
    write_experiment(tmp_path, VALUES, CONFIG)
    write_experiment(tmp_path, VALUES, CONFIG | {"logger": logger})
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_logger_is_known(compose_config):
    assert uses_tensorboard(resolve(compose_config("logger=default")))
    assert not uses_tensorboard(resolve(compose_config("logger=csv")))
