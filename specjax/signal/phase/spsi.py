"""Single pass spectrogram inversion, SPSI (Beauregard, Harish and Wyse 2015).

Each peak of a frame's spectrum is treated as a sinusoid. A parabola through the peak and its two neighbors gives the
frequency. The phase of the peak advances from the previous frame at that frequency. All bins around the peak, down to
the next minimum on either side, get the phase of the peak.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.arrays.arguments import check_arguments
from specjax.arrays.axes import along_axis, pad_axis
from specjax.signal.phase.online import OnlineMethod
from specjax.signal.phase.propagation import Propagation, center_to_start, propagate_all, propagate_frame
from specjax.signal.shapes import Bins, Magnitude, Phase
from specjax.signal.short_time_fourier import Stft


@check_arguments
@partial(jax.jit, static_argnames="transform")
def spsi(magnitude: Magnitude, transform: Stft) -> Phase:
    """Estimate the phases of spectrograms from their magnitudes by single pass spectrogram inversion.

    Args:
      magnitude: magnitudes, 0 or more, shape `(*batch, bins, frames)`.
      transform: parameters of the short-time Fourier transform.

    Returns:
      Phases in radians, of the same shape as `magnitude`.

    Raises:
      ValueError: the number of bins does not match the transform.
    """
    transform.check_bins(magnitude)
    return propagate_all(compute_propagation(jnp.moveaxis(magnitude, -1, 0), transform), transform)


def compute_propagation(magnitude: Bins, transform: Stft) -> Propagation:
    """Compute how to continue the phases of the previous frame, from the spectral peaks of a frame.

    Every bin belongs to a peak (see `find_peaks`). All bins of a peak get the same phase. It is the phase of the
    previous frame at the top bin of the peak, plus the phase advance of a sine at the frequency of the peak.

    Args:
      magnitude: magnitudes of a frame, with bins on the last axis. Other axes are batch axes.
      transform: parameters of the short-time Fourier transform.

    Returns:
      A `Propagation`. For each bin, `source` is the index of the top bin of the peak. `advance` is the phase advance
      during one hop, in radians from -pi to pi.
    """
    owner, offset = find_peaks(magnitude)
    bins = jnp.arange(magnitude.shape[-1], dtype=jnp.float32)
    turns = transform.hop_length / transform.n_fft * (along_axis(bins, offset.ndim, -1) + offset)
    advance = 2 * jnp.pi * (turns - jnp.round(turns))
    return Propagation(owner, jnp.take_along_axis(advance, owner, axis=-1))


def find_peaks(
    magnitude: Bins,
) -> tuple[Int[Array, "*batch bins"], Float[Array, "*batch bins"]]:
    """Find the spectral peaks of a frame, and assign every bin to one of them.

    A bin on a slope belongs to the peak that the slope rises to. A bin on a plateau belongs to the nearest peak at
    lower frequency, or to the nearest one at higher frequency if there is none.

    Args:
      magnitude: magnitudes, 0 or more, with bins on the last axis.

    Returns:
      Two arrays with one entry per bin. The first array holds, for each bin, the index of the top bin of the peak.
      The second array holds, for each top bin, the distance in bins to the exact peak. The exact peak is the maximum of
      a parabola through the magnitudes of the top bin and its two neighbors. The entries of all other bins are
      meaningless.
    """
    bins = magnitude.shape[-1]
    padded = pad_axis(magnitude, 1, 1, fill=-1.0)
    below, above = padded[..., :-2], padded[..., 2:]
    is_peak = (magnitude > below) & (magnitude >= above)
    index = jnp.broadcast_to(jnp.arange(bins), magnitude.shape)
    lower = jax.lax.cummax(jnp.where(is_peak, index, -1), axis=magnitude.ndim - 1)
    upper = jax.lax.cummin(jnp.where(is_peak, index, bins), axis=magnitude.ndim - 1, reverse=True)
    rising = ~is_peak & (magnitude < above)
    owner = jnp.where((rising & (upper < bins)) | (lower < 0), upper, lower)
    curvature = below - 2 * magnitude + above
    inside = (index > 0) & (index < bins - 1) & (curvature < 0)
    offset = jnp.where(inside, 0.5 * (below - above) / jnp.where(inside, curvature, -1.0), 0.0)
    return jnp.clip(owner, 0, bins - 1), offset


def _begin(previous: Bins, transform: Stft) -> Bins:
    del transform
    return jnp.zeros_like(previous)


def _advance(previous: Bins, magnitude: Bins, transform: Stft) -> tuple[Bins, Bins]:
    phase = propagate_frame(previous, compute_propagation(magnitude, transform))
    return phase, center_to_start(phase, transform)


ONLINE = OnlineMethod(0, _begin, _advance)
