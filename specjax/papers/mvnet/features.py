"""Features of music and of pictures that the pairing `matched` compares: brightness and density."""

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from specjax.arrays import safe
from specjax.image.edges import sobel
from specjax.papers.mvnet.representation import CLIP_S, PRESET, SAMPLE_RATE, ClipMel, to_level_db
from specjax.signal.mel import Mel, corner_frequencies_hz

_CORNERS_HZ = corner_frequencies_hz(cast(Mel, PRESET.mel), SAMPLE_RATE).astype(np.float32)
_BANDS_HZ, _WIDTHS_HZ = _CORNERS_HZ[1:-1], (_CORNERS_HZ[2:] - _CORNERS_HZ[:-2]) / 2
_RANGE_DB = 60.0  # dynamic range; levels further below the maximum of a clip are raised to it
_ONSET_DB = (
    0.5  # how far the rise of the level at an onset, a mean over the bands, exceeds the mean of its neighborhood
)
_ONSET_FRAMES = 4  # minimum distance between two onsets: 46 ms
_NEIGHBORHOOD_FRAMES = 31  # 360 ms
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)


class MusicFeatures(NamedTuple):
    """Features of clips.

    Attributes:
      centroid_hz: spectral centroid: mean frequency, weighted with the magnitude.
      onset_rate_hz: number of onsets per second.
    """

    centroid_hz: Float[Array, "*clips"]
    onset_rate_hz: Float[Array, "*clips"]


class PictureFeatures(NamedTuple):
    """Features of pictures.

    Attributes:
      luminance: mean luma, 0 to 1.
      edge_density: mean magnitude of the Sobel derivative of the luma, divided by the standard deviation of the luma,
        so that it does not depend on contrast; 0 for a picture of one color.
    """

    luminance: Float[Array, "*pictures"]
    edge_density: Float[Array, "*pictures"]


@jax.jit
def measure_music(mel_power: ClipMel) -> MusicFeatures:
    """Compute the features of clips from their mel power of shape (*clips, 128, 256, 3)."""
    by_frame = jnp.moveaxis(mel_power, -3, -1)  # (*clips, frames, thirds, mels)
    # The filters are normalized by their widths, so the energy in a filter is its power times its width.
    magnitude = safe.sqrt(by_frame * jnp.broadcast_to(_WIDTHS_HZ, by_frame.shape))
    weighted = magnitude * jnp.broadcast_to(_BANDS_HZ, by_frame.shape)
    centroid_hz = safe.divide(weighted.sum(axis=(-3, -2, -1)), magnitude.sum(axis=(-3, -2, -1)))

    level_db = to_level_db(by_frame)
    level_db = jnp.maximum(level_db, level_db.max(axis=(-3, -2, -1), keepdims=True) - _RANGE_DB)
    rise_db = jnp.maximum(jnp.diff(level_db, axis=-3), 0.0).mean(axis=-1)
    greatest = _over_frames(rise_db, jax.lax.max, -jnp.inf, 2 * _ONSET_FRAMES - 1)
    mean = _over_frames(rise_db, jax.lax.add, 0.0, _NEIGHBORHOOD_FRAMES) / _NEIGHBORHOOD_FRAMES
    onsets = (rise_db == greatest) & (rise_db > mean + _ONSET_DB)
    return MusicFeatures(centroid_hz, onsets.sum(axis=(-2, -1)).astype(jnp.float32) / CLIP_S)


def _over_frames(
    values: Float[Array, "*clips frames thirds"], operation: Callable[..., Array], initial: float, frames: int
) -> Float[Array, "*clips frames thirds"]:
    """Reduce the values in a window of frames around each frame."""
    window = (*(1,) * (values.ndim - 2), frames, 1)
    return jax.lax.reduce_window(values, initial, operation, window, (1,) * values.ndim, "SAME")


@jax.jit
def measure_pictures(
    pictures: UInt8[Array, "*pictures height width 3"] | Float[Array, "*pictures height width 3"],
) -> PictureFeatures:
    """Compute the features of pictures, given as red, green and blue from 0 to 255."""
    red, green, blue = (pictures[..., i].astype(jnp.float32) / 255 for i in range(3))
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    vertical, horizontal = jnp.moveaxis(sobel(luma), -3, 0)
    slope = safe.sqrt(vertical**2 + horizontal**2).mean(axis=(-2, -1))
    return PictureFeatures(luma.mean(axis=(-2, -1)), safe.divide(slope, luma.std(axis=(-2, -1))))
