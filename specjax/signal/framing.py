"""Cutting waves into overlapping frames, and adding frames up to a wave again."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import pad_axis
from specjax.signal.shapes import Wave

# Frames of more hops than this are handled in a loop: unrolled, the program would take minutes to compile.
_MAX_UNROLLED_HOPS = 32

Frames = Float[Array, "*batch frames length"]
Hops = Float[Array, "*batch hops hop_length"]
Squares = Float[np.ndarray, "hops hop_length"]


def frame(wave: Wave, length: int, hop_length: int) -> Frames:
    """Cut a wave into frames of `length` samples that begin every `hop_length` samples.

    A remainder too short for a frame is dropped. The wave is cut into hops, and each frame is a few adjacent hops. So
    long runs are copied, and nothing is gathered.

    Raises:
      ValueError: the wave is shorter than one frame.
    """
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


def overlap_add(frames: Frames, hop_length: int) -> Wave:
    """Add up frames that begin every `hop_length` samples: the adjoint of `frame`."""
    count, length = frames.shape[-2:]
    hops = _add_hops(frames, hop_length)
    return _merge_hops(hops)[..., : (count - 1) * hop_length + length]


def overlap_average(
    frames: Frames, window: Float[np.ndarray, " length"], hop_length: int, *, min_overlap: float = 1e-8
) -> Wave:
    """Divide `overlap_add` by the sum of squared windows at each sample: the least-squares inverse of windowed framing.

    The frames must have been multiplied by the window once more (Griffin and Lim 1984, eq. 6).

    Args:
      min_overlap: lower bound of the divisor, relative to the greatest sum of squared windows.
    """
    count, length = frames.shape[-2:]
    squares = _square_by_hop(window, hop_length)
    hops_per_frame = len(squares)
    # The divisor of a hop of the wave is a sum of rows of `squares`, one for each frame that covers the hop. It is the
    # same for all hops but those at the ends. A divisor as long as the wave would be a large constant in the program.
    rising = np.cumsum(squares, axis=0)
    steady = rising[-1:]
    falling = steady - rising[:-1]
    floor = min_overlap * steady.max()
    hops = _add_hops(frames, hop_length)
    if count < hops_per_frame:  # so few frames that none of the hops reaches the steady sum
        partial_sums = np.sum([np.pad(squares, [(i, count - 1 - i), (0, 0)]) for i in range(count)], axis=0)
        hops = hops / _to_divisor(partial_sums, floor, hops.ndim)
    else:
        middle = _to_divisor(steady, floor, hops.ndim)
        hops = hops / middle
        hops = hops.at[..., : hops_per_frame - 1, :].multiply(middle / _to_divisor(rising[:-1], floor, hops.ndim))
        hops = hops.at[..., count:, :].multiply(middle / _to_divisor(falling, floor, hops.ndim))
    return _merge_hops(hops)[..., : (count - 1) * hop_length + length]


def steady_squares(window: Float[np.ndarray, " length"], hop_length: int) -> Float[np.ndarray, " hop_length"]:
    """Sum of the squared windows that overlap at each sample of a hop, far from the ends of the wave."""
    return _square_by_hop(window, hop_length).sum(axis=0)


def _add_hops(frames: Frames, hop_length: int) -> Hops:
    """Overlap-add of frames, with the resulting wave cut into hops; the last frame is padded to whole hops."""
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
    """Squared window, float64, padded with zeros to whole hops and cut into them."""
    hops = -(-len(window) // hop_length)
    return np.pad(window.astype(np.float64) ** 2, (0, hops * hop_length - len(window))).reshape(hops, hop_length)


def _to_divisor(squares: Squares, floor: float, ndim: int) -> Float[np.ndarray, "..."]:
    """Clip sums of squares to at least `floor`, as float32 of rank `ndim`."""
    return np.maximum(squares, floor).astype(np.float32).reshape((1,) * (ndim - 2) + squares.shape)
