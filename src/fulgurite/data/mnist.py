"""MNIST: 70,000 handwritten digits, bundled with the package, so nothing is ever downloaded.

The same loader reads any set in MNIST's format: ``data.root`` names someone's own files in torchvision's layout, and
``data.source=csv`` reads a label and 784 pixels a line.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.csv_digits import read_csv_digits
from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import ConfigError, DataError, check_choice, check_int, check_number
from fulgurite.randomness import Stream, derive_seed

SCALINGS = ("standard", "unit", "rashid")
BUNDLED = Path(__file__).parent / "mnist_files"
# Of the four unpacked files.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class MNIST(InMemoryData):
    """MNIST, or a set in its format.

    Args:
        root: folder in torchvision's layout (``ROOT/MNIST/raw/train-images-idx3-ubyte[.gz]`` ...); ``null`` for the
            bundled set, whose files are verified by sha256 at each load.
        source: ``idx`` for these files, ``csv`` for ``train_csv`` and ``test_csv``.
        train_csv: file of a label and 784 pixels a line, to train and to validate on; with ``source=csv`` alone.
        test_csv: such a file for the test; ``null`` where there is none (``test=false``).
        num_val: images of the training file that are kept for validation, chosen by ``split_seed``.
        split_seed: seed of that choice; fixed, so that runs with different seeds are compared on the same images.
        mean: mean of the pixels in [0, 1], subtracted.
        std: standard deviation of the pixels in [0, 1], divided by.
        scaling: ``standard`` uses ``mean`` and ``std``; ``unit`` gives pixels in [0, 1]; ``rashid`` gives them in
            [0.01, 1], as pixel / 255 * 0.99 + 0.01, so that no input is 0 (Rashid, "Make your own neural network").
        options: see ``InMemoryData``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    # The folder inside the root; torchvision names it after its class.
    folder_name = "MNIST"

    def __init__(
        self,
        root: str | None = None,
        source: str = "idx",
        train_csv: str | None = None,
        test_csv: str | None = None,
        num_val: int = 5000,
        split_seed: int = 0,
        mean: float = 0.1307,
        std: float = 0.3081,
        scaling: str = "standard",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = None if root is None else Path(root).expanduser()
        self._csv = _csv_files(check_choice("source", source, ("idx", "csv")), root, train_csv, test_csv)
        self.num_val = check_int("num_val", num_val)
        self.split_seed = check_int("split_seed", split_seed, low=0)
        mean, std = check_number("mean", mean), check_number("std", std, above=0)
        # (pixel / 255 - mean) / std as one fused add: shift + pixel * scale.
        factor, shift = {"standard": (1 / std, -mean / std), "unit": (1.0, 0.0), "rashid": (0.99, 0.01)}[
            check_choice("scaling", scaling, SCALINGS)
        ]
        self._scale = factor / 255.0
        self._shift = torch.tensor(shift)

    def prepare_data(self) -> None:
        """Check that the files are there, before any training.

        Raises:
            DataError: naming the first that is not, and what to do.
        """
        for path in self._csv.values():
            if path is not None and not path.is_file():
                raise DataError(f"there is no file {path}; data.train_csv and data.test_csv name CSV files of digits")
        for name in () if self._csv else SHA256:
            self._find(name)

    def load_train(self) -> tuple[Part, Part]:
        """The training file, split by ``split_seed`` into training and validation part.

        Raises:
            ConfigError: when ``num_val`` leaves no image to train on.
            DataError: when a file is missing, damaged or not what it should be.
        """
        images, labels = self._read("train")
        if self.num_val >= len(images):
            raise ConfigError(f"data.num_val={self.num_val} must be less than the {len(images)} training images")
        generator = torch.Generator().manual_seed(derive_seed(self.split_seed, Stream.SPLIT))
        order = torch.randperm(len(images), generator=generator)
        val, train = order[: self.num_val], order[self.num_val :]
        return Part(images[train], labels[train]), Part(images[val], labels[val])

    def load_test(self) -> Part:
        """The test file."""
        return Part(*self._read("t10k"))

    def encode(self, x: Tensor) -> Tensor:
        """Bytes B x H x W (or floats of the same range) to normalised floats B x 1 x H x W."""
        return torch.add(self._shift.to(x.device), x, alpha=self._scale).unsqueeze(1)

    def _read(self, part: str) -> tuple[Tensor, Tensor]:
        if self._csv:
            path = self._csv[part]
            if path is None:
                raise ConfigError(
                    "data.test_csv is null, and there is nothing to test on; name a file, or set test=false"
                )
            return read_csv_digits(path)
        images = self._read_file(f"{part}-images-idx3-ubyte")
        labels = self._read_file(f"{part}-labels-idx1-ubyte").long()
        if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
            raise DataError(
                f"{self._folder} does not hold images and labels that belong together: {part} images have shape "
                f"{list(images.shape)}, labels {list(labels.shape)}"
            )
        return images, labels

    def _read_file(self, name: str) -> Tensor:
        return read_idx(self._find(name), SHA256[name] if self.root is None else None)

    @property
    def _folder(self) -> Path:
        return (self.root or BUNDLED) / self.folder_name / "raw"

    def _find(self, name: str) -> Path:
        try:
            return find_idx(self._folder, name)
        except DataError as error:
            raise DataError(f"{error}; {self._remedy()}") from error

    def _remedy(self) -> str:
        """What to do when a file is not there."""
        if self.root is None:
            return "reinstall fulgurite to restore it"
        if self.root.is_file():
            return f"data.root={self.root} is a file; it must be a folder"
        return (
            f"data.root={self.root} must hold {self.folder_name}/raw/ with the four IDX files, as torchvision lays "
            "them out"
        )


def _csv_files(source: str, root: str | None, train: str | None, test: str | None) -> dict[str, Path | None]:
    """The files of ``source=csv`` by part; none of ``source=idx``."""
    if source == "idx":
        if train or test:
            raise ConfigError("train_csv and test_csv are for data.source=csv, and data.source is idx")
        return {}
    if root is not None:
        raise ConfigError(f"root={root} is for data.source=idx, and data.source is csv; use data.root=null")
    if train is None:
        raise ConfigError("train_csv must name a CSV file with data.source=csv, got None; set data.train_csv")
    return {"train": Path(train).expanduser(), "t10k": None if test is None else Path(test).expanduser()}
