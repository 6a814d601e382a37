"""Layout of the package: modules import from lower layers, papers are independent, heavy libraries load late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from specjax.__main__ import COMMANDS
from specjax.papers import PAPERS, TASKS

PACKAGE = Path(__file__).parent.parent / "specjax"
# Modules of `cli` that every layer may import.
SUPPORT = {"cli.errors", "cli.files", "cli.config", "cli.paths", "cli.shipped"}

# Packages from the lowest to the highest; a module may import from its own layer and those below it.
LAYERS = ("arrays", "optim measure", "signal image", "nn plots", "data", "engine benchmark", "papers")
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer.split()}

STARTUP = {"jax", "flax", "optax", "orbax", "numpy", "absl", "ml_collections", "jaxtyping", "etils", "lazy_loader"}
HEAVY = ("librosa", "tensorflow_datasets", "tensorflow", "torch", "sklearn", "PIL", "soundfile", "safetensors", "clu")


def imported_modules(path: Path, *, top_level: bool = False) -> set[str]:
    """Dotted names that a file imports, anywhere in it or only at its top level."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parts(path: Path) -> tuple[str, ...]:
    """Parts of the module name of a file, below `specjax`."""
    return path.relative_to(PACKAGE).with_suffix("").parts


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in FILES if len(parts(path)) > 1]


def name(path: Path) -> str:
    """Path of a file relative to the package, as the id of a test."""
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", [p for p in MODULES if parts(p)[0] in RANK], ids=name)
def test_modules_import_from_their_own_or_lower_layers(path):
    package = parts(path)[0]
    for module in imported_modules(path):
        if module.startswith("specjax."):
            target = module.split(".")[1]
            support = target == "cli" and (package == "papers" or ".".join(module.split(".")[1:3]) in SUPPORT)
            assert support or RANK.get(target, 99) <= RANK[package], f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in MODULES if parts(p)[0] == "cli"], ids=name)
def test_cli_imports_no_other_package(path):
    assert all(m.startswith("specjax.cli") for m in imported_modules(path) if m.startswith("specjax"))


@pytest.mark.parametrize("path", [p for p in MODULES if parts(p)[0] == "papers" and len(parts(p)) > 2], ids=name)
def test_no_paper_imports_another(path):
    others = {f"specjax.papers.{paper}" for paper in PAPERS} - {f"specjax.papers.{parts(path)[1]}"}
    assert not [m for m in imported_modules(path) if any(m.startswith(other) for other in others)]


def test_every_top_level_name_is_a_command_or_a_package():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set(COMMANDS)
    assert {parts(path)[0] for path in MODULES} == {*RANK, "cli"}


def test_every_paper_and_task_in_the_table_has_a_folder():
    folders = {path.name for path in (PACKAGE / "papers").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(PAPERS)
    assert {task.partition("/")[0] for task in TASKS} <= folders


@pytest.mark.parametrize("path", FILES, ids=name)
def test_modules_import_few_libraries_at_startup(path):
    for module in imported_modules(path, top_level=True):
        first = module.split(".")[0]
        assert first in STARTUP | {"specjax"} | sys.stdlib_module_names, f"{name(path)} imports {module} at startup"


def test_only_commands_define_absl_flags():
    with_flags = {path for path in FILES if "DEFINE_" in path.read_text()}
    assert all(len(parts(path)) == 1 for path in with_flags)


def test_no_module_imports_a_pickle_library():
    for path in FILES:
        first_names = {module.split(".")[0] for module in imported_modules(path)}
        assert not first_names & {"pickle", "dill", "cloudpickle", "joblib"}, path


def test_importing_the_package_and_the_commands_loads_no_heavy_library():
    code = f"""
import importlib, sys
import specjax
assert not {{"jax", "numpy"}} & set(sys.modules)
from absl import flags
for command in {COMMANDS!r}:
    importlib.import_module(f"specjax.{{command}}")
    for flag in list(flags.FLAGS):
        delattr(flags.FLAGS, flag)  # commands define flags of the same names
import specjax.papers
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
