import pytest

from fulgurite.board import server
from fulgurite.errors import ConfigError


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sweeps/night", "sweeps/noon", "mnist/cnn_20261122-101500-3f2a"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
    return tmp_path / "outputs"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("night", "outputs/sweeps/night"),
        ("cnn_20261122-101500-3f2a", "outputs/mnist/cnn_20261122-101500-3f2a"),
        ("outputs/mnist", "outputs/mnist"),
    ],
)
def test_a_sweep_a_run_and_a_folder_are_found(outputs, name, folder):
    assert str(server.named(name)) == folder


def test_a_misspelled_name_is_refused_with_the_nearest(outputs):
    with pytest.raises(ConfigError, match=r"there is no sweep, run or folder nigth \(did you mean night\?\); give the"):
        server.main(["nigth"])


def test_without_outputs_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no folder outputs here; give a folder"):
        server.main([])
