"""MNIST as bundled, and someone's own files in its format."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from idx_files import idx_bytes, write_set

from fulgurite.data import mnist
from fulgurite.data.mnist import MNIST
from fulgurite.errors import ConfigError, DataError

SPEC: dict[str, Any] = {
    "task": "classification",
    "input_shape": [1, 28, 28],
    "num_outputs": 10,
    "metric": "val/acc",
    "mode": "max",
}


@pytest.fixture(scope="module")
def bundled() -> MNIST:
    data = MNIST(spec=SPEC)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    return data


def own(root: Path, **options: Any) -> MNIST:
    data = MNIST(**({"spec": SPEC, "root": str(root), "num_val": 10, "batch_size": 5} | options))
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    return data


def test_the_bundled_set_is_split_into_55000_5000_and_10000(bundled: MNIST) -> None:
    assert [len(bundled.part(name).x) for name in ("train", "val", "test")] == [55_000, 5_000, 10_000]


def test_the_training_and_validation_part_are_the_training_file_without_overlap(bundled: MNIST) -> None:
    # Counts of each digit in the published training file (LeCun et al.).
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    labels = torch.cat([bundled.part("train").y, bundled.part("val").y])
    assert labels.bincount().tolist() == counts
    pixels = sum(int(bundled.part(name).x.sum(dtype=torch.int64)) for name in ("train", "val"))
    assert pixels / (60_000 * 784 * 255) == pytest.approx(0.1307, abs=1e-4)


def test_the_split_depends_on_its_own_seed_alone(tmp_path: Path) -> None:
    write_set(tmp_path, "MNIST")
    first, again, other = (own(tmp_path, **o).part("val").x for o in ({"seed": 1}, {"seed": 2}, {"split_seed": 1}))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_encoded_training_images_have_mean_0_and_deviation_1(bundled: MNIST) -> None:
    encoded = bundled.encode(bundled.part("train").x[:20_000])
    assert encoded.shape == (20_000, 1, 28, 28)
    assert encoded.mean().item() == pytest.approx(0, abs=0.01)
    assert encoded.std().item() == pytest.approx(1, abs=0.01)


def test_encoding_is_the_textbook_normalisation_for_bytes_and_floats(bundled: MNIST) -> None:
    x = bundled.part("test").x[:3]
    expected = ((x / 255 - 0.1307) / 0.3081).unsqueeze(1)
    assert torch.allclose(bundled.encode(x), expected, atol=1e-5)
    assert torch.allclose(bundled.encode(x.float()), expected, atol=1e-5)


def test_own_files_are_read_packed_or_not(tmp_path: Path) -> None:
    raw = write_set(tmp_path, "MNIST")
    labels = raw / "t10k-labels-idx1-ubyte"
    labels.with_suffix(".gz").write_bytes(gzip.compress(labels.read_bytes()))
    labels.unlink()
    test = own(tmp_path).part("test")
    assert torch.equal(test.x[:, 0, 0].long() % 10, test.y)


def test_a_subset_is_the_first_of_the_shuffled_training_part(tmp_path: Path) -> None:
    write_set(tmp_path, "MNIST")
    assert torch.equal(own(tmp_path, train_subset=7).part("train").x, own(tmp_path).part("train").x[:7])


def test_the_test_file_is_not_read_before_the_test(tmp_path: Path) -> None:
    raw = write_set(tmp_path, "MNIST")
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    data = MNIST(spec=SPEC, root=str(tmp_path), num_val=10)
    data.prepare_data()
    data.setup("fit")
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is no IDX file"):
        data.setup("test")


@pytest.mark.parametrize("name", mnist.SHA256)
def test_a_changed_byte_in_the_bundled_set_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(mnist.BUNDLED, tmp_path / "files")
    path = tmp_path / "files" / "MNIST" / "raw" / f"{name}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content), compresslevel=0))
    monkeypatch.setattr(mnist, "BUNDLED", tmp_path / "files")
    data = MNIST(spec=SPEC)
    with pytest.raises(DataError, match=rf"{name}\.gz is damaged: its sha256 is not .*reinstall fulgurite"):
        data.load_train() if name.startswith("train") else data.load_test()


def test_a_missing_bundled_file_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "BUNDLED", tmp_path)
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte or .* in .*; reinstall fulgurite to restore it"):
        MNIST(spec=SPEC).prepare_data()


def test_a_root_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"data\.root={tmp_path} must hold MNIST/raw/ with the four IDX files"):
        MNIST(spec=SPEC, root=str(tmp_path)).prepare_data()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataError, match=rf"data\.root={path} is a file; it must be a folder"):
        MNIST(spec=SPEC, root=str(path)).prepare_data()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_val": 30}, ConfigError, r"data\.num_val=30 must be less than the 30 training images"),
        ({"num_val": 0}, ConfigError, r"^num_val must be an integer >= 1, got 0"),
        ({"std": 0}, ConfigError, r"^std must be a number > 0, got 0"),
        ({"split_seed": -1}, ConfigError, r"^split_seed must be an integer >= 0, got -1"),
        ({"train_subset": 21}, ConfigError, r"data\.train_subset=21 is more than the 20 training samples"),
        ({"spec": SPEC | {"num_outputs": 9}}, DataError, r"labels go up to 9, .* set data\.spec\.num_outputs=10"),
        ({"spec": SPEC | {"input_shape": [1, 32, 32]}}, DataError, r"\[1,28,28\], but .*=\[1,28,28\]$"),
    ],
)
def test_options_that_do_not_fit_the_files_are_refused(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    write_set(tmp_path, "MNIST")
    with pytest.raises(error, match=message):
        own(tmp_path, **options)


def test_images_without_their_labels_are_refused(tmp_path: Path) -> None:
    raw = write_set(tmp_path, "MNIST")
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(torch.zeros(29)))
    with pytest.raises(DataError, match=r"belong together: train images have shape \[30, 28, 28\], labels \[29\]"):
        own(tmp_path)
