"""Helpers that run the commands as a user would, with configs small enough for tests."""

import gc
import importlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from absl import flags
from absl import logging as absl_logging
from jaxtyping import config as jaxtyping_config

from specjax.cli import app
from specjax.cli.config import read_json
from specjax.engine import program
from specjax.engine.checkpoint import Checkpoints
from specjax.engine.digests import digests
from specjax.papers import build

ROOT = Path(__file__).parent.parent.parent
SMALL = (
    "--config=unet:tiny",
    "--config.conditioning.size=112",
    "--config.conditioning.fade_mean=56.0",
    "--config.conditioning.fade_sigma=28.0",
    "--config.conditioning.smear_columns=2.0",
    "--config.columns=0",
    # Schedules of a fixed length, so that a run may be continued to more steps as if it had always had them.
    "--config.optimizer.learning_rate.over=1500",
    "--config.loss.l1.over=1500",
    "--config.model.widths=(4,8,8)",
    "--config.model.depth=1",
    "--config.batch_size=8",
    "--config.eval_every=0",
    "--config.sample_every=0",
    "--config.log_every=1",
)

SHORT_STEPS = 20
SHORT_RUN = (
    *SMALL,
    f"--config.steps={SHORT_STEPS}",
    "--config.checkpoint_every=4",
    # At the full learning rate, Adam would amplify rounding differences from step to step.
    "--config.optimizer.learning_rate.value=0.0004",
)


def environment(cache: Path, **extra: str) -> dict[str, str]:
    """Environment variables of a command under test."""
    return os.environ | {"SPECJAX_CACHE": str(cache), "JAX_PLATFORMS": "cpu"} | extra


def command(name: str, *arguments: object) -> list[str]:
    """Command line of one of our commands."""
    return [sys.executable, "-m", f"specjax.{name}", *map(str, arguments)]


def run_command_line(cache: Path, command_line: Sequence[object], **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in the root folder of the project; `extra` are additional environment variables."""
    return subprocess.run(
        [str(word) for word in command_line],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
        timeout=300,
        check=False,
    )


def run(cache: Path, name: str, *arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in a new process; `extra` are additional environment variables."""
    return run_command_line(cache, command(name, *arguments), **extra)


def run_in_process(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in this process, through the same entry point as in a process of its own.

    Starting an interpreter and compiling takes seconds, so most tests use this function. The command sees one device,
    as on most machines, and shares the compiled programs of the tests. The signal handling of `synth` and the runtime
    type checks of the tests are switched off. State of the process that the command changes is restored.
    """
    argv = [f"specjax {name}", *map(str, arguments)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        _restore_process_state(err),
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(app, "leave_promptly"),
        mock.patch.object(app, "use_compilation_cache"),
        mock.patch.object(jax, "device_count", return_value=1),
        mock.patch.object(jaxtyping_config, "jaxtyping_disable", True),
        chdir(ROOT),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        module = importlib.import_module(f"specjax.{name}")
        _forget_flags()
        module = importlib.reload(module)  # defines its flags again
        try:
            app.run(module.main)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return subprocess.CompletedProcess(argv, status, out.getvalue(), err.getvalue())


def error_in_process(name: str, *arguments: object) -> str:
    """Run a command in this process, and return its error line, checked by `error_line`."""
    return error_line(run_in_process(name, *arguments))


def _forget_flags() -> None:
    """Delete the absl flags of all commands: several commands define flags of the same name."""
    for name in list(flags.FLAGS):
        if name.startswith("config.") or flags.FLAGS.find_module_defining_flag(name).startswith("specjax."):
            delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


@contextmanager
def _restore_process_state(stderr: io.StringIO) -> Iterator[None]:
    """Context for a command in this process: logs go to `stderr`; what the command changes is restored at the end."""
    signals = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    }
    loggers = [logging.root, logging.getLogger("specjax")]
    levels, handlers = [logger.level for logger in loggers], logging.root.handlers[:]
    verbosity, hook = absl_logging.get_verbosity(), sys.unraisablehook
    absl_stream = absl_logging.get_absl_handler().python_handler.setStream(stderr)
    logging.root.handlers[:] = []
    gc.freeze()  # so that the collection below looks at the objects of the command only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # A process that ends with an error leaves files open.
        warnings.simplefilter("ignore", DeprecationWarning)  # ml_collections causes one. Python ignores it by default.
        try:
            yield
        finally:
            gc.collect()  # closes them, and so releases the lock of the workdir
            _forget_flags()
            for number, handler in signals.items():
                signal.signal(number, handler)
            sys.unraisablehook = hook
            logging.root.handlers[:] = handlers
            if absl_stream is not None:
                absl_logging.get_absl_handler().python_handler.setStream(absl_stream)
            absl_logging.set_verbosity(verbosity)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def start(cache: Path, workdir: Path, arguments: Sequence[str], **extra: str) -> subprocess.Popen[str]:
    """Start a training in the background."""
    return subprocess.Popen(
        command("train", *arguments, f"--workdir={workdir}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(cache, **extra),
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a training, and check that it succeeded."""
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error line of a command that failed.

    Checks that the exit status is 2, that there is exactly one error line, that it is the last line on stderr, and
    that there is no traceback.
    """
    assert done.returncode == 2, (done.returncode, done.stderr[-3000:])
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:], done.stderr[-3000:]
    return lines[-1]


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Read the metrics log of a run, one dictionary per line."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def final_digests(workdir: Path, steps: int) -> dict[str, str]:
    """Digests of all arrays in the newest checkpoint of a run, which is checked to be at step `steps`."""
    _, task = build(read_json(workdir / "config.json"))
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    step, state, _ = checkpoints.restore_newest(program.abstract_run(task, program.mesh_of(task)))
    checkpoints.close()
    assert step == steps
    return digests(state)
