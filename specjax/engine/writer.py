"""Where a run's numbers, pictures and sounds go: JSON lines, files, and TensorBoard where it is installed.

Method names are those of `clu.metric_writers`, which needs TensorFlow, so that either can stand in for the other.
"""

import errno
import importlib.util
import json
import math
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from specjax.engine import files
from specjax.errors import Refusal


class Writer:
    """Writes below one workdir. Every line is on disk, whole, before the next begins."""

    def __init__(self, workdir: Path, resume_step: int) -> None:
        """Open the log, cut back to the lines of steps up to `resume_step`."""
        self._workdir = workdir
        self._log_path = workdir / "metrics.jsonl"
        _cut_back(self._log_path, resume_step)
        # Unbuffered: what could not be written is not tried again when the file is closed.
        self._log = open(self._log_path, "ab", buffering=0)  # noqa: SIM115 - open while the run lasts
        self._board = _TensorBoard(workdir / "tensorboard") if _tensorboard_installed() else None

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """One line of the log. A number that is not finite is written as null, which JSON has."""
        line = {"step": step, "time": round(time.time(), 3)}
        line |= {name: float(f"{value:.7g}") if math.isfinite(value) else None for name, value in scalars.items()}
        try:
            whole = json.dumps(line).encode() + b"\n"
            if self._log.write(whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise Refusal(f"{self._log_path} cannot be written ({error.strerror}): make room, then resume") from error
        if self._board:
            self._board.scalars(step, scalars)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """The run's settings, as `config.json`."""
        files.write_whole(self._workdir / "config.json", json.dumps(hparams, indent=2).encode())

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """RGB pictures of bytes, as PNG files."""
        for name, image in images.items():
            encoded = files.png(image)
            files.write_whole(self._sample_path(step, f"{name}.png"), encoded)
            if self._board:
                self._board.image(step, name, encoded, image.shape)

    def write_audios(self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int) -> None:
        """Waves in [-1, 1], as WAV files."""
        for name, wave in audios.items():
            encoded = files.wav(wave, sample_rate)
            files.write_whole(self._sample_path(step, f"{name}.wav"), encoded)
            if self._board:
                self._board.audio(step, name, encoded, len(wave), sample_rate)

    def flush(self) -> None:
        """Nothing waits: every line is written at once."""

    def close(self) -> None:
        self._log.close()
        if self._board:
            self._board.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

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

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class Progress:
    """One line a second on a terminal, one every ten elsewhere: step, speed, time left, where the time goes."""

    def __init__(self, steps: int, batch_size: int, start_step: int) -> None:
        self._steps, self._batch_size = steps, batch_size
        self._tty = sys.stderr.isatty()
        self._begin = self._last = time.monotonic()
        self._start_step = start_step
        self.spent = {"compile": 0.0, "eval": 0.0, "save": 0.0}

    def timed(self, what: str) -> "_Timer":
        """Context that books its duration under `what`."""
        return _Timer(self.spent, what)

    def training_seconds(self) -> float:
        return max(time.monotonic() - self._begin - sum(self.spent.values()), 1e-9)

    def steps_per_second(self, step: int) -> float:
        """Speed of training proper since this process began."""
        return (step - self._start_step) / self.training_seconds()

    def report(self, step: int, loss: float, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._last < (1.0 if self._tty else 10.0):
            return
        self._last = now
        speed = self.steps_per_second(step)
        left = (self._steps - step) / speed if speed > 0 else math.inf
        total = now - self._begin
        split = {"train": self.training_seconds(), **self.spent}
        shares = " ".join(f"{name} {100 * seconds / total:.0f}%" for name, seconds in split.items() if seconds > 0)
        line = (
            f"step {step}/{self._steps} loss {loss:.4g} | {speed:.3g} steps/s {speed * self._batch_size:.3g} items/s"
            f" | {_clock(left)} left | {shares}"
        )
        sys.stderr.write(f"\r\033[K{line}" if self._tty else line + "\n")
        if last and self._tty:
            sys.stderr.write("\n")
        sys.stderr.flush()


class _Timer:
    def __init__(self, book: dict[str, float], what: str) -> None:
        self._book, self._what = book, what

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._book[self._what] += time.monotonic() - self._start


class _TensorBoard:
    """TensorBoard's own event files, without TensorFlow, and without a thread whose errors would come late."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(folder / name, "ab", buffering=0)  # noqa: SIM115 - open while the run lasts
        self._writer = RecordWriter(self._file)
        self._writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def _add(self, step: int, **value: object) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value)])
        self._writer.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._add(step, tag=name, simple_value=float(value))

    def image(self, step: int, name: str, png: bytes, shape: tuple[int, ...]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, tag=name, image=Summary.Image(height=shape[0], width=shape[1], colorspace=3,
                                                      encoded_image_string=png))  # fmt: skip

    def audio(self, step: int, name: str, wav: bytes, samples: int, sample_rate: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        sound = Summary.Audio(
            sample_rate=sample_rate,
            num_channels=1,
            length_frames=samples,
            encoded_audio_string=wav,
            content_type="audio/wav",
        )
        self._add(step, tag=name, audio=sound)

    def close(self) -> None:
        self._file.close()


def _tensorboard_installed() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


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
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept), encoding="utf-8")
    os.replace(temporary, path)


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "--:--"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
