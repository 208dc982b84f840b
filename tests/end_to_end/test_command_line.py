"""Mistakes as a user makes them, in a process of its own: what is printed, the exit code, and what was imported."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fulgurite.result import read_result

TRAIN = str(Path(__file__).parents[2] / "train.py")
# Runs the command, then fails when torch was imported on the way.
LIGHT = "import sys; from fulgurite.cli import train; code = train(); sys.exit(99 if 'torch' in sys.modules else code)"
NO_HYDRA = LIGHT.replace("'torch'", "'hydra'")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("FULGURITE_DEBUG", "HYDRA_FULL_ERROR")}


def typed(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, env=ENVIRONMENT | environment, timeout=240
    )


@pytest.mark.parametrize("override", ["model=cnnn", "optim.lr=.1", "seed=abc", "model.hidden=[1,2"])
def test_a_config_error_is_one_line_and_imports_no_torch(tmp_path, override):
    done = typed("-c", LIGHT, override, folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_printing_the_config_imports_no_torch(tmp_path):
    done = typed("-c", LIGHT, "model=mlp", "--cfg", "job", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_target_: fulgurite.models.mlp.MLP" in done.stdout


def test_help_imports_no_hydra(tmp_path):
    done = typed("-c", NO_HYDRA, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Most used keys" in done.stdout


def test_bash_completes_after_train_py(tmp_path):
    """As the shell does it: the script that `-sc install=bash` prints, then a press of the Tab key."""
    Path(tmp_path / "train.py").symlink_to(TRAIN)
    script = """
        eval "$(python train.py -sc install=bash)"
        COMP_LINE="python train.py optimizer=ad"; COMP_POINT=${#COMP_LINE}; COMP_CWORD=2
        hydra_bash_completion; echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PATH": path},
        timeout=60,
    )
    assert done.stdout.split() == ["optimizer=adam", "optimizer=adamw"], done.stderr


def test_a_value_out_of_range_is_refused_before_training_and_recorded(tmp_path):
    done = typed(TRAIN, "model=mlp", "model.dropout=1.5", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: model.dropout must be in [0, 1), got 1.5\n"
    (folder,) = (tmp_path / "outputs" / "mnist").iterdir()
    assert read_result(folder).status == "failed"


def test_ctrl_c_in_training_is_one_line_and_recorded(tmp_path):
    words = [sys.executable, TRAIN, "model=mlp", "data.train_subset=500", "trainer.max_epochs=100000", "logger=none"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout.readline().startswith("epoch 1/")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
    (folder,) = (tmp_path / "outputs" / "mnist").iterdir()
    assert read_result(folder).status == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("command", [[TRAIN], [str(Path(sys.executable).with_name("fulgurite")), "train"]])
def test_two_processes_train_as_one(tmp_path, command):
    options = ["model=mlp", "trainer=ddp_cpu", "trainer.max_epochs=1", "data.train_subset=2000"]
    done = typed(*command, *options, folder=tmp_path, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "mnist").iterdir()
    log = (folder / "train.log").read_text()
    assert "MEMBER: 1/2" in log
    assert "MEMBER: 2/2" in log
    assert read_result(folder).status == "finished"
