import json
import math
from pathlib import Path

import pytest

from fulgurite.errors import RunFolderError
from fulgurite.result import (
    Failure,
    Objective,
    Result,
    git_state,
    last_line,
    read_result,
    versions,
    write_atomically,
)

FINISHED = Result(
    status="finished",
    objective=Objective("val/acc", "max", 0.99),
    metrics={"val/acc": 0.99, "test/acc": 0.985},
    epochs=5,
    seconds=12.5,
    samples_per_s=1000.0,
    overrides=["model=cnn"],
    fingerprint="abc",
    command="train.py model=cnn",
)


def test_what_is_written_is_read_back(tmp_path: Path):
    failed = Result("failed", Objective("val/mae", "min"), error=Failure("ValueError", "bad", "train.log"))
    assert read_result(FINISHED.write(tmp_path) and tmp_path) == FINISHED
    assert read_result(failed.write(tmp_path) and tmp_path) == failed


def test_not_a_number_becomes_null_so_that_the_file_is_json(tmp_path: Path):
    Result("diverged", Objective("val/acc", "max", math.inf), metrics={"val/loss": math.nan}).write(tmp_path)
    plain = json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert plain["metrics"] == {"val/loss": None}
    assert plain["objective"]["value"] is None


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_without_a_record_is_refused(tmp_path: Path):
    with pytest.raises(RunFolderError, match="is not a run folder: it has no result.json"):
        read_result(tmp_path)


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file, not a run folder"):
        read_result(tmp_path / "file")


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "finished"}', '{"objective": {"metrik": 1}}'])
def test_a_damaged_record_is_refused_by_name(tmp_path: Path, content: str):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(RunFolderError, match="result.json cannot be read"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        *({"metrics": None}, {"metrics": {"val/acc": "0.5"}}, {"overrides": None}, {"overrides": [3]}),
        *({"seconds": None}, {"seconds": "10"}, {"epochs": None}, {"status": 7}, {"versions": ["a"]}, {"git": "abc"}),
        *({"objective": {"metric": "val/acc", "mode": "max", "value": each}} for each in ("0.5", [1], 10**400)),
        {"error": {"type": "E", "message": None, "log": "train.log"}},
    ],
)
def test_a_record_with_a_value_of_the_wrong_kind_is_damaged(tmp_path: Path, changed: dict[str, object]):
    FINISHED.write(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(RunFolderError, match="result.json cannot be read"):
        read_result(tmp_path)


def test_not_a_number_that_another_program_wrote_is_none(tmp_path: Path):
    FINISHED.write(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace("0.985", "NaN").replace("1000.0", "Infinity"))
    result = read_result(tmp_path)
    assert (result.metrics["test/acc"], result.samples_per_s) == (None, None)


def test_a_record_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path):
    FINISHED.write(tmp_path)
    path = tmp_path / "result.json"
    plain = json.loads(path.read_text()) | {"what_is_new": 1}
    del plain["attempts"]
    path.write_text(json.dumps(plain))
    assert read_result(tmp_path) == FINISHED


def test_git_state_is_empty_outside_a_repository(tmp_path: Path):
    assert git_state(tmp_path) == {}


def test_versions_name_python_and_torch():
    assert {"python", "torch", "fulgurite"} <= versions().keys()


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("first\nlast\n", "last"),
        ("", ""),
        ("a \udcff \x1b[31m name\u00e9", "a \\udcff \\x1b[31m name\u00e9"),
        ("y" * 1000, "y" * 500 + "..."),
    ],
)
def test_the_last_line_of_a_message_is_fit_for_a_terminal(message, line):
    assert last_line(message) == line
