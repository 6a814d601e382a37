"""Study that compares every spectrogram and feature of specjax with librosa.

The error is the greatest absolute difference, divided by the greatest absolute value of the reference. Features that
librosa does not have are compared with NumPy in double precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.signal import features, mel, pitch
from specjax.signal.level import power_to_db
from specjax.signal.presets import PRESETS, spectrogram
from specjax.signal.short_time_fourier import Stft, istft, magnitude, stft

SAMPLE_RATE = 22050
_SIZES: dict[str, Any] = {"n_fft": 2048, "hop_length": 512}
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 1000.0

Wave = Float[np.ndarray, " samples"]
Pair = tuple[Callable[[jax.Array], jax.Array], Callable[[Wave], Any]]


def make_pairs() -> dict[str, Pair]:
    """Return the pairs of functions to compare, by name of the spectrogram or feature that they compute.

    The first function of a pair is that of specjax, jitted in float32. The second is the reference of librosa or NumPy.
    Both take a wave at `SAMPLE_RATE`.
    """
    import librosa

    transform, feature = Stft(), librosa.feature
    filters = mel.mel_filters(mel.Mel(), SAMPLE_RATE, 2048)
    hz, bands = features.bin_frequencies(2048, SAMPLE_RATE), features.log_frequency_filters(2048, SAMPLE_RATE)
    settings: dict[str, Any] = {"sr": SAMPLE_RATE, **_SIZES}

    def compute_mel(w: jax.Array) -> jax.Array:
        return mel.mel_from_wave(w, transform, filters)

    def librosa_mel(w: Wave, **changes: Any) -> np.ndarray:
        return feature.melspectrogram(y=w, **settings | changes)

    def librosa_mfcc(w: Wave) -> np.ndarray:
        return feature.mfcc(y=w, **settings)

    pairs: dict[str, Pair] = {
        "STFT": (lambda w: stft(w, transform), lambda w: librosa.stft(w, **_SIZES)),
        "STFT, reflected ends": (
            lambda w: stft(w, replace(transform, pad_mode="reflect")),
            lambda w: librosa.stft(w, **_SIZES, pad_mode="reflect"),
        ),
        "STFT, not centered, Hamming, 400 of 512": (
            lambda w: stft(w, Stft(512, 128, "hamming", 400, center=False)),
            lambda w: librosa.stft(w, n_fft=512, hop_length=128, window="hamming", win_length=400, center=False),
        ),
        "inverse STFT": (lambda w: istft(stft(w, transform), transform, w.shape[-1]), lambda w: w),
        "power, dB": (
            lambda w: power_to_db(magnitude(w, transform) ** 2, range_db=80.0),
            lambda w: librosa.power_to_db(np.abs(librosa.stft(w, **_SIZES)) ** 2),
        ),
        "mel, Slaney (librosa's)": (compute_mel, librosa_mel),
        "log-mel, HTK, not normalized (torchaudio's)": (
            lambda w: spectrogram(w, PRESETS["melodygan"]).values,
            lambda w: np.log(1e-5 + librosa_mel(w, htk=True, norm=None, pad_mode="reflect")),
        ),
        "MFCC": (lambda w: mel.mfcc(compute_mel(w)), librosa_mfcc),
        "MFCC, delta": (lambda w: mel.delta(mel.mfcc(compute_mel(w))), lambda w: feature.delta(librosa_mfcc(w))),
        "MFCC, delta-delta": (
            lambda w: mel.delta(mel.mfcc(compute_mel(w)), order=2),
            lambda w: feature.delta(librosa_mfcc(w), order=2),
        ),
        "centroid": (
            lambda w: features.moments(magnitude(w, transform), hz).centroid_hz,
            lambda w: feature.spectral_centroid(y=w, **settings)[0],
        ),
        "bandwidth": (
            lambda w: features.moments(magnitude(w, transform), hz).bandwidth_hz,
            lambda w: feature.spectral_bandwidth(y=w, **settings)[0],
        ),
        "skewness": (
            lambda w: features.moments(magnitude(w, transform), hz).skewness,
            lambda w: _compute_standardized_moment(np.abs(librosa.stft(w.astype(float), **_SIZES)), hz, 3),
        ),
        "kurtosis": (
            lambda w: features.moments(magnitude(w, transform), hz).kurtosis,
            lambda w: _compute_standardized_moment(np.abs(librosa.stft(w.astype(float), **_SIZES)), hz, 4),
        ),
        "log-frequency": (
            lambda w: mel.mel_spectrogram(magnitude(w, transform), bands),
            lambda w: bands.astype(float) @ np.abs(librosa.stft(w.astype(float), **_SIZES)),
        ),
        "rolloff": (
            lambda w: features.rolloff_hz(magnitude(w, transform), hz),
            lambda w: feature.spectral_rolloff(y=w, **settings)[0],
        ),
        "flatness": (
            lambda w: features.flatness(magnitude(w, transform)),
            lambda w: feature.spectral_flatness(y=w, **_SIZES)[0],
        ),
        "RMS": (features.rms, lambda w: feature.rms(y=w)[0]),
        "zero crossings": (features.zero_crossings, lambda w: feature.zero_crossing_rate(w)[0]),
        "fundamental frequency (YIN), median frame": (
            lambda w: pitch.yin(w, SAMPLE_RATE, fmin_hz=_LOWEST_HZ, fmax_hz=_HIGHEST_HZ),
            lambda w: librosa.yin(
                w, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ, sr=SAMPLE_RATE, frame_length=2048, hop_length=512
            ),
        ),
    }
    return {name: (jax.jit(function), reference) for name, (function, reference) in pairs.items()}


def _compute_standardized_moment(
    magnitude: Float[np.ndarray, "bins frames"], frequencies_hz: Float[np.ndarray, " bins"], order: int
) -> Float[np.ndarray, " frames"]:
    """Compute the standardized moment of the given order for each frame, in double precision.

    The magnitudes of a frame, divided by their sum, are taken as a distribution over frequency. The result is 0 for a
    silent frame, and for a frame with only one nonzero bin.

    Args:
      magnitude: STFT magnitudes.
      frequencies_hz: frequency of each bin, in Hz.
      order: 3 for skewness, 4 for kurtosis.
    """
    total = magnitude.sum(axis=0)
    share = magnitude / np.where(total > 0, total, 1)
    hz = frequencies_hz.astype(float)[:, None]
    distance = hz - (share * hz).sum(axis=0)
    deviation = np.sqrt((share * distance**2).sum(axis=0))
    return (share * (distance / np.where(deviation > 0, deviation, np.inf)) ** order).sum(axis=0)


def compute_errors(sounds: Mapping[str, Wave]) -> dict[str, list[float]]:
    """Compute the error of every spectrogram and feature of `make_pairs` on every sound.

    The error is the greatest absolute difference, divided by the greatest absolute value of the reference. For
    fundamental frequencies (YIN) the median difference is taken instead, since the values of unvoiced frames have no
    meaning.

    Args:
      sounds: waves by name, at `SAMPLE_RATE`.

    Returns:
      Errors in the order of `sounds`, by name of the spectrogram or feature.
    """
    errors: dict[str, list[float]] = {}
    for name, (function, reference) in make_pairs().items():
        errors[name] = []
        for wave in sounds.values():
            a, b = np.asarray(function(jnp.asarray(wave))), np.asarray(reference(wave))
            error = np.abs(a - b) / np.abs(b).max()
            errors[name].append(float(np.median(error) if "YIN" in name else error.max()))
    return errors


def format_table(errors: Mapping[str, list[float]]) -> str:
    """Format the result of `compute_errors` as a Markdown table of the median and greatest error over the sounds."""
    lines = ["| | error, median sound | worst sound |", "|---|--:|--:|"]
    return "\n".join([*lines, *(f"| {name} | {np.median(e):.1e} | {max(e):.1e} |" for name, e in errors.items())])
