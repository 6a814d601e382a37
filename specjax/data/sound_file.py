"""Sound files of any duration, read in blocks, so that memory does not grow with their duration."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from specjax.data import audio

_BLOCK = 2**18  # samples that are read at a time


@dataclass(frozen=True)
class SoundFile:
    """Sound file that is read as a mono wave in blocks, each time it is iterated over.

    Attributes:
      path: sound file; its channels are mixed.
      sample_rate: sample rate of the blocks in Hz.

    Raises:
      UserError: the file is not valid (see `audio.channel_blocks`).
    """

    path: Path
    sample_rate: int

    def __iter__(self) -> Iterator[Float[np.ndarray, " _"]]:
        import soxr

        rate, _, channels = audio.channel_blocks(self.path, _BLOCK)
        blocks = (block.mean(axis=0) for block in channels)
        if rate == self.sample_rate:
            yield from blocks
            return
        stream = soxr.ResampleStream(rate, self.sample_rate, 1, quality="HQ")
        for block in blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
