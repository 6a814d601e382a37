"""What the works of the museum vary in: each clip of music has a brightness and a density, and so does each picture.

A composition consists of clips that are alike. Each clip has three pictures with the same attributes. Their
order is random: the number of a picture does not tell which clip it belongs to.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from specjax.data.order import permute, stream

PICTURES = 3  # of a clip
_SPREAD = 0.15  # largest difference between an attribute of a clip and that of its composition


class Attributes(NamedTuple):
    """Attributes of a clip or a picture, from 0 to 1.

    Attributes:
      brightness: of the timbre in music, which is heard as the spectral centroid; of the light in pictures.
      density: of the notes in music, as the rate of onsets; of the lines in pictures.
    """

    brightness: Float[Array, "*works"]
    density: Float[Array, "*works"]


def work_key(name: str, era: Int[Array, ""], number: Int[Array, ""]) -> Key[Array, ""]:
    """Return the random key for the purpose `name` of a work, given its era and its number within the era."""
    return jax.random.fold_in(jax.random.fold_in(stream(0, f"museum.{name}"), era), number)


def clip_attributes(era: Int[Array, ""], clip: Int[Array, ""], segments: int) -> Attributes:
    """Draw the attributes of a clip, given its era, its number within the era, and the clips of a composition."""
    common = jax.random.uniform(work_key("composition_attributes", era, clip // segments), (2,))
    own = jax.random.uniform(work_key("clip_attributes", era, clip), (2,), minval=-_SPREAD, maxval=_SPREAD)
    return Attributes(*jnp.clip(common + own, 0.0, 1.0))


def clip_of_picture(era: Int[Array, ""], picture: Int[Array, ""], clips: int) -> Int[Array, ""]:
    """Return the number of the clip whose attributes a picture has, in an era with `clips` clips."""
    key = jax.random.fold_in(stream(0, "museum.order"), era)
    return permute(key, picture.astype(jnp.uint32), PICTURES * clips) % clips
