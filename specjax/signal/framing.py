"""Cutting of waves into overlapping frames, and overlap-add of frames to a wave."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import pad_axis
from specjax.signal.shapes import Wave

# A frame spans `length / hop_length` hops, rounded up. Up to this number, Python loops over hops are unrolled in the
# compiled program. Beyond it a JAX loop is used, because the unrolled program would take minutes to compile.
_MAX_UNROLLED_HOPS = 32

Frames = Float[Array, "*batch frames length"]
Hops = Float[Array, "*batch hops hop_length"]  # a wave cut into blocks of `hop_length` samples
Squares = Float[np.ndarray, "hops hop_length"]


@check_arguments
def frame(wave: Wave, length: int, hop_length: int) -> Frames:
    """Cut a wave into frames of `length` samples that begin every `hop_length` samples.

    The result has shape `(*batch, frames, length)`. Samples at the end that do not fill a whole frame are dropped.

    Raises:
      ValueError: the wave is shorter than one frame.
    """
    # The wave is cut into blocks of `hop_length` samples, and each frame is made of adjacent blocks. So long runs of
    # memory are copied, and no gather with one index per sample is needed.
    samples, hops_per_frame = wave.shape[-1], -(-length // hop_length)
    if samples < length:
        raise ValueError(f"a wave of {samples} samples is shorter than one frame of {length}: pad it first")
    count = 1 + (samples - length) // hop_length
    needed = (count - 1 + hops_per_frame) * hop_length
    fitted = pad_axis(wave, 0, max(needed - samples, 0))[..., :needed]
    hops = fitted.reshape(*wave.shape[:-1], count - 1 + hops_per_frame, hop_length)
    if hops_per_frame > _MAX_UNROLLED_HOPS:
        runs = jax.lax.map(lambda i: jax.lax.dynamic_slice_in_dim(hops, i, count, axis=-2), jnp.arange(hops_per_frame))
        frames = jnp.moveaxis(runs, 0, -2).reshape(*wave.shape[:-1], count, hops_per_frame * hop_length)
    else:
        frames = jnp.concatenate([hops[..., i : i + count, :] for i in range(hops_per_frame)], axis=-1)
    return frames[..., :length]


@check_arguments
def overlap_add(frames: Frames, hop_length: int) -> Wave:
    """Add up overlapping frames to a wave; frame t begins at sample `t * hop_length`.

    This is the adjoint (transpose) of `frame`. The wave has `(frames - 1) * hop_length + length` samples.
    """
    count, length = frames.shape[-2:]
    hops = _add_hops(frames, hop_length)
    return _merge_hops(hops)[..., : (count - 1) * hop_length + length]


def overlap_average(
    frames: Frames, window: Float[np.ndarray, " length"], hop_length: int, *, min_overlap: float = 1e-8
) -> Wave:
    """Reconstruct a wave from overlapping frames by least squares (Griffin and Lim 1984, eq. 6).

    Let y be the windowed frames that the wave should have. The result is the wave that minimizes
    `sum((window * frame(wave, length, hop_length) - y) ** 2)`. It is computed as `overlap_add(window * y, hop_length)`,
    divided at each sample by the sum of the overlapping squared windows.

    Args:
      frames: `window * y`, shape `(*batch, frames, length)`. The caller multiplies by the window.
      window: the window, one value per sample of a frame.
      hop_length: distance in samples between the starts of adjacent frames.
      min_overlap: smallest divisor, as a fraction of the greatest sum of overlapping squared windows. Smaller sums, as
        at the ends of the wave, are replaced by this value.
    """
    count, length = frames.shape[-2:]
    squares = _square_by_hop(window, hop_length)
    hops_per_frame = len(squares)
    # A hop is a block of `hop_length` samples of the wave. Its divisor is a sum of rows of `squares`, one row for each
    # frame that covers the hop. All hops have the same divisor, `steady`, except those near the ends of the wave. A
    # divisor with one value per sample of the wave would be a large constant in the compiled program.
    rising = np.cumsum(squares, axis=0)
    steady = rising[-1:]
    falling = steady - rising[:-1]
    floor = min_overlap * steady.max()
    hops = _add_hops(frames, hop_length)
    if count < hops_per_frame:  # so few frames that no hop is covered by `hops_per_frame` frames
        partial_sums = np.sum([np.pad(squares, [(i, count - 1 - i), (0, 0)]) for i in range(count)], axis=0)
        hops = hops / _to_divisor(partial_sums, floor, hops.ndim)
    else:
        middle = _to_divisor(steady, floor, hops.ndim)
        hops = hops / middle
        hops = hops.at[..., : hops_per_frame - 1, :].multiply(middle / _to_divisor(rising[:-1], floor, hops.ndim))
        hops = hops.at[..., count:, :].multiply(middle / _to_divisor(falling, floor, hops.ndim))
    return _merge_hops(hops)[..., : (count - 1) * hop_length + length]


def steady_squares(window: Float[np.ndarray, " length"], hop_length: int) -> Float[np.ndarray, " hop_length"]:
    """Compute, at each sample, the sum of the squares of all overlapping windows.

    A window begins every `hop_length` samples. Except near the ends of a wave, the sum repeats every `hop_length`
    samples, so only one period is returned. Entry i is the sum at sample i after the start of any window.
    """
    return _square_by_hop(window, hop_length).sum(axis=0)


def _add_hops(frames: Frames, hop_length: int) -> Hops:
    """Add up overlapping frames, and return the resulting wave cut into blocks of `hop_length` samples (hops).

    If the frame length is not a multiple of `hop_length`, the last block is padded with zeros.
    """
    count, length = frames.shape[-2:]
    hops_per_frame = -(-length // hop_length)
    fitted = pad_axis(frames, 0, hops_per_frame * hop_length - length)
    if hops_per_frame > _MAX_UNROLLED_HOPS:
        runs = jnp.moveaxis(fitted.reshape(*frames.shape[:-1], hops_per_frame, hop_length), -2, 0)

        def add(total: Hops, indexed_run: tuple[Array, Array]) -> tuple[Hops, None]:
            i, run = indexed_run
            updated = jax.lax.dynamic_slice_in_dim(total, i, count, axis=-2) + run
            return jax.lax.dynamic_update_slice_in_dim(total, updated, i, axis=-2), None

        zeros = jnp.zeros((*frames.shape[:-2], count - 1 + hops_per_frame, hop_length), frames.dtype)
        return jax.lax.scan(add, zeros, (jnp.arange(hops_per_frame), runs))[0]
    pieces = [fitted[..., i * hop_length : (i + 1) * hop_length] for i in range(hops_per_frame)]
    shifted = [pad_axis(piece, i, hops_per_frame - 1 - i, axis=-2) for i, piece in enumerate(pieces)]
    return sum(shifted[1:], shifted[0])


def _merge_hops(hops: Hops) -> Wave:
    return hops.reshape(*hops.shape[:-2], hops.shape[-2] * hops.shape[-1])


def _square_by_hop(window: Float[np.ndarray, " length"], hop_length: int) -> Squares:
    """Square a window, and cut it into blocks of `hop_length` samples: float64, shape `(hops, hop_length)`.

    The last block is padded with zeros.
    """
    hops = -(-len(window) // hop_length)
    return np.pad(window.astype(np.float64) ** 2, (0, hops * hop_length - len(window))).reshape(hops, hop_length)


def _to_divisor(squares: Squares, floor: float, ndim: int) -> Float[np.ndarray, "..."]:
    """Clip sums of squared windows from below at `floor`, and return them as float32 with `ndim` axes.

    The axes added in front have size 1.
    """
    return np.maximum(squares, floor).astype(np.float32).reshape((1,) * (ndim - 2) + squares.shape)
