"""Where a run's numbers, pictures and sounds go: JSON lines, files, and TensorBoard where it is installed.

Method names are those of `clu.metric_writers`, which needs TensorFlow, so that either can stand in for the other.
"""

import errno
import io
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.engine.report import tensorboard


class Writer:
    """Writes below one workdir. Every line is on disk, whole, before the next begins."""

    def __init__(self, workdir: Path, resume_step: int) -> None:
        """Open the log, cut back to the lines of steps up to `resume_step`."""
        self._workdir = workdir
        self._log_path = workdir / "metrics.jsonl"
        _cut_back(self._log_path, resume_step)
        # Unbuffered: what could not be written is not tried again when the file is closed.
        self._log = io.FileIO(self._log_path, "ab")
        self._board = tensorboard.Board(workdir / "tensorboard") if tensorboard.installed() else None

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """One line of the log. A number that is not finite is written as null, which JSON has."""
        line = {"step": step, "time": round(time.time(), 3)}
        line |= {name: float(f"{value:.7g}") if math.isfinite(value) else None for name, value in scalars.items()}
        try:
            whole = json.dumps(line).encode() + b"\n"
            if self._log.write(whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise UserError(f"{self._log_path} cannot be written ({error.strerror}): make room, then resume") from error
        if self._board:
            self._board.scalars(step, scalars)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """The run's settings, as `config.json`."""
        files.write_atomic(self._workdir / "config.json", json.dumps(hparams, indent=2).encode())

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """RGB pictures of bytes, as PNG files."""
        for name, image in images.items():
            encoded = files.png(image)
            files.write_atomic(self._sample_path(step, f"{name}.png"), encoded)
            if self._board:
                self._board.image(step, name, encoded, image.shape)

    def write_audios(self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
        """Waves in [-1, 1], as WAV files."""
        for name, wave in audios.items():
            encoded = files.wav(wave, sample_rate)
            files.write_atomic(self._sample_path(step, f"{name}.wav"), encoded)
            if self._board:
                self._board.audio(step, name, encoded, len(wave), sample_rate)

    def close(self) -> None:
        self._log.close()
        if self._board:
            self._board.close()

    def _sample_path(self, step: int, name: str) -> Path:
        folder = self._workdir / "samples" / f"{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


class NullWriter(Writer):
    """For the processes that do not write."""

    def __init__(self) -> None:
        pass

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        pass

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        pass

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        pass

    def write_audios(self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
        pass

    def close(self) -> None:
        pass


def _cut_back(path: Path, step: int) -> None:
    """Drop lines past `step`, and a last line that a kill cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    files.write_atomic(path, "".join(kept).encode())
