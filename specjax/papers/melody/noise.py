"""Noise with the moments of music: a control for generators, and the noise class of judges."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


@jax.jit
def draw_noise(
    values: Float[Array, "examples mels frames"], keys: Key[Array, " clips"]
) -> Float[Array, "clips mels frames"]:
    """Draw normally distributed noise with the moments of clips.

    It has their mean in each band, their covariance between bands, and their autocorrelation over time, averaged over
    the bands. The autocorrelation is estimated with zero padding, so it is biased toward 0 by the ratio of the lag to
    the duration of the clip.

    Args:
      values: values of clips on the scale of a representation.
      keys: random keys of the clips to draw.
    """
    bands, frames = values.shape[1:]
    mean = jnp.mean(values, axis=(0, 2))
    centered = values - mean[None, :, None]
    covariance = jnp.einsum("ebt,ect->bc", centered, centered, precision="highest") / (len(values) * frames)
    variances, axes = jnp.linalg.eigh(covariance)
    root = axes * jnp.sqrt(jnp.maximum(variances, 0.0))[None]
    deviation = jnp.sqrt(jnp.maximum(jnp.diag(covariance), 1e-12))
    power = jnp.mean(jnp.abs(jnp.fft.rfft(centered / deviation[None, :, None], 2 * frames)) ** 2, axis=(0, 1))
    gain = jnp.sqrt(power / jnp.fft.irfft(power)[0])  # The mean square of the gain over all frequencies is 1.

    def draw(key: Key[Array, ""]) -> Float[Array, "mels frames"]:
        white = jnp.fft.rfft(jax.random.normal(key, (bands, 2 * frames)))
        colored = jnp.fft.irfft(white * gain[None].astype(white.dtype))[:, :frames]
        return mean[:, None] + jnp.matmul(root, colored, precision="highest")

    return jax.lax.map(draw, keys)
