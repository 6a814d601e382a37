"""Division of mel spectrograms into blocks of adjacent frames, and the coefficients of the blocks.

The coefficients of a block are its two-dimensional discrete cosine transform, which removes most of the correlation
between neighboring values. The transform along the mel bands is the cepstrum: the first coefficients describe the
coarse shape of the spectrum, and its change within the block.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import Representation
from specjax.signal.fourier import dct_matrix

Values = Float[Array, "batch mels frames"]
Coefficients = Float[Array, "batch blocks coefficients"]

_MIN_DEVIATION = 1e-4  # avoids division by zero for constant coefficients


def to_coefficients(values: Values, block_frames: int) -> Coefficients:
    """Divide spectrograms into blocks, and compute the coefficients of each block.

    Args:
      values: spectrograms. Frames after the last whole block are dropped.
      block_frames: number of frames of a block.

    Returns:
      `block_frames * mels` coefficients of each block, in which those along time change fastest. The transform is
      orthonormal.
    """
    batch, mels, frames = values.shape
    blocks = frames // block_frames
    pixels = values[:, :, : blocks * block_frames].reshape(batch, mels, blocks, block_frames)
    transformed = jnp.einsum("km,lt,bmnt->bnkl", dct_matrix(mels), dct_matrix(block_frames), pixels)
    return transformed.reshape(batch, blocks, mels * block_frames)


def to_values(coefficients: Coefficients, block_frames: int) -> Values:
    """Compute spectrograms from the coefficients of their blocks: the inverse of `to_coefficients`."""
    batch, blocks, count = coefficients.shape
    mels = count // block_frames
    transformed = coefficients.reshape(batch, blocks, mels, block_frames)
    pixels = jnp.einsum("km,lt,bnkl->bmnt", dct_matrix(mels), dct_matrix(block_frames), transformed)
    return pixels.reshape(batch, mels, blocks * block_frames)


def measure_deviations(music: Music, representation: Representation, block_frames: int) -> tuple[float, ...]:
    """Measure the root mean square of each coefficient in the training clips `music`."""

    @jax.jit
    def mean_square(clip: Float[Array, "mels frames"]) -> Float[Array, " coefficients"]:
        return jnp.mean(to_coefficients(representation.encode(clip)[None], block_frames)[0] ** 2, axis=0)

    clips = [music.mel[genre, clip] for genre, count in enumerate(music.clips) for clip in range(count)]
    total = sum(np.asarray(mean_square(jnp.asarray(clip)), float) for clip in clips)
    return tuple(np.maximum(np.sqrt(total / len(clips)), _MIN_DEVIATION).tolist())
