"""The README's commands do what it says: each runs here, cut short; the ten-line model is added to a copy and trained.

The two lines that make a venv are run by ``.ci/run``.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fulgurite import cli
from fulgurite.data.idx import read_idx
from fulgurite.data.mnist import BUNDLED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHORT = ["trainer.max_epochs=1", *(f"trainer.limit_{part}_batches=2" for part in ("train", "val", "test"))]


def fenced(language):
    """The README's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in fenced("bash") for line in block.splitlines() if line and not line.startswith("#")]
SET_UP = [line for line in COMMANDS if line.startswith("python3 -m venv")]
TRAINING = [line for line in COMMANDS if line.startswith("python train.py") and "model=tiny" not in line]
PLANS = [line for line in COMMANDS if line.startswith("fulgurite sweep plan")]
OF_A_SWEEP = [
    line for line in COMMANDS if line.startswith(("fulgurite sweep show", "fulgurite sweep resume", "fulgurite report"))
]
BOARD = [line for line in COMMANDS if line.startswith("fulgurite board")]
AFTERWARDS = [line for line in COMMANDS if " RUN" in line or line.startswith(("fulgurite ls", "fulgurite reproduce"))]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder of one's own; what the command line leaves in the environment is taken back."""
    monkeypatch.chdir(tmp_path)
    for name in ("FULGURITE_DEBUG", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "0")
    return tmp_path


def results(folder):
    """All results below a folder."""
    return [json.loads(path.read_text()) for path in folder.glob("outputs/**/result.json")]


def test_the_readme_holds_what_this_file_runs():
    assert len(README.splitlines()) < 250
    assert len(SET_UP) == 2
    assert len(TRAINING) >= 8
    assert len(PLANS) == 1
    assert len(OF_A_SWEEP) == 3
    assert len(AFTERWARDS) >= 3
    others = set(COMMANDS) - {*SET_UP, *TRAINING, *PLANS, *OF_A_SWEEP, *AFTERWARDS}
    assert others == {
        "python train.py model=tiny model.width=128",
        *BOARD,
    }


def test_the_set_up_lines_stand_alone():
    main_job, tests = SET_UP
    assert main_job.endswith(".venv/bin/pip install -e . && .venv/bin/python train.py model=cnn")
    assert tests.endswith('.venv/bin/pip install -e ".[dev]" && .venv/bin/python -m pytest')


@pytest.mark.filterwarnings("ignore:You have turned on `Trainer.detect_anomaly")
@pytest.mark.parametrize("command", TRAINING)
def test_a_training_command_runs(command, here):
    words = shlex.split(command, comments=True)[2:]
    assert cli.train([*words, *SHORT]) == 0
    done = results(here)
    assert [result["status"] for result in done] == ["finished"] * (12 if "-m" in words else 1)
    assert bool(list(here.glob("outputs/sweeps/*/leaderboard.csv"))) == ("-m" in words)


@pytest.mark.parametrize("command", OF_A_SWEEP)
def test_a_sweep_is_shown_and_gone_on_with_by_its_name(command, here, monkeypatch, capsys):
    assert cli.train(["-m", "model=mlp", "seed=1,2", "sweep.name=night", *SHORT]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    assert cli.main() == 0
    said = capsys.readouterr().out
    assert any(words in said for words in ("of 2 jobs 2 finished", "[2/2] seed-2 finished before", "Wrote outputs/"))


@pytest.mark.parametrize("command", PLANS)
def test_a_plan_of_a_sweep_is_printed_and_leaves_nothing(command, here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [*shlex.split(command), *SHORT])
    assert cli.main() == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("12 jobs in 1 group\n")
    assert list(here.iterdir()) == []


def test_the_commands_for_a_finished_run_need_its_folder_alone(here, monkeypatch):
    assert cli.train(["model=mlp", "data.train_subset=256", "trainer.max_epochs=1"]) == 0
    (run,) = here.glob("outputs/mnist/*")
    shutil.move(run, here / "RUN")
    digits = read_idx(BUNDLED / "MNIST/raw/t10k-images-idx3-ubyte.gz")
    Image.fromarray(digits[0].numpy()).resize((90, 90)).save("digit.png")
    for command in AFTERWARDS:
        monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
        assert cli.main() == 0, command
    assert len((here / "RUN/predictions.csv").read_text().splitlines()) == 2


def test_the_board_answers_and_ends_with_ctrl_c(here):
    (line,) = BOARD
    (here / "outputs").mkdir()
    start = "import sys; from fulgurite.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", start, *shlex.split(line, comments=True)[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/?", process.stdout.readline())
        assert address
        with urllib.request.urlopen(address[0], timeout=60) as answer:
            assert b"TensorBoard" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_tensorboard_finds_the_curves_of_a_run(here):
    assert cli.train(["model=mlp", "data.train_subset=256", "trainer.max_epochs=1"]) == 0
    (run,) = here.glob("outputs/mnist/*")
    board = EventAccumulator(str(run)).Reload()
    assert {"train/loss", "val/acc", "test/acc"} <= set(board.Tags()["scalars"])


def test_a_model_in_ten_lines_trains_and_is_evaluated(tmp_path):
    (python,), (yaml,) = fenced("python"), fenced("yaml")
    assert len([line for line in (python + yaml).splitlines() if line.strip()]) == 10
    (command,) = [line for line in COMMANDS if "model=tiny" in line]
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    shutil.copy(ROOT / "train.py", tmp_path)
    for name, text in (("src/fulgurite/models/tiny.py", python), ("conf/model/tiny.yaml", yaml)):
        assert f"`{name}`" in README
        (tmp_path / name).write_text(text)

    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    words = [sys.executable, *shlex.split(command)[1:], "trainer.max_epochs=1", "data.train_subset=5000"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, timeout=300)

    (result,) = results(tmp_path)
    assert result["status"] == "finished"
    assert result["metrics"]["test/acc"] > 0.8
    (run,) = tmp_path.glob("outputs/mnist/*")
    evaluate = [sys.executable, "-c", "from fulgurite.cli import main; main()", "eval", run]
    subprocess.run(evaluate, cwd=tmp_path, env=environment, check=True, timeout=300)
