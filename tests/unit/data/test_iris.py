"""Iris as bundled, against figures that are published of it."""

import pytest
import torch

from fulgurite.data import iris
from fulgurite.data.iris import SPECIES, Iris, read_flowers
from fulgurite.errors import ConfigError, DataError

SPEC = {"task": "classification", "input_shape": [4], "num_outputs": 3, "metric": "val/acc", "mode": "max"}
PETALS = {"spec": {**SPEC, "input_shape": [2]}, "features": ["petal_length", "petal_width"]}
PARTS = ("train", "val", "test")


def ready(**options) -> Iris:
    data = Iris(**({"spec": SPEC} | options))
    data.setup("fit")
    data.setup("test")
    return data


def test_the_flowers_are_those_of_fisher():
    flowers = read_flowers()
    assert {name: len(each) for name, each in flowers.items()} == dict.fromkeys(SPECIES, 50)
    # Means of the species in Fisher's table II (1936).
    means = {
        "setosa": [5.006, 3.428, 1.462, 0.246],
        "versicolor": [5.936, 2.770, 4.260, 1.326],
        "virginica": [6.588, 2.974, 5.552, 2.026],
    }
    for name, mean in means.items():
        assert flowers[name].mean(0).tolist() == pytest.approx(mean, abs=5e-4)


def test_the_two_faulty_rows_of_the_uci_file_are_as_fisher_printed_them():
    rows = torch.cat([read_flowers()[name] for name in SPECIES])
    assert rows[34].tolist() == pytest.approx([4.9, 3.1, 1.5, 0.2])
    assert rows[37].tolist() == pytest.approx([4.9, 3.6, 1.4, 0.1])


def test_the_parts_are_all_flowers_once_and_of_each_species_as_many():
    data = ready()
    assert [data.part(name).y.bincount().tolist() for name in PARTS] == [[30] * 3, [10] * 3, [10] * 3]
    parts = torch.cat([torch.cat([data.part(name).x, data.part(name).y.unsqueeze(1)], 1) for name in PARTS])
    whole = torch.cat([torch.cat([read_flowers()[name], torch.full((50, 1), i)], 1) for i, name in enumerate(SPECIES)])
    assert sorted(parts.tolist()) == sorted(whole.tolist())


def test_the_split_depends_on_its_own_seed_alone():
    first, again, other = (ready(**options).part("val").x for options in ({"seed": 1}, {"seed": 2}, {"split_seed": 1}))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_leaving_a_species_out_leaves_the_parts_of_the_others_alone():
    two = ready(spec={**SPEC, "num_outputs": 2}, classes=["versicolor", "virginica"])
    assert torch.equal(two.part("val").x, ready().part("val").x[10:])


def test_features_are_taken_by_name_in_the_order_given():
    both = ready(**PETALS)
    assert torch.equal(both.part("test").x, ready().part("test").x[:, 2:])
    turned = ready(**PETALS | {"features": ["petal_width", "petal_length"]})
    assert torch.equal(turned.part("test").x, both.part("test").x.flip(1))


def test_species_joined_by_a_plus_are_one_class():
    data = ready(spec={**SPEC, "num_outputs": 2}, classes=["versicolor+virginica", "setosa"])
    x, y = data.part("train")
    assert y.bincount().tolist() == [60, 30]
    # No petal of another species is as short as those of setosa.
    assert x[y == 1][:, 2].max() < 2 < x[y == 0][:, 2].min()


def test_the_model_sees_training_flowers_with_mean_0_and_deviation_1():
    data = ready()
    seen = data.encode(data.part("train").x)
    assert seen.mean(0).tolist() == pytest.approx([0] * 4, abs=1e-5)
    assert seen.std(0, correction=0).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert data.encode(data.part("test").x).mean(0).abs().max() > 1e-3


def test_features_and_classes_size_the_model(compose_config):
    cfg = compose_config("data=iris", "model=mlp", "data.features=[petal_length]", "data.classes=[setosa,virginica]")
    assert cfg.model.spec.input_shape == [1]
    assert cfg.model.spec.num_outputs == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["petal"]}, r"^features must be one of petal_length, .*; got 'petal'"),
        ({"features": []}, r"^features must be a list such as \[sepal_length,sepal_width\], got \[\]"),
        ({"features": "petal_width"}, r"^features must be a list such as"),
        ({"features": ["petal_width"] * 2}, r"^features must name each of .* once at most"),
        ({"classes": ["setosa", "rosa"]}, r"^classes must be one of setosa, .*; got 'rosa'"),
        ({"classes": ["setosa", "setosa+virginica"]}, r"^classes must name each of .* once at most"),
        (
            {"val_per_species": 45, "test_per_species": 5},
            r"^val_per_species and test_per_species must leave some of the 50 flowers .*, got 45 and 5",
        ),
    ],
)
def test_what_there_is_not_in_iris_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Iris(**({"spec": SPEC} | options))


def test_a_damaged_file_is_found(tmp_path, monkeypatch):
    content = iris.FILE.read_bytes()
    monkeypatch.setattr(iris, "FILE", tmp_path / "iris.csv")
    with pytest.raises(DataError, match=r"iris\.csv cannot be read .*reinstall fulgurite"):
        read_flowers()
    iris.FILE.write_bytes(content.replace(b"4.9", b"4.8", 1))
    with pytest.raises(DataError, match=r"iris\.csv is damaged: its sha256 is not 9cc1c345c71b"):
        read_flowers()
