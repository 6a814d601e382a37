"""Pieces of music of any duration: they are read in parts, so that memory does not grow with their duration."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE

PART_SAMPLES = 60 * SAMPLE_RATE

# Consecutive blocks of a mono wave, of any lengths.
Blocks = Iterable[Float[np.ndarray, " _"]]
Clip = Float[np.ndarray, " clip_samples"]


class Part(NamedTuple):
    """Part of a piece, with what comes before and after it.

    Attributes:
      wave: samples of the part and of its surroundings.
      first: number of the first of these samples, counted from the start of the piece.
      start, end: numbers of the part's own first sample, and of the one after its last.
    """

    wave: Float[np.ndarray, " samples"]
    first: int
    start: int
    end: int

    def clip(self, start: int) -> Clip:
        """Return the clip that begins at a sample of the piece, moved as far as needed to lie in `wave`."""
        begin = int(np.clip(start - self.first, 0, len(self.wave) - CLIP_SAMPLES))
        return self.wave[begin : begin + CLIP_SAMPLES]


def split(blocks: Blocks, margin: int, length: int = PART_SAMPLES) -> Iterator[Part]:
    """Divide a piece into successive parts.

    Args:
      blocks: the piece.
      margin: number of samples before and after each part that are returned with it; fewer at the ends of the piece.
      length: number of samples of a part, at least `margin`. The last part may be shorter, or longer by the margin.
    """
    held, first, start = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, np.asarray(block, np.float32)])
        while first + len(held) >= start + length + margin:
            end = start + length
            yield Part(held[: end + margin - first], first, start, end)
            keep = max(end - margin, 0)
            held, first, start = held[keep - first :], keep, end
    yield Part(held, first, start, first + len(held))


def cut(blocks: Blocks, starts: Int[np.ndarray, " clips"]) -> Iterator[Clip]:
    """Cut clips of 8.91 s out of a piece that is at least as long.

    Args:
      blocks: the piece.
      starts: number of the first sample of each clip, in ascending order.
    """
    for part in split(blocks, CLIP_SAMPLES):
        for start in starts[(starts >= part.start) & (starts < part.end)]:
            yield part.clip(int(start))
