"""TensorBoard event files, written if the `tensorboard` package is installed."""

import importlib.util
import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path


def is_installed() -> bool:
    """Return whether the `tensorboard` package is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class EventWriter:
    """Writes one event file, without TensorFlow, and without a background thread that would report errors late."""

    def __init__(self, folder: Path) -> None:
        """Create the event file in `folder`, making the folder if necessary."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._file = io.FileIO(folder / name, "ab")
        self._writer = RecordWriter(self._file)
        self._writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def _write_value(self, step: int, **value: object) -> None:
        """Write an event of one summary value; `value` holds the fields of `Summary.Value`."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value)])
        self._writer.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write scalars by name."""
        for name, value in scalars.items():
            self._write_value(step, tag=name, simple_value=float(value))

    def write_image(self, step: int, name: str, png: bytes, shape: tuple[int, ...]) -> None:
        """Write an encoded RGB image of `shape` (height, width, 3)."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write_value(step, tag=name, image=Summary.Image(height=shape[0], width=shape[1], colorspace=3,
                                                      encoded_image_string=png))  # fmt: skip

    def write_audio(self, step: int, name: str, wav: bytes, samples: int, sample_rate: int) -> None:
        """Write an encoded mono sound of `samples` samples at `sample_rate` (Hz)."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        audio = Summary.Audio(
            sample_rate=sample_rate,
            num_channels=1,
            length_frames=samples,
            encoded_audio_string=wav,
            content_type="audio/wav",
        )
        self._write_value(step, tag=name, audio=audio)

    def close(self) -> None:
        """Close the event file."""
        self._file.close()
