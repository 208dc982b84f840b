import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from fulgurite import config, hydra_job

WORDS = ("model=mlp", "model.hidden=[128,64]", "seed=3", "optimizer.lr=1e-3", "augmentation=affine")
FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


class Heard:
    """Stands in for Hydra's callbacks."""

    def __init__(self) -> None:
        self.heard: list[tuple] = []

    def on_job_start(self, **said):
        self.heard.append(("start", said["config"].seed))

    def on_job_end(self, **said):
        self.heard.append(("end", said["job_return"].status))


def composed(*words: str, folder: Path) -> DictConfig:
    config.register(["seed"])
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        cfg = compose(config.CONFIG_NAME, overrides=[*words], return_hydra_config=True)
    with open_dict(cfg):
        cfg.hydra.job.num = 0
        cfg.hydra.sweep.dir, cfg.hydra.sweep.subdir = str(folder), "job"
    return cfg


@pytest.fixture(autouse=True)
def _hydra_config():
    before = HydraConfig.instance().cfg
    yield
    HydraConfig.instance().cfg = before


def run(cfg: DictConfig, folder: Path, task=lambda cfg: None, heard: Heard | None = None) -> JobReturn:
    return hydra_job.run(cfg, folder, task, heard or Heard())


def test_the_files_are_those_that_hydra_writes(tmp_path):
    run(composed(*WORDS, folder=tmp_path / "same"), tmp_path / "same" / "job")
    ours = {name: (tmp_path / "same/job/.hydra" / name).read_text() for name in FILES}
    run_job(
        hydra_context=HydraContext(config_loader=None, callbacks=Heard()),
        task_function=lambda cfg: None,
        config=composed(*WORDS, folder=tmp_path / "same"),
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    for name in FILES:
        assert (tmp_path / "same/job/.hydra" / name).read_text() == ours[name]


@pytest.mark.parametrize(
    "text", ["1e3", "yes", "null", "a: b", "x" * 200 + " " + "y" * 200, "zwei\nZeilen", "한글 #", "''"]
)
def test_any_text_is_read_back_as_it_was(tmp_path, text):
    cfg = composed("model=mlp", folder=tmp_path)
    with open_dict(cfg):
        cfg.model.note = text
    run(cfg, tmp_path / "job")
    assert OmegaConf.load(tmp_path / "job/.hydra/config.yaml").model.note == text


def test_the_task_gets_the_config_without_hydras_part_which_it_can_ask_for(tmp_path):
    seen = {}

    def task(cfg):
        seen.update(keys=list(cfg), folder=cfg.folder, seed=HydraConfig.get().overrides.task)

    run(composed("seed=3", folder=tmp_path), tmp_path / "job", task)
    assert "hydra" not in seen["keys"]
    assert seen["folder"] == str(tmp_path / "job")
    assert seen["seed"] == ["seed=3"]


def test_what_a_job_raises_is_kept_and_said_to_callbacks(tmp_path):
    def task(cfg):
        raise ValueError("broken")

    heard = Heard()
    result = run(composed("seed=3", folder=tmp_path), tmp_path / "job", task, heard)
    assert result.status is JobStatus.FAILED
    with pytest.raises(ValueError, match="broken"):
        _ = result.return_value
    assert heard.heard == [("start", 3), ("end", JobStatus.FAILED)]


def test_an_interrupt_leaves_and_the_surroundings_are_as_before(tmp_path):
    def task(cfg):
        raise KeyboardInterrupt

    here, before = os.getcwd(), HydraConfig.instance().cfg
    with pytest.raises(KeyboardInterrupt):
        run(composed("hydra.job.chdir=true", folder=tmp_path), tmp_path / "job", task)
    assert os.getcwd() == here
    assert HydraConfig.instance().cfg is before


def test_a_job_may_have_a_working_directory_and_variables_of_its_own(tmp_path):
    words = ("hydra.job.chdir=true", "+hydra.job.env_set.FULGURITE_NOTE=here")
    seen = run(
        composed(*words, folder=tmp_path), tmp_path / "job", lambda cfg: (os.getcwd(), os.environ["FULGURITE_NOTE"])
    )
    assert seen.return_value == (str(tmp_path / "job"), "here")
    assert "FULGURITE_NOTE" not in os.environ
