"""Sounds of any length, read in pieces, so that memory does not grow with the length of a style."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from specjax.signal.short_time_fourier import Stft

# Root mean square to which contents and styles are scaled, so that their levels have no influence on the result.
LEVEL = 0.1

Block = Float[np.ndarray, " _"]
# Consecutive blocks of a mono wave, of any lengths. They can be iterated over several times: `[wave]` is an example.
Blocks = Iterable[Block]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Style:
    """A style sound, with properties of the whole sound that are needed before its statistics can be computed.

    Attributes:
      blocks: consecutive blocks of the wave.
      samples: total number of samples.
      gain: factor that brings the wave to the root mean square `LEVEL`.
    """

    blocks: Blocks
    samples: int
    gain: float

    @classmethod
    def measure(cls, blocks: Blocks, min_samples: int) -> "Style":
        """Read the whole sound once to measure its length and level.

        Raises:
          ValueError: the sound has fewer than `min_samples` samples, or it is silent.
        """
        samples, energy = 0, 0.0
        for block in blocks:
            samples += len(block)
            energy += float(np.sum(np.square(block, dtype=np.float64)))
        if samples < min_samples:
            raise ValueError(f"the style has {samples} samples, expected at least {min_samples}: use a longer style")
        if not energy > 0:
            raise ValueError("the style is silent, expected an audible sound: choose another style")
        return cls(blocks, samples, LEVEL / (energy / samples) ** 0.5)


def measure_each(measure: Callable[[Style], T], styles: Sequence[Style]) -> list[T]:
    """Apply a function to each style, but only once to a style that occurs several times, as for stereo contents."""
    results = {style: measure(style) for style in dict.fromkeys(styles)}
    return [results[style] for style in styles]


class Piece(NamedTuple):
    """Piece of a wave, whose frames are a range of the frames of the whole wave.

    Attributes:
      wave: samples of the piece, padded where the whole wave would be padded. Its frames are those of the transform
        without centering.
      before: number of frames at the start that belong to the piece before this one and serve as context.
      after: number of frames at the end that belong to the next piece.
    """

    wave: Block
    before: int
    after: int


def split(style: Style, transform: Stft, frames: int, *, context: int, length: int = 1024) -> Iterator[Piece]:
    """Cut a style, scaled to `LEVEL`, into pieces of up to `length` frames each, plus frames of context.

    Args:
      style: the sound.
      transform: parameters of the short-time Fourier transform, which define the frames. Padding is with zeros.
      frames: number of frames of the whole sound to use, from the first.
      context: number of frames of context on both sides of a piece; fewer at the ends of the sound.
      length: number of frames per piece without the context; a multiple of the strides of the network.
    """
    hop, n_fft, padding = transform.hop_length, transform.n_fft, np.zeros(transform.padding, np.float32)
    source = _chain(padding, style, padding)
    held, origin = np.zeros(0, np.float32), 0
    for first in range(0, frames, length):
        last = min(first + length, frames)
        before, after = min(context, first), min(context, frames - last)
        begin, end = (first - before) * hop, (last + after - 1) * hop + n_fft
        parts, total = [held], origin + len(held)
        while total < end:
            parts.append(next(source))
            total += len(parts[-1])
        held, origin = np.concatenate(parts)[begin - origin :], begin
        yield Piece(held[: end - begin], before, after)


def _chain(before: Block, style: Style, after: Block) -> Iterator[Block]:
    yield before
    for block in style.blocks:
        yield np.asarray(block, np.float32) * np.float32(style.gain)
    yield after
