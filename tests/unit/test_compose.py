"""Jobs of a sweep, composed from a shared composition, are to the letter what Hydra composes."""

from functools import partial

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fulgurite import config
from fulgurite.compose import Composer

PAIRS = {
    "values": (["seed=1", "optimizer.lr=0.1"], ["seed=2", "optimizer.lr=1e-3"]),
    "group changes": (["model=mlp", "seed=1"], ["model=cnn", "seed=1"]),
    "other keys": (["seed=1"], ["test=false"]),
    "lists": (["model.channels=[4,8]", "seed=1"], ["model.channels=[6]", "seed=1"]),
    "dicts": (["+model.more={a: 1, b: [2, x]}", "seed=1"], ["+model.more={a: 2}", "seed=2"]),
    "added keys": (["+trainer.fast_dev_run=true", "seed=1"], ["+trainer.fast_dev_run=false", "seed=2"]),
    "forced keys": (["++optimizer.amsgrad=true", "++seed=1"], ["++optimizer.amsgrad=true", "++seed=2"]),
    "removed keys": (["~callbacks.progress", "seed=1"], ["~callbacks.progress", "seed=2"]),
    "removed groups": (["~experiment", "seed=1"], ["~experiment", "seed=2"]),
    "quotes": (
        ["output_root='a b'", "objective.metric='val/loss'"],
        ['output_root="it\'s"', "objective.metric='x=y,z'"],
    ),
    "null": (["data.train_subset=null", "seed=1"], ["data.train_subset=500", "seed=1"]),
    "null after a value": (["data.train_subset=500"], ["data.train_subset=null"]),
    "a node switched off": (["callbacks.progress=null", "seed=1"], ["callbacks.progress=null", "seed=2"]),
    "interpolations": (["data.seed=${seed}", "seed=3"], ["data.seed=7", "seed=3"]),
    "an interpolation after a value": (["trainer.max_epochs=2"], ["trainer.max_epochs=${seed}"]),
    "words and truths": (["trainer.precision=64-true", "test=True"], ["trainer.precision=32-true", "test=off"]),
    "an experiment": (["experiment=quadratic", "seed=1"], ["experiment=quadratic", "seed=2", "optimizer.lr=0.1"]),
    "values after an experiment": (
        ["experiment=lenet5", "data.batch_size=8"],
        ["experiment=lenet5", "data.batch_size=9"],
    ),
    "a debug config": (["debug=anomaly", "seed=1"], ["debug=anomaly", "seed=2"]),
    "hydra's own": (["hydra.job.name=x", "seed=1"], ["hydra.job.name=y", "seed=2"]),
    "enumerations": (["objective.mode=min", "seed=1"], ["objective.mode=max", "seed=1"]),
    "casts": (["seed=int(3.0)", "optimizer.lr=float(1)"], ["seed=4", "optimizer.lr=2"]),
    "order of what was typed": (["seed=1", "test=false"], ["test=true", "seed=1"]),
    "none": ([], []),
    "the same key twice": (["seed=1", "seed=2"], ["seed=3", "seed=4"]),
    "a key set, then forced": (["optimizer.lr=0.1", "++optimizer.lr=0.5"], ["optimizer.lr=0.2", "++optimizer.lr=0.5"]),
    "a dict, then one of its keys": (
        ["objective={metric: a, mode: min}", "objective.metric=b"],
        ["objective={metric: a, mode: min}", "objective.metric=c"],
    ),
    "a key, then its dict": (
        ["objective.metric=b", "objective={metric: a, mode: min}"],
        ["objective.metric=c", "objective={metric: a, mode: min}"],
    ),
}
REFUSED = {
    "a word for a number": "seed=abc",
    "a word for a truth": "test=maybe",
    "an unknown key": "optimizer.learning_rate=1",
    "an unknown option": "model=cnnn",
    "an unknown mode": "objective.mode=best",
    "a value for a node": "objective=3",
    "several values": "seed=1,2",
    "a removed key that is not there": "~optimizer.nothing",
}


