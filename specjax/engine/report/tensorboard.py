"""TensorBoard's event files, where its package is installed."""

import importlib.util
import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path


def installed() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


class Board:
    """One file of events, written without TensorFlow, and without a thread whose errors would come late."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._file = io.FileIO(folder / name, "ab")
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
