"""The package as a person gets it: built, installed in a venv of its own, used from a folder of theirs."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LARGEST_WHEEL = 13_000_000


def run(*words, cwd):
    """Run a command without what this process's environment says of packages; its output, or a failed test."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it: what is missing in the first fails the second."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        sdist.extractall(folder, filter="data")
    unpacked = next(path for path in folder.iterdir() if path.is_dir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    return folder


def make_venv(folder):
    """A venv that sees the packages of this one, but neither its fulgurite nor the checkout. Its ``bin`` folder."""
    venv.create(folder, with_pip=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A path in a .pth file comes after the venv's own packages, and the .pth files in that path are not read.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / ("Scripts" if os.name == "nt" else "bin")


def trained(cwd):
    """The only result.json below ``cwd``."""
    (path,) = cwd.glob("outputs/*/*/result.json")
    return json.loads(path.read_text())


SHORT = ("model=mlp", "trainer.max_epochs=1", "data.train_subset=2000")


def test_the_wheel_is_small_and_holds_configs_data_and_licence(dist):
    wheel = next(dist.glob("*.whl"))
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"fulgurite/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("conf/**/*.yaml")}
    idx = {f"fulgurite/{path.relative_to(ROOT / 'src/fulgurite').as_posix()}" for path in ROOT.glob("src/**/*.gz")}
    assert wheel.stat().st_size < LARGEST_WHEEL
    assert len(configs) > 20
    assert len(idx) == 4
    assert configs | idx <= names
    assert "fulgurite/data/mnist_files/README.md" in names
    assert {f"fulgurite/data/iris_files/{name}" for name in ("iris.csv", "README.md")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith("fulgurite") or name.startswith("hydra_plugins/") for name in names)


def test_the_installed_wheel_trains_from_another_folder(dist, tmp_path):
    programs = make_venv(tmp_path / "venv")
    run(programs / "pip", "install", "--no-deps", "--no-index", next(dist.glob("*.whl")), cwd=tmp_path)
    where = run(programs / "python", "-c", "import fulgurite.config as c; print(c.CONF_DIR)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to((tmp_path / "venv").resolve())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(programs / "fulgurite", "train", *SHORT, cwd=elsewhere)
    assert trained(elsewhere)["status"] == "finished"


def test_an_editable_installation_reads_the_configs_of_the_checkout(dist, tmp_path):
    programs = make_venv(tmp_path / "venv")
    checkout = next(path for path in dist.iterdir() if path.is_dir())
    pip = (programs / "python", "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, "-e", checkout, cwd=tmp_path)
    where = run(programs / "python", "-c", "import fulgurite.config as c; print(c.CONF_DIR)", cwd=tmp_path).strip()
    assert Path(where) == checkout / "conf"
    run(programs / "fulgurite", "train", *SHORT, cwd=tmp_path)
    assert trained(tmp_path)["status"] == "finished"
