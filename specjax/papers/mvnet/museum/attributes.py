"""Attributes of synthetic music and pictures: each clip and each picture has a brightness and a density.

The clips of a composition have similar attributes. For each clip, there are three pictures with its attributes.
Pictures are in random order: the index of a picture does not reveal its clip.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from specjax.data.order import permute, stream

PICTURES = 3  # pictures per clip
_SPREAD = 0.15  # largest difference between an attribute of a clip and that of its composition


class Attributes(NamedTuple):
    """Attributes of a clip or a picture, from 0 to 1.

    Attributes:
      brightness: brightness of the timbre of music, which determines the spectral centroid; of the light of pictures.
      density: density of the notes of music, which determines the onset rate; of the lines of pictures.
    """

    brightness: Float[Array, "*works"]
    density: Float[Array, "*works"]


def work_key(name: str, era: Int[Array, ""], number: Int[Array, ""]) -> Key[Array, ""]:
    """Return the random key for the purpose `name` of a clip or picture, given its era and its index within the era."""
    return jax.random.fold_in(jax.random.fold_in(stream(0, f"museum.{name}"), era), number)


def clip_attributes(era: Int[Array, ""], clip: Int[Array, ""], segments: int) -> Attributes:
    """Draw the attributes of a clip, given its era, its index in the era, and the number of clips per composition."""
    common = jax.random.uniform(work_key("composition_attributes", era, clip // segments), (2,))
    own = jax.random.uniform(work_key("clip_attributes", era, clip), (2,), minval=-_SPREAD, maxval=_SPREAD)
    return Attributes(*jnp.clip(common + own, 0.0, 1.0))


def clip_of_picture(era: Int[Array, ""], picture: Int[Array, ""], clips: int) -> Int[Array, ""]:
    """Return the index of the clip whose attributes a picture has, in an era with `clips` clips."""
    key = jax.random.fold_in(stream(0, "museum.order"), era)
    return permute(key, picture.astype(jnp.uint32), PICTURES * clips) % clips
