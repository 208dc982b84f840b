import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.explain import explain, explain_folder, suggest


@pytest.fixture(autouse=True)
def _registered():
    config.register()


def message(*overrides):
    """What is said of overrides that do not compose."""
    with pytest.raises(Exception) as caught, initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):  # noqa: PT011
        compose(config.CONFIG_NAME, overrides=list(overrides))
    return explain(caught.value, overrides)


def test_an_unknown_option_is_told_the_nearest_and_all():
    text = message("model=cnnn")
    assert text.startswith("model must be one of cnn, ")
    assert text.endswith("got cnnn (did you mean cnn?)")


def test_an_experiment_that_is_taken_for_a_sweep_is_pointed_out():
    assert message("sweep=cnn_best").endswith("; got cnn_best (did you mean experiment=cnn_best?)")
    assert message("experiment=gd_variants").endswith("; got gd_variants (did you mean sweep=gd_variants?)")


def test_a_launcher_whose_package_is_missing_is_told_how_to_get_it():
    missing = MissingConfigException("", "hydra/launcher/joblib", options=["fused", "in_turn"])
    assert explain(missing) == 'launcher=joblib needs an extra package: pip install "fulgurite[joblib]"'


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("optim.lr=.1", "optimizer.lr"),
        ("lr=0.1", "optimizer.lr"),
        ("model.dropuot=0.1", "model.dropout"),
        ("optimizer.lrr=1", "optimizer.lr"),
        ("mdel=cnn", "model"),
        ("batchsize=3", "data.batch_size"),
        ("trainer.epochs=1", "trainer.min_epochs or trainer.max_epochs"),
    ],
)
def test_an_unknown_key_is_told_what_it_was_meant_for(override, meant):
    text = message(override)
    assert text.startswith(f"there is no key {override.partition('=')[0]}; ")
    assert text.endswith(f"did you mean {meant}?")


def test_keys_are_those_of_the_chosen_options():
    assert suggest("hiden", ["model=mlp"]) == ["model.hidden"]
    assert suggest("kernl", ["model=cnn"]) == ["model.kernel"]
    assert suggest("kernl", ["model=mlp"]) == []


def test_a_key_that_another_option_has_is_refused_for_this_one():
    assert message("model=linear", "model.dropout=0.1").startswith("there is no key model.dropout in model=linear; ")


def test_the_keys_of_an_option_include_those_that_it_builds_on():
    assert suggest("max_epoch", ["trainer=ddp_cpu"]) == ["trainer.max_epochs"]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("seed=abc", "seed must be an integer, got abc"),
        ("seed=null", "seed must be an integer, got null"),
        ("test=maybe", "test must be true or false, got maybe"),
        ("checkpoint=[1]", "checkpoint must be text or null, got [1]"),
        ("objective.mode=upp", "objective.mode must be one of max, min, got upp"),
        ("objective=max", "objective must be a group of keys, such as objective.KEY=VALUE, got max"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_the_right_one(override, text):
    assert message(override) == text


@pytest.mark.parametrize("override", ["model.hidden=[1,2", "model.activation='relu"])
def test_an_open_bracket_or_quote_is_named(override):
    assert message(override).startswith(f"cannot read {override}: close each bracket and quote")


def test_an_option_without_its_group_is_told_the_group():
    assert message("cnn") == "cnn lacks a value: write model=cnn"


@pytest.mark.parametrize("value", ["5", "null", "[1]"])
def test_a_group_set_to_something_else_than_an_option_lists_the_options(value):
    assert message(f"optimizer={value}").startswith("optimizer must be one of adam, ")


def test_several_values_without_m_are_refused_with_both_ways_out():
    assert message("seed=1,2") == "seed=1,2 holds several values: add -m to run each, or write a list as [a,b]"


def test_an_interpolation_to_nowhere_names_the_override_that_holds_it():
    cfg = OmegaConf.create({"data": {"batch_size": "${foo.bar}"}})
    with pytest.raises(Exception, match="not found") as caught:
        OmegaConf.to_container(cfg, resolve=True)
    text = explain(caught.value, ["data.batch_size=${foo.bar}"])
    assert text.startswith("data.batch_size=${foo.bar} refers to foo.bar, which the config lacks")
    assert explain(caught.value).startswith("data.batch_size refers to foo.bar")


def test_a_missing_value_is_asked_for():
    with pytest.raises(Exception, match="Missing mandatory") as caught:
        _ = OmegaConf.create({"a": {"b": "???"}}).a.b
    assert explain(caught.value) == "a.b has no value; give one with a.b=..."


def test_our_own_error_is_told_as_it_is():
    text = "model.dropout must be in [0, 1), got 1.5"
    assert explain(ConfigError(text)) == text


def test_a_bug_is_not_explained():
    assert explain(RuntimeError("shape mismatch"), ["model=cnn"]) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory") as caught:
        (tmp_path / "file" / "runs").mkdir()
    text = explain_folder(caught.value)
    assert text.startswith(f"the output folder {tmp_path}/file/runs cannot be written (Not a directory); ")
    assert text.endswith("choose another with output_root=DIR")


def test_a_key_of_a_global_option_is_suggested_by_its_whole_name():
    assert suggest("launcher.halvin", ["launcher=fused"]) == ["launcher.halving"]


@pytest.mark.parametrize(
    "said", ["[enforce fail at inline_container.cc:671] . unexpected pos 6656 vs 6550", "PytorchStreamWriter failed"]
)
def test_a_checkpoint_that_cannot_be_written_is_no_bug(said):
    assert explain(RuntimeError(said)) == (
        "a checkpoint could not be written: the disk is full, or a quota or file size limit is reached"
    )
    assert explain(RuntimeError("another")) is None
