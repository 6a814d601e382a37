"""Writers of the metrics, pictures and sounds of a run: to a log, to files, and to TensorBoard if it is installed.

The methods are named as in `clu.metric_writers`, which needs TensorFlow, so that either can replace the other.
"""

import errno
import io
import json
import logging
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from specjax.cli import files
from specjax.cli.config import parse_json
from specjax.cli.errors import UserError
from specjax.engine.report import tensorboard

_log = logging.getLogger("specjax")


class Writer:
    """Writer of the metrics, pictures and sounds of a run into its working directory.

    The log `metrics.jsonl` has one JSON object per line. It is unbuffered: a line is in the file as soon as
    `write_scalars` has returned.
    """

    def __init__(self, workdir: Path, resume_step: int) -> None:
        """Open the log `metrics.jsonl` in `workdir`, and remove its lines for steps after `resume_step`.

        A resumed run computes those steps again.
        """
        self._workdir = workdir
        self._log_path = workdir / "metrics.jsonl"
        _truncate_log(self._log_path, resume_step)
        # Unbuffered: a buffered file would repeat a failed write when it is closed.
        self._log = io.FileIO(self._log_path, "ab")
        self._events = (
            tensorboard.EventWriter(workdir / "tensorboard", resume_step) if tensorboard.is_installed() else None
        )

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Append one line to the log: the step, the time in seconds since the epoch, and the scalars.

        Scalars are rounded to 7 significant digits. A NaN or infinity is written as null, because JSON cannot represent
        it.

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
        """Write 8-bit RGB images of shape (height, width, 3) to `samples/STEP/NAME.png`."""
        for name, image in images.items():
            encoded = files.png(image)
            files.write_atomic(self._sample_path(step, f"{name}.png"), encoded)
            if self._events:
                self._events.write_image(step, name, encoded, image.shape)

    def write_audios(self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
        """Write mono sounds with samples in [-1, 1] to `samples/STEP/NAME.wav`; `sample_rate` is in Hz.

        A sound that is not finite is left out, with a warning.
        """
        for name, wave in audios.items():
            if not np.isfinite(wave).all():
                _log.warning("step %d: the sound %s is not finite and is not written", step, name)
                continue
            encoded = files.wav(wave, sample_rate)
            files.write_atomic(self._sample_path(step, f"{name}.wav"), encoded)
            if self._events:
                self._events.write_audio(step, name, encoded, len(wave), sample_rate)

    def close(self) -> None:
        """Close the log `metrics.jsonl` and, if there is one, the TensorBoard event file."""
        self._log.close()
        if self._events:
            self._events.close()

    def _sample_path(self, step: int, name: str) -> Path:
        """Return the path of a sample picture or sound, and create its folder if necessary.

        Args:
          step: step at which the sample was made; it gives the name of the folder.
          name: file name of the sample, such as `piano.wav`.
        """
        folder = self._workdir / "samples" / f"{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


class NullWriter(Writer):
    """Writer that writes nothing, for all processes except process 0."""

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
    """Remove the lines of a log for steps after `step`, and lines that are incomplete because the run was killed."""
    if not path.exists():
        return
    kept = []
    for line in files.read_regular(path).splitlines():
        try:
            if parse_json(line)["step"] <= step:
                kept.append(line + b"\n")
        except (KeyError, TypeError, ValueError):
            continue
    files.write_atomic(path, b"".join(kept))
