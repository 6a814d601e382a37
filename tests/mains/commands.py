"""Running the commands as a user would, small enough for a test."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "--config=unet:tiny",
    "--config.conditioning.size=112",
    "--config.conditioning.fade_mean=56.0",
    "--config.conditioning.fade_sigma=28.0",
    "--config.conditioning.smear_columns=2.0",
    "--config.columns=0",
    "--config.model.widths=(4,8,8)",
    "--config.batch_size=8",
    "--config.eval_every=0",
    "--config.log_every=1",
)


def environment(cache: Path, **extra: str) -> dict[str, str]:
    return os.environ | {"SPECJAX_CACHE": str(cache), "JAX_PLATFORMS": "cpu"} | extra


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"specjax.{name}", *map(str, arguments)]


def run(cache: Path, name: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess:
    """One command, from the root of the project."""
    return subprocess.run(
        command(name, *arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
        timeout=300,
        check=False,
    )
