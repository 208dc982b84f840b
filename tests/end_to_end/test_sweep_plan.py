"""`fulgurite sweep plan` as it is typed: what is printed, the exit code, and that nothing is left behind."""

import os
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

from fulgurite import cli
from fulgurite.config import CONF_DIR

SMALL = ["trainer=cpu", "data.train_subset=1000", "data.batch_size=20", "data.eval_batch_size=1000"]
TINY = [*SMALL, "model=mlp", "model.hidden=[6]", "trainer.max_epochs=2"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A current and a temporary folder of one's own."""
    for name in ("cwd", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("FULGURITE_DEBUG", "0")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setenv("COLUMNS", "100")
    yield tmp_path
    # torch makes a folder of its own there.
    assert list((tmp_path / "tmp").glob("fulgurite*")) == []


@pytest.fixture
def plan(monkeypatch, capsys, here):
    """Type ``fulgurite sweep plan``: exit code, and the lines of stdout and stderr."""

    def run(*words: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["fulgurite", "sweep", "plan", *words])
        code = cli.main()
        out, err = capsys.readouterr()
        assert not (here / "cwd" / "outputs").exists()
        return code, [line.strip() for line in out.splitlines()], err.splitlines()

    return run


def test_jobs_groups_and_estimate_are_printed_and_nothing_is_left(plan, here):
    code, out, err = plan("-m", "launcher=fused", "launcher.probe=false", *TINY, "optimizer.lr=0.1,0.2", "seed=1,2,3")
    assert (code, err) == (0, [])
    assert out[0] == "6 jobs in 1 group"
    assert [line.split() for line in out if line[:1].isdigit()][1:] == [
        [str(job), lr, seed, "1"] for job, (lr, seed) in enumerate([(a, b) for a in ("0.1", "0.2") for b in "123"], 1)
    ]
    assert "Group 1: 6 jobs (1 to 6)" in out
    assert "MLP, 4,792 parameters, batches of 20, 100 steps a job" in out
    assert any(line.startswith("launcher=fused trains one program: a step of 6 takes ") for line in out)
    assert out[-1] == "With these words the sweep runs with launcher=fused."
    assert list((here / "cwd").iterdir()) == []


def test_the_basic_launcher_is_told_what_the_fused_one_would_do(plan):
    code, out, _ = plan(*TINY, "trainer.max_epochs=1", "optimizer=sgd,lbfgs", "scheduler=constant", "seed=1,2")
    assert code == 0
    assert "Group 1: 2 jobs (1, 2), optimizer=sgd" in out
    assert "launcher=fused trains each alone: LBFGS looks at each batch several times" in out
    assert out[-1] == "With these words the sweep runs with launcher=basic."


def test_mistakes_in_several_jobs_come_in_one_list(plan):
    models = ", ".join(sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml")))
    code, out, err = plan(*SMALL, "model=mlp,mlpp", "model.dropout=0.1,1.5", "optimizer.lr=0.1,-1.0", "seed=1,b")
    assert (code, out) == (2, [])
    assert err == [
        "15 of 16 jobs cannot run:",
        "  jobs 2, 4, 6, 8 (model=mlp seed=b): seed must be an integer, got b",
        "  job 3 (model=mlp model.dropout=0.1 optimizer.lr=-1.0 seed=1): optimizer.lr must be a number > 0, got -1.0",
        "  jobs 5, 7 (model=mlp model.dropout=1.5 seed=1): model.dropout must be in [0, 1), got 1.5",
        f"  jobs 9 to 16 (model=mlpp): model must be one of {models}; got mlpp (did you mean mlp?)",
    ]


def test_a_mistake_of_the_data_and_one_of_the_model_are_both_told(plan):
    code, _, err = plan(*SMALL, "model=linear", "data.train_subset=1000,70000", "objective.metric=val/acc,val/ac")
    assert code == 2
    assert [line.partition(":")[0] for line in err] == [
        "3 of 4 jobs cannot run",
        "  job 2 (data.train_subset=1000 objective.metric=val/ac)",
        "  jobs 3, 4 (data.train_subset=70000)" if "jobs 3, 4" in err[2] else "  job 3 (data.train_subset=70000)",
    ]
    assert "(did you mean val/acc?)" in err[1]


def test_a_misspelt_key_is_told_the_nearest(plan):
    code, _, err = plan(*TINY, "optimiser.lr=0.1,0.2")
    assert code == 2
    assert err == ["2 of 2 jobs cannot run:", "  all 2 jobs: there is no key optimiser.lr; did you mean optimizer.lr?"]


def test_a_wrong_setting_of_the_launcher_is_told(plan):
    code, _, err = plan("launcher=fused", *TINY, "launcher.max_members=0", "seed=1,2")
    assert code == 2
    assert err[1] == "  all 2 jobs: launcher.max_members must be an integer >= 1, got 0"


def test_a_flag_other_than_m_is_refused(plan):
    assert plan("--cfg", "job") == (2, [], ["error: fulgurite sweep plan takes overrides alone, not --cfg"])
    assert plan("--multrun")[2][0].startswith("error: there is no flag --multrun (did you mean --multirun?)")


OWN = """
    import torch
    from pytorch_lightning import LightningModule
    from torch import nn
    from torch.nn import functional

    class Own(LightningModule):
        def __init__(self, lr, fault):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

        def training_step(self, batch, batch_idx):
            if self.hparams.fault == "bug":
                raise RuntimeError("shapes differ")
            loss = functional.cross_entropy(self.net(batch[0]), batch[1])
            if self.hparams.fault == "item":
                loss.item()
            return loss

        def validation_step(self, batch, batch_idx):
            self.log("val/acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""


@pytest.fixture
def own(here, monkeypatch):
    """The words that choose a module of the user's own."""
    (here / "cwd" / "own_net.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(here / "cwd")
    monkeypatch.delitem(sys.modules, "own_net", raising=False)
    taken = [f"~model.{key}" for key in ("bias", "init", "spec", "loss")]
    return [*SMALL, "model=linear", "model._target_=own_net.Own", *taken]


def test_a_step_that_cannot_be_fused_is_told_why(plan, own):
    code, out, _ = plan(*own, "+model.fault=item,none", "+model.lr=0.1,0.2")
    assert code == 0
    at = out.index("Group 1: 2 jobs (1, 2), model.fault=item")
    assert out[at + 1].startswith("Own, 7,850 parameters, ")
    assert out[at + 2] == (
        "launcher=fused trains each alone: its training step calls .item(), or branches on a tensor's value"
    )
    assert "a step of 2 takes " in out[out.index("Group 2: 2 jobs (3, 4), model.fault=none") + 2]


def test_a_bug_in_a_step_is_one_line_without_a_traceback(plan, own):
    code, out, err = plan(*own, "+model.fault=none,bug", "+model.lr=0.1,0.2")
    assert (code, out) == (2, [])
    assert err == [
        "2 of 4 jobs cannot run:",
        "  jobs 3, 4 (model.fault=bug): RuntimeError: shapes differ; FULGURITE_DEBUG=1 shows the traceback",
    ]


def test_debug_lets_a_bug_through(plan, own, monkeypatch):
    monkeypatch.setenv("FULGURITE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="shapes differ"):
        plan(*own, "+model.fault=bug", "+model.lr=0.1")


def test_many_jobs_take_seconds(plan):
    """Each job costs its composition alone; 16 are built."""
    started = time.process_time()
    code, out, _ = plan(*TINY, "optimizer.lr=0.1,0.2,0.3,0.4", "seed=range(25)")
    assert code == 0
    assert out[0] == "100 jobs in 1 group"
    assert time.process_time() - started < 20


def test_a_refused_flag_imports_no_torch(here):
    light = (
        "import sys; from fulgurite.cli import main; code = main(); sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", light, "sweep", "plan", "--cfg", "job"],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(here / "tmp")},
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: fulgurite sweep plan takes overrides alone, not --cfg\n"
