"""Which jobs of a sweep are built together."""

import pytest

from fulgurite.groups import groups, structure_of


@pytest.fixture
def grouped(compose_config, tmp_path):
    """Group jobs by their overrides, each in a folder of its own."""

    def group(*jobs: tuple[str, ...]) -> list[list[int]]:
        configs = [compose_config(*job, folder=tmp_path / str(number)) for number, job in enumerate(jobs)]
        return groups(configs, 64)

    return group


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("seed=1", "seed=2"),
        ("optimizer.lr=0.1", "optimizer.lr=1e-3"),
        ("optimizer.lr=1", "optimizer.lr=0.5"),
        ("optimizer.weight_decay=0", "optimizer.weight_decay=0.01"),
        ("model.dropout=0.1", "model.dropout=0.5"),
        ("scheduler=one_cycle", "scheduler=cosine"),
        ("scheduler=one_cycle", "scheduler=constant"),
        ("augmentation=none", "augmentation=affine"),
        ("logger=none", "logger=csv"),
        ("callbacks=default", "callbacks=early_stopping"),
        ("output_root=a", "output_root=b"),
        ("loss.label_smoothing=0.0", "loss.label_smoothing=0.1"),
    ],
)
def test_jobs_that_differ_in_what_a_program_takes_apart_are_together(grouped, one, other):
    assert grouped(("loss=cross_entropy", one), ("loss=cross_entropy", other)) == [[0, 1]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model=mlp", "model=linear"),
        ("model.channels=[4]", "model.channels=[8]"),
        ("model.activation=relu", "model.activation=tanh"),
        ("data.batch_size=32", "data.batch_size=64"),
        ("data.train_subset=100", "data.train_subset=200"),
        ("data=mnist", "data=kmnist"),
        ("optimizer=adam", "optimizer=sgd"),
        ("trainer.precision=32-true", "trainer.precision=64-true"),
        ("trainer.accumulate_grad_batches=1", "trainer.accumulate_grad_batches=2"),
        ("test=true", "test=false"),
    ],
)
def test_jobs_of_different_structure_are_apart(grouped, one, other):
    assert grouped((one,), (other,)) == [[0], [1]]


def test_jobs_keep_their_order_within_groups_and_groups_that_of_their_first(grouped):
    jobs = [(f"model={model}", f"seed={seed}") for seed in (1, 2) for model in ("mlp", "linear")]
    assert grouped(*jobs) == [[0, 2], [1, 3]]


def test_a_group_has_at_most_max_members(compose_config):
    configs = [compose_config()] * 5
    assert groups(configs, 2) == [[0, 1], [2, 3], [4]]
    assert groups(configs, 5) == [[0, 1, 2, 3, 4]]
    assert groups(configs, 1) == [[0], [1], [2], [3], [4]]


def test_no_jobs_are_no_groups():
    assert groups([], 64) == []


def test_the_order_of_keys_does_not_matter(compose_config):
    one, other = compose_config("optimizer.lr=0.1"), compose_config("optimizer.lr=0.2")
    other.optimizer = dict(reversed(list(other.optimizer.items())))
    assert list(one.optimizer) != list(other.optimizer)
    assert structure_of(one) == structure_of(other)


def test_a_config_is_not_changed_by_being_grouped(compose_config):
    cfg = compose_config("data.seed=${seed}")
    before = repr(cfg)
    groups([cfg, cfg], 2)
    assert repr(cfg) == before


def test_a_job_whose_config_cannot_be_resolved_keeps_none_from_being_grouped(grouped):
    """It fails by itself when it is built, and is named then."""
    jobs = [("seed=1",), ("optimizer.lr=${nothing}",), ("seed=2",)]
    assert sorted(number for group in grouped(*jobs) for number in group) == [0, 1, 2]
