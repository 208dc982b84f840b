import logging
import os
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest

from fulgurite.log import LOG_NAME, _LogFile, log_to


def test_the_log_keeps_what_the_terminal_does_not_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with log_to(tmp_path):
        logging.getLogger("pytorch_lightning.utilities.rank_zero").info("GPU available: False")
        logging.getLogger("fulgurite").error("only here", extra={"only_in_file": True})
    assert capsys.readouterr() == ("", "")
    text = (tmp_path / "train.log").read_text()
    assert "GPU available: False" in text
    assert "only here" in text


def test_a_warning_reaches_log_and_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with log_to(tmp_path):
        logging.getLogger("any.library").warning("look here")
    assert "WARNING: look here" in capsys.readouterr().err
    assert "look here" in (tmp_path / "train.log").read_text()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted there")
def test_logs_of_many_jobs_at_once_keep_no_file_open(tmp_path: Path):
    before = len(os.listdir("/proc/self/fd"))
    with ExitStack() as jobs:
        for number in range(20):
            (tmp_path / str(number)).mkdir()
            jobs.enter_context(log_to(tmp_path / str(number)))
        logging.getLogger("fulgurite").info("the last of them")
        assert len(os.listdir("/proc/self/fd")) == before
    written = [(tmp_path / str(number) / "train.log").read_text() for number in range(20)]
    assert [bool(text) for text in written] == [False] * 19 + [True]


def test_known_noise_is_silent_and_other_warnings_are_not(tmp_path: Path):
    with log_to(tmp_path):
        warnings.warn("Experiment logs directory x exists and is not empty.", stacklevel=1)
        with pytest.warns(UserWarning, match="something new"):
            warnings.warn("something new", stacklevel=1)


def test_a_message_that_names_a_file_in_no_encoding_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # Not through a logger: pytest would hand the message on between its own processes, which cannot.
    _LogFile(tmp_path / LOG_NAME).handle(logging.makeLogRecord({"msg": "cannot read \udcff.csv"}))
    assert "cannot read \\udcff.csv" in (tmp_path / LOG_NAME).read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""
