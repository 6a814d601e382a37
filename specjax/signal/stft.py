"""Short-time Fourier transform of waves."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def magnitude(
    wave: Float[Array, "*batch samples"], n_fft: int = 1024, hop_length: int = 256
) -> Float[Array, "*batch bins frames"]:
    """Magnitudes of the STFT: periodic Hann window of `n_fft` samples, frames within the wave (not centred).

    Raises:
      ValueError: the wave is shorter than one frame.
    """
    samples = wave.shape[-1]
    if samples < n_fft:
        raise ValueError(f"a wave of {samples} samples is shorter than one frame of n_fft={n_fft}")
    starts = np.arange(0, samples - n_fft + 1, hop_length)
    frames = wave[..., starts[:, None] + np.arange(n_fft)]
    spectrum = jnp.fft.rfft(frames * jnp.broadcast_to(hann(n_fft), frames.shape), axis=-1)
    return jnp.swapaxes(_safe_abs(spectrum), -1, -2)


def hann(length: int) -> Float[np.ndarray, " length"]:
    """Periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def _safe_abs(z: Array) -> Float[Array, "..."]:
    """Magnitude whose gradient at zero is zero instead of not a number."""
    power = z.real**2 + z.imag**2
    nonzero = power > 0
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, power, 1.0)), 0.0)
