from pathlib import Path

import pytest
import torch

from fulgurite.errors import RunFolderError
from fulgurite.training.checkpoint import VerifiedCheckpointIO, load_checkpoint

CONTENT = {"state_dict": {"weight": torch.arange(1000.0)}, "epoch": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "best.ckpt"
    VerifiedCheckpointIO().save_checkpoint(CONTENT, path)
    return path


def test_a_checkpoint_is_read_back_bit_for_bit(path: Path):
    loaded = load_checkpoint(path)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["state_dict"]["weight"], CONTENT["state_dict"]["weight"])


def test_one_changed_byte_is_noticed(path: Path):
    content = bytearray(path.read_bytes())
    content[content.index(torch.tensor(500.0).numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match="best.ckpt is damaged"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_noticed(path: Path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunFolderError, match="best.ckpt is damaged"):
        load_checkpoint(path)


def test_an_absent_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(RunFolderError, match="there is no checkpoint .*last.ckpt"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_failed_save_keeps_the_checkpoint_before_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    def half_written(content: dict, file) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("torch.save", half_written)
    with pytest.raises(OSError, match="no space left"):
        VerifiedCheckpointIO().save_checkpoint(CONTENT | {"epoch": 4}, path)
    monkeypatch.undo()
    assert load_checkpoint(path)["epoch"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["best.ckpt"]


def test_a_checkpoint_with_code_in_it_is_not_executed(path: Path):
    torch.save({"state_dict": Path("x")}, path)
    with pytest.raises(RunFolderError, match="holds more than plain values and tensors"):
        load_checkpoint(path)
