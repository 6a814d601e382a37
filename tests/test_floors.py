"""The plan of the house: imports go down, no wing knows another, the engine knows no wing, heavy packages wait."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "specjax"
WINGS = ("chord", "melody", "mvnet", "texture")
MAINS = ("train", "evaluate", "export", "synth", "knobs", "bench", "study", "__main__")

# What the modules of each room may import of this package.
MATHS = {"image", "signal", "batching"}
ALLOWED = {
    "errors": set(),
    "batching": set(),
    "image": {"image", "batching"},
    "solve": {"solve", "batching"},
    "signal": {"signal", "solve", "batching"},
    "nn": MATHS | {"nn"},
    "optim": MATHS | {"optim"},
    "config": {"errors"},
    "files": set(),
    "data": MATHS | {"data", "errors", "config", "files"},
    "engine": {"engine", "data", "optim", "errors", "config", "files"},
    "plots": set(),
    "sounds": MATHS | {"data", "plots", "solve", "errors"},
    "streams": MATHS | {"data", "files", "errors"},
    "chords": {"chord", "image", "data", "engine", "config", "errors"},
    "outputs": {"files", "errors"},
    **{wing: MATHS | {"nn", "optim", "measure", "data", wing} for wing in WINGS},
    "wings": {*WINGS, "engine", "config", "errors"},
    "benchmark": {"benchmark", "peers", *MATHS, *WINGS, "nn", "optim", "engine"},
    "studies": {"studies", *MATHS, *WINGS, "data", "engine", "errors", "files"},
    "peers": {"peers"},  # theirs is theirs: nothing of ours speeds it up
    "runs": {"wings", "engine", "config", "errors"},
    "cli": {"config", "errors", "files"},
}
STARTING = {"jax", "flax", "optax", "orbax", "numpy", "absl", "ml_collections", "jaxtyping", "etils"}
HEAVY = ("librosa", "tensorflow_datasets", "tensorflow", "torch", "sklearn", "PIL", "soundfile", "safetensors", "clu")


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """Modules that a file imports, as dotted names."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if room(path) != "__init__"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path):
    if room(path) in MAINS:
        return
    for name in imports(path):
        if not name.startswith("specjax."):
            continue
        target = name.split(".")[1]
        from_task = name.startswith("specjax.engine.task") and room(path) in WINGS
        assert target in ALLOWED[room(path)] or from_task, f"{path.name} may not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_bare_accelerator_machine_can_start(path):
    """Only a few packages are imported where modules begin; the others where they are used."""
    for name in imports(path, top_level=True):
        first = name.split(".")[0]
        assert first in STARTING | {"specjax"} | sys.stdlib_module_names, f"{path.name} imports {name} at start"


def test_every_main_is_a_command():
    from specjax.__main__ import COMMANDS

    assert {*COMMANDS, "__main__"} == set(MAINS)
    with_flags = {room(path) for path in FILES if "DEFINE_" in path.read_text()}
    assert with_flags == set(COMMANDS)


def test_flags_live_in_mains_alone():
    for path in FILES:
        if room(path) not in (*MAINS, "cli"):
            assert not any(name.startswith("absl.") and "flags" in name for name in imports(path)), path


def test_no_pickles():
    for path in FILES:
        assert not any(name.split(".")[0] in ("pickle", "dill", "cloudpickle", "joblib") for name in imports(path))


@pytest.mark.parametrize("command", ["train", "bench", "synth", "evaluate", "export", "knobs", "study"])
def test_starting_a_command_loads_nothing_heavy(command):
    code = f"import sys, specjax.{command}, specjax.wings; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
