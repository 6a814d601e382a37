"""Phase shuffle: small random shifts of the feature maps of a discriminator of waves.

A generator with strides leaves patterns at multiples of its strides. A discriminator that knows the phase of these
patterns could reject generated waves by it alone (WaveGAN, Donahue, McAuley and Puckette 2019).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

Maps = Float[Array, "batch height width channels"]


def phase_shuffle(key: Key[Array, ""], x: Maps, max_shift: int) -> Maps:
    """Shift each example along the width by a random number of positions, from `-max_shift` to `max_shift`.

    Args:
      key: random key.
      x: feature maps, wider than `max_shift`.
      max_shift: largest shift.
    """
    return shift_width(x, jax.random.randint(key, (len(x),), -max_shift, max_shift + 1), max_shift)


def shift_width(x: Maps, shifts: Int[Array, " batch"], max_shift: int) -> Maps:
    """Shift each example along the width. Positions that become free are filled by reflection at the edge.

    Position i of the result is position `i - shift` of the input.

    Args:
      x: feature maps, wider than `max_shift`.
      shifts: number of positions for each example, from `-max_shift` to `max_shift`.
      max_shift: largest shift.
    """
    padded = jnp.pad(x, ((0, 0), (0, 0), (max_shift, max_shift), (0, 0)), mode="reflect")

    def cut(
        maps: Float[Array, "height padded channels"], start: Int[Array, ""]
    ) -> Float[Array, "height width channels"]:
        return jax.lax.dynamic_slice_in_dim(maps, start, x.shape[2], axis=1)

    return jax.vmap(cut)(padded, max_shift - shifts)
