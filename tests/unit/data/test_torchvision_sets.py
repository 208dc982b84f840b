"""Sets that torchvision downloads, without a network."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from idx_files import write_set

from fulgurite.data.torchvision_sets import KMNIST, FashionMNIST
from fulgurite.errors import DataError

SPEC: dict[str, Any] = {
    "task": "classification",
    "input_shape": [1, 28, 28],
    "num_outputs": 10,
    "metric": "val/acc",
    "mode": "max",
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize("data_class", [FashionMNIST, KMNIST])
def test_offline_the_error_says_which_files_to_copy_where(data_class: type[FashionMNIST], tmp_path: Path) -> None:
    name = data_class.folder_name
    message = (
        rf"{name} is not in {tmp_path} and cannot be downloaded \(.*no network.*\); "
        rf"go online, or copy train-images-idx3-ubyte\.gz, .* to {tmp_path}/{name}/raw"
    )
    with pytest.raises(DataError, match=message):
        data_class(spec=SPEC, root=str(tmp_path)).prepare_data()


@pytest.mark.parametrize("data_class", [FashionMNIST, KMNIST])
def test_files_that_are_there_are_read_without_a_network(data_class: type[FashionMNIST], tmp_path: Path) -> None:
    write_set(tmp_path, data_class.folder_name)
    data = data_class(spec=SPEC, root=str(tmp_path), num_val=10)
    data.prepare_data()
    data.setup("fit")
    assert [len(data.part(name).x) for name in ("train", "val")] == [20, 10]
    train = data.part("train")
    assert torch.equal(train.x[:, 0, 0].long() % 10, train.y)


def test_without_a_root_the_cache_in_the_home_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FashionMNIST(spec=SPEC).root == tmp_path / ".cache" / "fulgurite"