@pytest.fixture(scope="module")
def loader():
    config.register(["seed"])
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3", job_name="fulgurite"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def master(loader) -> DictConfig:
    """The config of a whole sweep, with what was typed for Hydra itself."""
    typed = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=somewhere", "seed=1,2"]
    return loader.load_configuration(config.CONFIG_NAME, typed, run_mode=RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def by_hydra(loader, master):
    return partial(loader.load_sweep_config, master)


@pytest.fixture(scope="module")
def composer(loader, by_hydra) -> Composer:
    """One that has composed jobs with these keys before."""
    compose = Composer(loader, by_hydra)
    for overrides in (["seed=1"], ["test=true"], ["objective.mode=max"]):
        compose(overrides)
    return compose


def plain(cfg: DictConfig):
    """All that a config says, its order included."""
    return repr(OmegaConf.to_container(cfg, resolve=False)), OmegaConf.is_struct(cfg), OmegaConf.is_readonly(cfg)


@pytest.mark.parametrize("case", PAIRS)
def test_jobs_of_a_sweep_are_what_hydra_composes(loader, by_hydra, case):
    compose = Composer(loader, by_hydra)
    for overrides in PAIRS[case]:
        assert plain(compose(overrides)) == plain(by_hydra(list(overrides)))


@pytest.mark.parametrize("case", PAIRS)
def test_a_look_at_a_job_shows_the_same_and_leaves_nothing_behind(loader, by_hydra, case):
    compose = Composer(loader, by_hydra)
    for overrides in [*PAIRS[case], *PAIRS[case]]:
        expected = plain(by_hydra(list(overrides)))
        assert plain(compose.peek(overrides)) == expected
        assert plain(compose(overrides)) == expected


def test_jobs_that_differ_in_values_are_composed_once(loader, by_hydra):
    composed = []

    def load(overrides):
        composed.append(overrides)
        return by_hydra(overrides)

    compose = Composer(loader, load)
    for seed in range(3):
        compose(["model=mlp", f"seed={seed}", f"optimizer.lr={0.1 * (seed + 1)}"])
    assert composed == [["model=mlp", "seed=0", "optimizer.lr=0.1"]]


def test_jobs_that_are_frozen_read_no_file_later_on(loader, by_hydra):
    jobs = [[f"model={model}", f"seed={seed}"] for model in ("mlp", "cnn") for seed in (1, 2)]
    loads = []

    def load(overrides):
        loads.append(overrides)
        return by_hydra(overrides)

    compose = Composer(loader, load)
    compose.freeze(jobs)
    assert len(loads) == 2
    for overrides in jobs:
        assert plain(compose(overrides)) == plain(by_hydra(list(overrides)))
    assert len(loads) == 2


def test_a_job_does_not_change_with_what_is_done_to_another(loader, by_hydra):
    compose = Composer(loader, by_hydra)
    first = compose(["seed=1"])
    first.optimizer.lr = 99.0
    assert compose(["seed=2"]).optimizer.lr != 99.0
    assert first.seed == 1


def test_values_are_of_the_schemas_type(loader, by_hydra):
    compose = Composer(loader, by_hydra)
    compose(["objective.mode=min", "output_root=a"])
    cfg = compose(["objective.mode=max", "output_root=5"])
    assert cfg.objective.mode is config.Mode.max
    assert cfg.output_root == "5"


def test_resolved_paths_are_those_of_the_sweep(loader, master, by_hydra):
    compose = Composer(loader, by_hydra)
    jobs = [compose([f"seed={seed}"]) for seed in (1, 2)]
    expected = [by_hydra([f"seed={seed}"]) for seed in (1, 2)]
    for cfg, other in zip(jobs, expected, strict=True):
        assert cfg.hydra.sweep.dir == other.hydra.sweep.dir == "somewhere"
        assert cfg.hydra.overrides.task == other.hydra.overrides.task
        assert cfg.hydra.job.override_dirname == other.hydra.job.override_dirname


@pytest.mark.parametrize("case", REFUSED)
def test_what_hydra_refuses_is_refused_in_its_words(by_hydra, composer, case):
    with pytest.raises(HydraException) as theirs:
        by_hydra([REFUSED[case]])
    with pytest.raises(type(theirs.value)) as ours:
        composer([REFUSED[case]])
    assert str(ours.value) == str(theirs.value)
    assert str(ours.value.__cause__) == str(theirs.value.__cause__)


def test_a_value_of_the_wrong_type_beside_others_is_refused(loader, by_hydra):
    compose = Composer(loader, by_hydra)
    compose(["model=mlp", "seed=1"])
    with pytest.raises(ConfigCompositionException, match="Error merging override seed=abc"):
        compose(["model=mlp", "seed=abc"])
    assert compose(["model=mlp", "seed=2"]).seed == 2
