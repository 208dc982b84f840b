"""Which module may import which, read from the source: one direction, from the config to the run folder.

``conf -> build -> fit -> run folder -> report``; models and data know neither each other nor what is above them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = SRC / "fulgurite"
HEAVY = {"torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning_fabric", "matplotlib"}
COMPOSERS = {"hydra", "omegaconf"}
SWEEP = ("again", "another", "folder", "limits", "pool", "prepare", "record", "show", "task")
# Below build.py a config is no longer known; these are build.py and what is above it.
MAY_COMPOSE = {"build", "cli", "compose", "config", "explain", "groups", "hydra_app", "instantiation"}
MAY_COMPOSE |= {f"replay.{name}" for name in ("frozen", "rerun", "run_folder")}
MAY_COMPOSE |= {"search.overrides", "search.plan", "search.prepare"}
MAY_COMPOSE |= {"devices", "hydra_job", "job", "plan.jobs", *(f"sweep.{name}" for name in SWEEP)}
SHARED = {"fulgurite.errors", "fulgurite.randomness", "fulgurite.spec"}
MODEL_BASE = {
    f"fulgurite.models.{name}" for name in ("gradient_norm", "heads", "layers", "losses", "scores", "supervised")
} | {"fulgurite.models.boltzmann", "fulgurite.models.boltzmann_measures"}
# Imported before a job starts, or by what reads run folders: importing torch takes seconds.
LIGHT = ("cli", "config", "errors", "spec", "randomness", "result", "help", "explain", "hydra_app", "job")
LIGHT += ("plan.command", "plan.jobs", "search.plan", "search.prepare")
LIGHT += ("devices", "resume", *(f"sweep.{name}" for name in SWEEP))


def module_name(path: Path) -> str:
    """``src/fulgurite/data/idx.py`` to ``fulgurite.data.idx``."""
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}
# Hydra imports them for each --help and each press of the Tab key, but for those with an underscore.
PLUGINS = [name for name in MODULES if name.startswith("hydra_plugins.") and not name.split(".")[-1].startswith("_")]


def statements(body: list[ast.stmt], at_import: bool) -> Iterator[ast.AST]:
    """All nodes; with ``at_import`` only those that run when the module is imported."""
    for node in body:
        if at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if at_import and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse, at_import)
            continue
        yield node
        yield from statements(list(ast.iter_child_nodes(node)), at_import)  # type: ignore[arg-type]


def imports(name: str, at_import: bool = False) -> set[str]:
    """Modules that ``name`` imports: ours by their full name, others by their first word."""
    found: set[str] = set()
    for node in statements(ast.parse(MODULES[name].read_text(encoding="utf-8")).body, at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {str(node.module)}
    return {one if one in MODULES else one.partition(".")[0] for one in found}


def ours(name: str) -> set[str]:
    """Modules of this package that ``name`` imports."""
    return imports(name) & MODULES.keys()


def of(package: str) -> list[str]:
    """Names of all modules in ``fulgurite.<package>``."""
    names = [name for name in MODULES if name.startswith(f"fulgurite.{package}.")]
    assert names, f"no module in fulgurite.{package}"
    return names


def test_the_imports_of_a_known_file_are_found():
    assert {"fulgurite.data.idx", "fulgurite.data.in_memory", "fulgurite.errors", "torch"} <= imports(
        "fulgurite.data.mnist"
    )
    assert "fulgurite.fit" in imports("fulgurite.job")
    assert "fulgurite.fit" not in imports("fulgurite.job", at_import=True)


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("fulgurite.")])
def test_only_build_and_what_is_above_it_know_hydra(name):
    if name.removeprefix("fulgurite.") not in MAY_COMPOSE:
        assert not imports(name) & COMPOSERS


@pytest.mark.parametrize("name", list(MODULES))
def test_only_build_instantiates(name):
    if name != "fulgurite.instantiation":
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
        assert "instantiate" not in names


@pytest.mark.parametrize("name", of("models"))
def test_a_model_imports_of_ours_only_what_all_models_share(name):
    assert ours(name) <= SHARED | MODEL_BASE


@pytest.mark.parametrize("name", of("data"))
def test_data_imports_of_ours_only_data_and_what_all_share(name):
    assert ours(name) <= SHARED | set(of("data"))


@pytest.mark.parametrize("name", of("fused"))
def test_fused_programs_know_models_batches_and_training_and_no_more(name):
    below = {"fulgurite.data.batches", "fulgurite.data.draws", "fulgurite.log"}
    below |= {f"fulgurite.models.{name}" for name in ("gradient_norm", "scores", "supervised")}
    assert ours(name) <= SHARED | below | set(of("training")) | set(of("fused"))


@pytest.mark.parametrize("name", of("figures"))
def test_drawing_knows_numbers_alone(name):
    assert ours(name) <= set(of("figures"))
    assert not imports(name) & HEAVY


@pytest.mark.parametrize("name", of("pictures"))
def test_pictures_know_models_data_and_drawing_and_no_more(name):
    below = {*of("data"), *of("models"), *of("figures"), *of("pictures")}
    assert ours(name) <= SHARED | below


@pytest.mark.parametrize("name", of("report"))
def test_a_report_needs_files_alone(name):
    assert ours(name) <= {"fulgurite.errors", "fulgurite.result", *of("report")}
    assert not imports(name) & (HEAVY - {"matplotlib"})


@pytest.mark.parametrize("name", of("board"))
def test_what_is_written_for_tensorboard_needs_values_and_files_alone(name):
    assert ours(name) <= {
        "fulgurite.errors",
        "fulgurite.result",
        "fulgurite.report.collect",
        "fulgurite.places",
        *of("board"),
    }
    assert not imports(name) & HEAVY


@pytest.mark.parametrize("name", [f"fulgurite.{name}" for name in LIGHT] + of("report") + PLUGINS)
def test_importing_it_imports_no_torch(name):
    seen: set[str] = set()
    waiting = {name}
    while waiting:
        one = waiting.pop()
        seen.add(one)
        found = imports(one, at_import=True)
        assert not found & HEAVY, f"{one} imports {found & HEAVY}"
        waiting |= (found & MODULES.keys()) - seen
