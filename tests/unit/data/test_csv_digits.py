"""MNIST as CSV: a label and 784 pixels a line."""

from pathlib import Path

import pytest
import torch

from fulgurite.data.csv_digits import read_csv_digits
from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.mnist import BUNDLED, MNIST
from fulgurite.errors import ConfigError, DataError

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
HEADER = "label," + ",".join(f"pixel{number}" for number in range(784)) + "\n"


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """100 real digits and their labels."""
    folder = BUNDLED / "MNIST" / "raw"
    images, labels = (read_idx(find_idx(folder, f"t10k-{kind}-ubyte"))[:100] for kind in ("images-idx3", "labels-idx1"))
    return images, labels.long()


def written(path: Path, images: torch.Tensor, labels: torch.Tensor, header: str = "") -> Path:
    rows = torch.cat([labels.unsqueeze(1), images.flatten(1).long()], dim=1).tolist()
    path.write_text(header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("header", ["", HEADER, "\ufeff"], ids=["plain", "header", "byte order mark"])
def test_digits_come_out_as_they_were_written(header, digits, tmp_path):
    images, labels = read_csv_digits(written(tmp_path / "digits.csv", *digits, header=header))
    assert torch.equal(images, digits[0])
    assert torch.equal(labels, digits[1])
    assert images.dtype == torch.uint8


def test_one_line_is_one_digit_and_empty_lines_are_passed_over(digits, tmp_path):
    path = written(tmp_path / "one.csv", digits[0][:1], digits[1][:1])
    path.write_text(f"\n{path.read_text()}\n\n")
    assert torch.equal(read_csv_digits(path)[0], digits[0][:1])


def test_a_subset_trains_validates_and_tests(digits, tmp_path):
    train = written(tmp_path / "mnist_train_100.csv", *digits)
    test = written(tmp_path / "mnist_test_10.csv", digits[0][:10], digits[1][:10])
    data = MNIST(spec=SPEC, source="csv", train_csv=str(train), test_csv=str(test), num_val=20)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    assert [len(data.part(name).x) for name in ("train", "val", "test")] == [80, 20, 10]
    assert torch.equal(data.part("test").x, digits[0][:10])
    seen = torch.cat([data.part("train").x, data.part("val").x]).flatten(1).tolist()
    assert sorted(seen) == sorted(digits[0].flatten(1).tolist())
    assert data.encode(data.part("test").x).shape == (10, 1, 28, 28)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.csv holds no digits"),
        ("\n\n", r"x\.csv holds no digits"),
        (HEADER, r"x\.csv holds no digits"),
        ("7,1,2\n", r"x\.csv has 3 columns; it must have 785"),
        ("7" + ",0" * 784 + "\n7,0\n", r"x\.csv is not a CSV file of digits \(.*columns[^;]* at row 2\); give"),
        ("7" + ",0" * 783 + ",dark\n", r"x\.csv is not a CSV file of digits \(could not convert string 'dark'"),
        ("7" + ",0" * 783 + ",256\n", r"x\.csv has numbers from 0 to 256"),
        ("7" + ",0" * 783 + ",-1\n", r"x\.csv has numbers from -1 to 7"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(text, message, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv_digits(tmp_path / "x.csv")


def test_a_file_that_is_binary_or_not_there_is_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(DataError, match=r"x\.csv is not a CSV file of digits"):
        read_csv_digits(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"y\.csv cannot be read \(No such file"):
        read_csv_digits(tmp_path / "y.csv")


def test_a_missing_file_is_told_before_training(tmp_path):
    data = MNIST(spec=SPEC, source="csv", train_csv=str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match=r"there is no file .*none\.csv; data\.train_csv and data\.test_csv name"):
        data.prepare_data()


def test_a_test_without_a_file_is_refused(digits, tmp_path):
    path = written(tmp_path / "train.csv", *digits)
    with pytest.raises(ConfigError, match=r"data\.test_csv is null, .*set test=false"):
        MNIST(spec=SPEC, source="csv", train_csv=str(path)).load_test()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "tsv"}, r"^source must be one of csv, idx; got 'tsv'"),
        ({"source": "csv"}, r"^train_csv must name a CSV file with data\.source=csv, got None"),
        ({"train_csv": "a.csv"}, r"^train_csv and test_csv are for data\.source=csv, and data\.source is idx"),
        ({"source": "csv", "train_csv": "a.csv", "root": "x"}, r"^root=x is for data\.source=idx"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        MNIST(spec=SPEC, **options)
