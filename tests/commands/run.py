"""Running the commands as a user would, small enough for a test."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specjax.cli.config import read_json
from specjax.engine import loop
from specjax.engine import sharding as mesh
from specjax.engine.checkpoint import Checkpoints, digests
from specjax.papers import build

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "--config=unet:tiny",
    "--config.conditioning.size=112",
    "--config.conditioning.fade_mean=56.0",
    "--config.conditioning.fade_sigma=28.0",
    "--config.conditioning.smear_columns=2.0",
    "--config.columns=0",
    "--config.model.widths=(4,8,8)",
    "--config.model.depth=1",
    "--config.batch_size=8",
    "--config.eval_every=0",
    "--config.sample_every=0",
    "--config.log_every=1",
)

SHORT_STEPS = 40
SHORT_RUN = (
    *SMALL,
    f"--config.steps={SHORT_STEPS}",
    "--config.checkpoint_every=4",
    "--config.optimizer.learning_rate.value=0.0004",  # Adam at its full rate would enlarge rounding, step by step
)


def environment(cache: Path, **extra: str) -> dict[str, str]:
    return os.environ | {"SPECJAX_CACHE": str(cache), "JAX_PLATFORMS": "cpu"} | extra


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"specjax.{name}", *map(str, arguments)]


def run_words(cache: Path, words: Sequence[object], **extra: str) -> subprocess.CompletedProcess[str]:
    """One command line, from the root of the project; `extra` are variables of its environment."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
        timeout=300,
        check=False,
    )


def run(cache: Path, name: str, *arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """One of our commands."""
    return run_words(cache, command(name, *arguments), **extra)


def start(cache: Path, workdir: Path, arguments: Sequence[str], **extra: str) -> subprocess.Popen[str]:
    """A training that goes on by itself."""
    return subprocess.Popen(
        command("train", *arguments, f"--workdir={workdir}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a training to end well."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refused."""
    assert done.returncode == 2, (done.returncode, done.stderr[-3000:])
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr[-3000:]
    return lines[0]


def log(workdir: Path) -> list[dict[str, Any]]:
    """Lines of a run's log."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def final_digests(workdir: Path, steps: int) -> dict[str, str]:
    """Fingerprints of everything in the newest checkpoint, which is of the last step."""
    _, task = build(read_json(workdir / "config.json"))
    checkpoints = Checkpoints(workdir / "checkpoints")
    step, state, _ = checkpoints.restore_newest(loop.abstract_run(task, mesh.make_mesh()))
    checkpoints.close()
    assert step == steps
    return digests(state)
