"""Clips of music of 10 s as waves of 16-bit samples, cut from tracks at their original tempo."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int16, Int32

from specjax.papers.melody.recordings import Wave, check_length, clip_starts
from specjax.papers.melody.representation import CLIP_SAMPLES, SAMPLE_RATE, mel_power
from specjax.papers.melody.tracks import MusicConfig

FULL_SCALE = 32767  # integer that stands for a sample of 1


class Waves(NamedTuple):
    """Waves of clips of music of each genre.

    Attributes:
      wave: samples of each clip of 10 s, at `SAMPLE_RATE`, as integers (see `decode_samples`). Genres with fewer clips
        than others are padded by repeating their clips.
      clips, track: as in `Music`.
    """

    wave: Int16[np.ndarray, "genres clips samples"]
    clips: Int32[np.ndarray, " genres"]
    track: Int32[np.ndarray, "genres clips"]

    def clip_power(self, genre: int, clip: int) -> Float32[np.ndarray, "mels frames"]:
        """Compute the mel power of one clip."""
        return np.asarray(mel_power(decode_samples(self.wave[genre, clip])))


def decode_samples(
    wave: Int16[Array, "*batch samples"] | Int16[np.ndarray, "*batch samples"],
) -> Float[Array, "*batch samples"]:
    """Convert integer samples to numbers in [-1, 1]."""
    return jnp.asarray(wave).astype(jnp.float32) / FULL_SCALE


def cut_waves(wave: Wave, config: MusicConfig, name: str) -> Int16[np.ndarray, "clips clip_samples"]:
    """Round the samples of a track to integers, and cut it into clips. Samples beyond full scale are clipped.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      config: distance of the clips. Its tempo is not used.
      name: name of the track, for the error message.

    Raises:
      UserError: the track is shorter than a clip.
    """
    check_length(wave, CLIP_SAMPLES, name)
    samples = np.round(np.clip(wave, -1, 1) * FULL_SCALE).astype(np.int16)
    starts = clip_starts(len(wave), CLIP_SAMPLES, config.hop_s * SAMPLE_RATE)
    return np.array([samples[start : start + CLIP_SAMPLES] for start in starts])


def wave_peaks(clips: Int16[np.ndarray, "clips clip_samples"]) -> Float[np.ndarray, " clips"]:
    """Return the maximum power of a sample of each clip."""
    return np.square(np.abs(clips).max(axis=1, initial=0), dtype=float)
