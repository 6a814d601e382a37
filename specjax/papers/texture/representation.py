"""Spectrograms of the classifier on three frequency axes: linear, logarithmic and mel (section 2 of the paper)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.arrays import safe
from specjax.signal.features import bin_frequencies, log_frequency_filters, moments
from specjax.signal.mel import Mel, corner_frequencies_hz, mel_spectrogram
from specjax.signal.presets import PRESETS, Preset, encode, spectrogram
from specjax.signal.short_time_fourier import Stft, magnitude

BANDS_PER_OCTAVE = 12
LOWEST_HZ = 40.0  # lowest band of the logarithmic axis

Levels = Float[Array, "*batch rows frames"]


@dataclass(frozen=True)
class Representation:
    """How the spectrogram of a sound is computed. The defaults give the spectrograms of the paper's author: 257 x 856.

    axis: `linear` has one row per frequency bin. `log` has 12 bands per octave from 40 Hz to the highest frequency
      below half the sample rate. `mel` has `mel_bands` bands.
    sample_rate: in Hz.
    n_fft: frame length in samples.
    hop_length: hop length in samples.
    mel_bands: number of mel bands.
    range_db: dynamic range in dB below the loudest point of the sound. Everything below has level 0.
    """

    axis: Literal["linear", "log", "mel"] = "linear"
    sample_rate: int = 22050
    n_fft: int = 512
    hop_length: int = 128
    mel_bands: int = 128
    range_db: float = 80.0

    def __post_init__(self) -> None:
        if self.axis not in ("linear", "log", "mel"):
            raise ValueError(f"representation.axis={self.axis!r} is unknown: choose linear, log or mel")
        if self.mel_bands < 1:
            raise ValueError(f"representation.mel_bands={self.mel_bands} must be at least 1")
        if self.sample_rate < 4 * LOWEST_HZ:
            raise ValueError(f"representation.sample_rate={self.sample_rate} must be at least {4 * LOWEST_HZ:g} Hz")
        _ = self.preset  # checks the other values

    @cached_property
    def preset(self) -> Preset:
        """Preset of the spectrogram; without the filters of the axis `log`, which is no preset."""
        mel = Mel(self.mel_bands) if self.axis == "mel" else None
        transform = Stft(self.n_fft, self.hop_length, center=False)
        return replace(
            PRESETS["wyse"], sample_rate=self.sample_rate, transform=transform, mel=mel, range_db=self.range_db
        )

    @cached_property
    def row_hz(self) -> Float[np.ndarray, " rows"]:
        """Center frequency of each row in Hz; row 0 is the highest."""
        if self.axis == "linear":
            return bin_frequencies(self.n_fft, self.sample_rate)[::-1]
        if self.axis == "mel":
            return corner_frequencies_hz(Mel(self.mel_bands), self.sample_rate)[-2:0:-1]
        bands = int(np.log2(self.sample_rate / 2 / LOWEST_HZ) * BANDS_PER_OCTAVE)
        return LOWEST_HZ * 2.0 ** (np.arange(bands)[::-1] / BANDS_PER_OCTAVE)

    def frames(self, samples: int) -> int:
        """Return the number of frames of the spectrogram of a wave."""
        return self.preset.transform.frames(samples) // self.preset.frames_multiple * self.preset.frames_multiple

    def encode(self, wave: Float[Array, "*batch samples"]) -> Levels:
        """Compute the spectrogram of a wave: levels in [0, 1], with the highest frequency in row 0.

        Level 1 is the greatest magnitude of the wave, and the level is linear in dB (preset `wyse`).

        Raises:
          ValueError: the wave has fewer than 4 frames.
        """
        if self.axis != "log":
            return spectrogram(wave, self.preset).values
        filters = log_frequency_filters(
            self.n_fft,
            self.sample_rate,
            bands=len(self.row_hz),
            bands_per_octave=BANDS_PER_OCTAVE,
            fmin_hz=LOWEST_HZ,
        )
        levels = safe.sqrt(mel_spectrogram(magnitude(wave, self.preset.transform) ** 2, filters))
        return encode(levels[..., : self.frames(wave.shape[-1])], self.preset).values

    def centroid_hz(self, wave: Float[Array, "*batch samples"]) -> Float[Array, "*batch"]:
        """Compute the spectral centroid of a wave in Hz: the mean over the frames, weighted by their RMS level."""
        magnitudes = magnitude(wave, self.preset.transform)
        weight = safe.sqrt(jnp.mean(magnitudes**2, axis=-2))
        centroid = moments(magnitudes, bin_frequencies(self.n_fft, self.sample_rate)).centroid_hz
        return safe.divide(jnp.sum(weight * centroid, axis=-1), jnp.sum(weight, axis=-1))
