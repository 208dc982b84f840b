import re

import pytest
from hydra import compose, initialize_config_dir

from fulgurite import config


@pytest.fixture(autouse=True)
def _registered():
    config.register()


def composed(*overrides):
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        return compose(config.CONFIG_NAME, overrides=["folder=somewhere", *overrides])


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["model=mlp", "optimizer.lr=0.01", "seed=1"], "mlp_lr-0.01_seed-1"),
        (["model.hidden=[256,128]"], "hidden-256-128"),
        (["data.root=/a/b"], "root-a-b"),
        (["data.root=../up"], "root-up"),
        (['+x="a b"'], "x-a-b"),
        (["optimizer=sgd"], "optimizer-sgd"),
        (["~callbacks.bar"], "bar"),
        (["trainer.max_steps=-1"], "max_steps--1"),
        (["data.root=/données/…"], "root-donn-es"),
        (["optimizer.lr=1e-3"], "lr-1e-3"),
        ([], ""),
    ],
)
def test_a_folder_is_named_by_what_was_set(overrides, name):
    assert config.describe(overrides) == name


@pytest.mark.parametrize(
    "override", ["x=a=b,c", "data.root=/a/../b", 'x="{a: 1, b: [2]}"', "x=$(rm)", "x=" + "long" * 99]
)
def test_no_name_holds_what_a_shell_a_path_or_hydra_would_read(override):
    name = config.describe([override])
    assert re.fullmatch(r"[\w.+-]{1,80}", name, flags=re.ASCII)
    assert ".." not in name


def test_only_the_swept_keys_name_a_job():
    assert config.describe(["model=gru", "seed=2", "trainer.max_epochs=1"], only=["model", "seed"]) == "gru_seed-2"


def test_a_fingerprint_changes_with_what_decides_the_numbers_alone():
    base = config.fingerprint(config.resolve(composed()))
    assert config.fingerprint(config.resolve(composed("folder=elsewhere", "logger=none"))) == base
    for override in ("seed=1", "model.dropout=0.5", "optimizer.lr=0.1", "trainer.max_epochs=9", "data.batch_size=1"):
        assert config.fingerprint(config.resolve(composed(override))) != base


def test_a_fingerprint_does_not_depend_on_the_order_of_keys():
    plain = config.resolve(composed())
    turned = {key: plain[key] for key in reversed(plain)}
    turned["model"] = {key: plain["model"][key] for key in reversed(plain["model"])}
    assert list(turned) != list(plain)
    assert config.fingerprint(turned) == config.fingerprint(plain)


def test_early_stopping_decides_the_numbers_and_what_looks_on_does_not():
    plain = config.resolve(composed())
    assert config.fingerprint(config.resolve(composed("callbacks=early_stopping"))) != config.fingerprint(plain)
    assert config.fingerprint(config.resolve(composed("callbacks.progress=null"))) == config.fingerprint(plain)
    assert config.fingerprint(config.resolve(composed("+callbacks.pictures.x=1"))) == config.fingerprint(plain)


def test_two_runs_of_one_config_do_not_share_a_folder():
    assert config._stamped("mlp") != config._stamped("mlp")
