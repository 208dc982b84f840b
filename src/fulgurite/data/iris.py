"""Iris: 150 flowers of three species, bundled with the package.

Source: Fisher, "The use of multiple measurements in taxonomic problems" (1936); `iris_files/README.md` says which of
the versions in circulation this is.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import ConfigError, DataError, check_choice, check_int
from fulgurite.randomness import Stream, derive_seed

FILE = Path(__file__).parent / "iris_files" / "iris.csv"
SHA256 = "9cc1c345c71bcc9b486b74cbf6063fa66f4bb5e0f603a4b3c3471ec2e5e8e355"
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
SPECIES = ("setosa", "versicolor", "virginica")
_PER_SPECIES = 50


class Iris(InMemoryData):
    """Flowers by some of their measures, in cm; the model sees each with mean 0 and standard deviation 1.

    Mean and deviation are those of the training part.

    Args:
        features: which measures, in this order: ``sepal_length``, ``sepal_width``, ``petal_length``, ``petal_width``.
        classes: species of class 0, 1 ...; ``versicolor+virginica`` makes one class of two species, and a species that
            is not named is left out.
        val_per_species: flowers of each species for validation, chosen by ``split_seed``.
        test_per_species: flowers of each species for the test, chosen by ``split_seed``.
        split_seed: seed of that choice; fixed, so that runs with different seeds are compared on the same flowers.
        options: see ``InMemoryData``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
        DataError: when the bundled file is damaged.
    """

    def __init__(
        self,
        features: Sequence[str] = FEATURES,
        classes: Sequence[str] = SPECIES,
        val_per_species: int = 10,
        test_per_species: int = 10,
        split_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        columns = [FEATURES.index(name) for name in _check_names("features", features, FEATURES)]
        self.input_names = [f"{FEATURES[column].replace('_', ' ')} in cm" for column in columns]
        species = [name.split("+") for name in _check_listed("classes", classes, SPECIES)]
        _check_names("classes", [name for names in species for name in names], SPECIES)
        num_val = check_int("val_per_species", val_per_species)
        num_test = check_int("test_per_species", test_per_species)
        if num_val + num_test >= _PER_SPECIES:
            raise ConfigError(
                f"val_per_species and test_per_species must leave some of the {_PER_SPECIES} flowers of a species to "
                f"train on, got {num_val} and {num_test}; use smaller numbers"
            )
        parts = _split(species, (num_val, num_test), check_int("split_seed", split_seed, low=0))
        self._train, self._val, self._test = (Part(x[:, columns], y) for x, y in parts)
        self._mean, self._std = self._train.x.mean(dim=0), self._train.x.std(dim=0, correction=0)

    def load_train(self) -> tuple[Part, Part]:
        """The flowers to train on and those for validation."""
        return self._train, self._val

    def load_test(self) -> Part:
        """The flowers for the test."""
        return self._test

    def encode(self, x: Tensor) -> Tensor:
        """Centimetres (N x F) to numbers with mean 0 and standard deviation 1 over the training part."""
        return (x - self._mean.to(x.device)) / self._std.to(x.device)


def read_flowers() -> dict[str, Tensor]:
    """The bundled file: 50 x 4 measures in cm for each species, in the order of the file.

    Raises:
        DataError: when the file is absent or damaged.
    """
    try:
        content = FILE.read_bytes()
    except OSError as error:
        raise DataError(f"{FILE} cannot be read ({error}); reinstall fulgurite to restore it") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{FILE} is damaged: its sha256 is not {SHA256[:12]}…; reinstall fulgurite to restore it")
    rows = list(csv.DictReader(content.decode().splitlines()))
    return {
        name: torch.tensor([[float(row[feature]) for feature in FEATURES] for row in rows if row["species"] == name])
        for name in SPECIES
    }


def _split(species: Sequence[Sequence[str]], sizes: tuple[int, int], seed: int) -> tuple[Part, Part, Part]:
    """Training, validation and test part of the classes, with all four measures.

    Args:
        species: of each class.
        sizes: flowers of each species for validation and for the test.
        seed: of the choice.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, Stream.SPLIT))
    # Drawn for all species: leaving one out leaves the parts of the others alone.
    orders = {name: torch.randperm(_PER_SPECIES, generator=generator) for name in SPECIES}
    flowers = read_flowers()
    labelled = [(name, number) for number, names in enumerate(species) for name in names]

    def part(rows: slice) -> Part:
        x = [flowers[name][orders[name][rows]] for name, _ in labelled]
        y = [torch.full((len(each),), number) for each, (_, number) in zip(x, labelled, strict=True)]
        return Part(torch.cat(x), torch.cat(y))

    num_val, num_test = sizes
    train = part(slice(num_val + num_test, None))
    # Mixed, so that `train_subset` takes some of each.
    order = torch.randperm(len(train.x), generator=generator)
    return Part(train.x[order], train.y[order]), part(slice(num_val)), part(slice(num_val, num_val + num_test))


def _check_names(name: str, value: Any, known: Sequence[str]) -> list[str]:
    """Return ``value`` when it lists some of the known names, none of them twice."""
    listed = _check_listed(name, value, known)
    for each in listed:
        check_choice(name, each, known)
    if len(set(listed)) < len(listed):
        raise ConfigError(f"{name} must name each of {', '.join(known)} once at most, got {listed}")
    return listed


def _check_listed(name: str, value: Any, known: Sequence[str]) -> list[str]:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    if listed and value and all(isinstance(each, str) for each in value):
        return list(value)
    raise ConfigError(f"{name} must be a list such as [{','.join(known[:2])}], got {value!r}")
