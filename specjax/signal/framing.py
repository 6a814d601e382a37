"""Waves cut into frames that overlap, and laid together again."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays.axes import pad_axis
from specjax.signal.shapes import Wave

# Above so many hops to a frame they are gone through in a loop: a program that names each takes minutes to compile.
_MANY = 32

Frames = Float[Array, "*batch frames length"]
Hops = Float[Array, "*batch hops hop_length"]
Squares = Float[np.ndarray, "hops hop_length"]


def frame(wave: Wave, length: int, hop_length: int) -> Frames:
    """Pieces of `length` samples that begin every `hop_length`; a rest too short for one is left out.

    The wave is cut into hops, and a frame is a few neighbouring hops: copies of long runs, no gathering.

    Raises:
      ValueError: the wave is shorter than one frame.
    """
    samples, hops = wave.shape[-1], -(-length // hop_length)
    if samples < length:
        raise ValueError(f"a wave of {samples} samples is shorter than one frame of {length}")
    count = 1 + (samples - length) // hop_length
    needed = (count - 1 + hops) * hop_length
    fitted = pad_axis(wave, 0, max(needed - samples, 0))[..., :needed]
    pieces = fitted.reshape(*wave.shape[:-1], count - 1 + hops, hop_length)
    if hops > _MANY:
        runs = jax.lax.map(lambda i: jax.lax.dynamic_slice_in_dim(pieces, i, count, axis=-2), jnp.arange(hops))
        side_by_side = jnp.moveaxis(runs, 0, -2).reshape(*wave.shape[:-1], count, hops * hop_length)
    else:
        side_by_side = jnp.concatenate([pieces[..., i : i + count, :] for i in range(hops)], axis=-1)
    return side_by_side[..., :length]


def overlap_add(frames: Frames, hop_length: int) -> Wave:
    """Sum of frames laid `hop_length` samples apart: the adjoint of `frame`."""
    count, length = frames.shape[-2:]
    laid = _laid(frames, hop_length)
    return _joined(laid)[..., : (count - 1) * hop_length + length]


def overlap_average(
    frames: Frames, window: Float[np.ndarray, " length"], hop_length: int, *, least: float = 1e-8
) -> Wave:
    """`overlap_add` over the squared windows that lie on each sample: the least-squares inverse of windowed framing.

    Griffin and Lim 1984, eq. 6, of frames that were windowed once more.

    Args:
      least: a sample is divided by no less than this part of the greatest sum of squares.
    """
    count, length = frames.shape[-2:]
    squares = _squares(window, hop_length)
    hops = len(squares)
    # Over each hop of the wave as many rows of `squares` are summed as frames lie over it. All but the ends are alike:
    # a divisor as long as the wave would be a large constant of the program.
    rising = np.cumsum(squares, axis=0)
    steady = rising[-1:]
    falling = steady - rising[:-1]
    floor = least * steady.max()
    laid = _laid(frames, hop_length)
    if count < hops:  # no hop has them all
        few = np.sum([np.pad(squares, [(i, count - 1 - i), (0, 0)]) for i in range(count)], axis=0)
        laid = laid / _rows(few, floor, laid.ndim)
    else:
        middle = _rows(steady, floor, laid.ndim)
        laid = laid / middle
        laid = laid.at[..., : hops - 1, :].multiply(middle / _rows(rising[:-1], floor, laid.ndim))
        laid = laid.at[..., count:, :].multiply(middle / _rows(falling, floor, laid.ndim))
    return _joined(laid)[..., : (count - 1) * hop_length + length]


def steady_squares(window: Float[np.ndarray, " length"], hop_length: int) -> Float[np.ndarray, " hop_length"]:
    """Sum of the squared windows that lie over each sample of a hop, far from the ends."""
    return _squares(window, hop_length).sum(axis=0)


def _laid(frames: Frames, hop_length: int) -> Hops:
    count, length = frames.shape[-2:]
    hops = -(-length // hop_length)
    fitted = pad_axis(frames, 0, hops * hop_length - length)
    if hops > _MANY:
        runs = jnp.moveaxis(fitted.reshape(*frames.shape[:-1], hops, hop_length), -2, 0)

        def add(total: Hops, numbered: tuple[Array, Array]) -> tuple[Hops, None]:
            i, piece = numbered
            there = jax.lax.dynamic_slice_in_dim(total, i, count, axis=-2) + piece
            return jax.lax.dynamic_update_slice_in_dim(total, there, i, axis=-2), None

        nothing = jnp.zeros((*frames.shape[:-2], count - 1 + hops, hop_length), frames.dtype)
        return jax.lax.scan(add, nothing, (jnp.arange(hops), runs))[0]
    pieces = [fitted[..., i * hop_length : (i + 1) * hop_length] for i in range(hops)]
    laid = [pad_axis(piece, i, hops - 1 - i, axis=-2) for i, piece in enumerate(pieces)]
    return sum(laid[1:], laid[0])


def _joined(hops: Hops) -> Wave:
    return hops.reshape(*hops.shape[:-2], hops.shape[-2] * hops.shape[-1])


def _squares(window: Float[np.ndarray, " length"], hop_length: int) -> Squares:
    hops = -(-len(window) // hop_length)
    return np.pad(window.astype(np.float64) ** 2, (0, hops * hop_length - len(window))).reshape(hops, hop_length)


def _rows(squares: Squares, floor: float, ndim: int) -> Float[np.ndarray, "..."]:
    return np.maximum(squares, floor).astype(np.float32).reshape((1,) * (ndim - 2) + squares.shape)
