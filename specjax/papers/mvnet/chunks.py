"""Reading of pieces of music in chunks, so that memory does not grow with their duration."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE

CHUNK_SAMPLES = 60 * SAMPLE_RATE

# Consecutive blocks of a mono wave, of any lengths.
Blocks = Iterable[Float[np.ndarray, " _"]]
Clip = Float[np.ndarray, " clip_samples"]


class Chunk(NamedTuple):
    """Chunk of a piece, with the samples before and after it.

    Attributes:
      wave: samples of the chunk, and of a margin on both sides.
      first: index in the piece of the first sample of `wave`.
      start, end: the chunk itself is samples `start` to `end - 1` of the piece.
    """

    wave: Float[np.ndarray, " samples"]
    first: int
    start: int
    end: int

    def clip(self, start: int) -> Clip:
        """Return the clip that begins at sample `start` of the piece, shifted if necessary to lie within `wave`."""
        begin = int(np.clip(start - self.first, 0, len(self.wave) - CLIP_SAMPLES))
        return self.wave[begin : begin + CLIP_SAMPLES]


def split(blocks: Blocks, margin: int, length: int = CHUNK_SAMPLES) -> Iterator[Chunk]:
    """Divide a piece into successive chunks.

    Args:
      blocks: the piece.
      margin: number of samples before and after each chunk that are returned with it; fewer at the ends of the piece.
      length: number of samples of a chunk, at least `margin`. The last chunk may be shorter, or longer by the margin.
    """
    held, first, start = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, np.asarray(block, np.float32)])
        while first + len(held) >= start + length + margin:
            end = start + length
            yield Chunk(held[: end + margin - first], first, start, end)
            keep = max(end - margin, 0)
            held, first, start = held[keep - first :], keep, end
    yield Chunk(held, first, start, first + len(held))


def cut(blocks: Blocks, starts: Int[np.ndarray, " clips"]) -> Iterator[Clip]:
    """Cut clips of 8.91 s out of a piece that is at least as long.

    Args:
      blocks: the piece.
      starts: index of the first sample of each clip, in ascending order.
    """
    for chunk in split(blocks, CLIP_SAMPLES):
        for start in starts[(starts >= chunk.start) & (starts < chunk.end)]:
            yield chunk.clip(int(start))
