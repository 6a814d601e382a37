"""The wheel contains what the commands need."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.long
def test_wheel_contains_configs_stubs_and_license(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("specjax-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "specjax").rglob("*.py*") if path.suffix != ".pyc"}
    configs = {f"specjax/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert package | configs | {"specjax/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
    assert "License-Expression: Apache-2.0" in metadata
