"""Writers of a run's scalars, pictures and sounds: JSON lines, files, and TensorBoard if it is installed.

The methods have the names of `clu.metric_writers`, which needs TensorFlow, so that either can replace the other.
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
    """Writes into one workdir. Each line of the log is written whole before the next begins."""

    def __init__(self, workdir: Path, resume_step: int) -> None:
        """Open the log `metrics.jsonl`, and drop its lines of steps beyond `resume_step`."""
        self._workdir = workdir
        self._log_path = workdir / "metrics.jsonl"
        _truncate_log(self._log_path, resume_step)
        # Unbuffered, so that a failed write is not tried again when the file is closed.
        self._log = io.FileIO(self._log_path, "ab")
        self._events = tensorboard.EventWriter(workdir / "tensorboard") if tensorboard.is_installed() else None

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write one line of the log, with the time (s since the epoch).

        Values are rounded to 7 digits. A value that is not finite is written as null, because JSON has no such numbers.

        Raises:
          UserError: the disk is full, or the log cannot be written.
        """
        line = {"step": step, "time": round(time.time(), 3)}
        line |= {name: float(f"{value:.7g}") if math.isfinite(value) else None for name, value in scalars.items()}
        try:
            encoded = json.dumps(line).encode() + b"\n"
            if self._log.write(encoded) != len(encoded):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise UserError(
                f"{self._log_path} cannot be written ({error.strerror}): make room, then run the same command again"
            ) from error
        if self._events:
            self._events.write_scalars(step, scalars)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Write the config of the run to `config.json`."""
        files.write_atomic(self._workdir / "config.json", json.dumps(hparams, indent=2).encode())

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Write 8-bit RGB images, of shape (height, width, 3), to PNG files."""
        for name, image in images.items():
            encoded = files.png(image)
            files.write_atomic(self._sample_path(step, f"{name}.png"), encoded)
            if self._events:
                self._events.write_image(step, name, encoded, image.shape)

    def write_audios(self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
        """Write mono sounds in [-1, 1] to WAV files; `sample_rate` is in Hz."""
        for name, wave in audios.items():
            encoded = files.wav(wave, sample_rate)
            files.write_atomic(self._sample_path(step, f"{name}.wav"), encoded)
            if self._events:
                self._events.write_audio(step, name, encoded, len(wave), sample_rate)

    def close(self) -> None:
        """Close the log and the event file."""
        self._log.close()
        if self._events:
            self._events.close()

    def _sample_path(self, step: int, name: str) -> Path:
        """Return the path of a sample of `step`, making its folder if necessary."""
        folder = self._workdir / "samples" / f"{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


class NullWriter(Writer):
    """Writes nothing: for all processes but process 0."""

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


def _truncate_log(path: Path, step: int) -> None:
    """Drop the lines of steps beyond `step`, and lines that are incomplete because the run was killed."""
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
