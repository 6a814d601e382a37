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
    """Writer of one TensorBoard event file.

    It needs no TensorFlow. It has no background thread, so an error is raised by the call that causes it.
    """

    def __init__(self, folder: Path, resume_step: int) -> None:
        """Create an event file in `folder`, creating the folder if necessary.

        TensorBoard then hides the events of earlier files for steps after `resume_step`.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = io.FileIO(folder / name, "ab")
        self._writer = RecordWriter(self._file)
        start = SessionLog(status=SessionLog.START)
        for content in ({"file_version": "brain.Event:2"}, {"step": resume_step + 1, "session_log": start}):
            self._writer.write(Event(wall_time=time.time(), **content).SerializeToString())

    def _write_value(self, step: int, **value: object) -> None:
        """Write an event with a single summary value; `value` holds fields of the protobuf message `Summary.Value`."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value)])
        self._writer.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write scalars, given by name."""
        for name, value in scalars.items():
            self._write_value(step, tag=name, simple_value=float(value))

    def write_image(self, step: int, name: str, png: bytes, shape: tuple[int, ...]) -> None:
        """Write an RGB image.

        Args:
          step: step at which the image was made.
          name: name of the image in TensorBoard.
          png: image encoded as PNG.
          shape: (height, width, 3).
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write_value(step, tag=name, image=Summary.Image(height=shape[0], width=shape[1], colorspace=3,
                                                      encoded_image_string=png))  # fmt: skip

    def write_audio(self, step: int, name: str, wav: bytes, samples: int, sample_rate: int) -> None:
        """Write a mono sound.

        Args:
          step: step at which the sound was made.
          name: name of the sound in TensorBoard.
          wav: sound encoded as WAV.
          samples: number of samples.
          sample_rate: in Hz.
        """
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
