"""How far every representation is from librosa's, on sounds given: the greatest error over the greatest value.

What librosa does not have is held to double precision in NumPy.
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
from specjax.signal.stft import Stft, istft, magnitude, stft

SAMPLE_RATE = 22050
_SIZES: dict[str, Any] = {"n_fft": 2048, "hop_length": 512}
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 1000.0

Wave = Float[np.ndarray, " samples"]
Pair = tuple[Callable[[jax.Array], jax.Array], Callable[[Wave], Any]]


def pairs() -> dict[str, Pair]:
    """Representation -> ours, jitted, in float32, and librosa's or NumPy's."""
    import librosa

    transform, feature = Stft(), librosa.feature
    filters = mel.mel_filters(mel.Mel(), SAMPLE_RATE, 2048)
    hz, bands = features.bin_frequencies(2048, SAMPLE_RATE), features.log_frequency_filters(2048, SAMPLE_RATE)
    words: dict[str, Any] = {"sr": SAMPLE_RATE, **_SIZES}

    def of_mel(w: jax.Array) -> jax.Array:
        return mel.mel_from_wave(w, transform, filters)

    def theirs(w: Wave, **changes: Any) -> np.ndarray:
        return feature.melspectrogram(y=w, **words | changes)

    def coefficients(w: Wave) -> np.ndarray:
        return feature.mfcc(y=w, **words)

    plain: dict[str, Pair] = {
        "STFT": (lambda w: stft(w, transform), lambda w: librosa.stft(w, **_SIZES)),
        "STFT, reflected ends": (
            lambda w: stft(w, replace(transform, pad_mode="reflect")),
            lambda w: librosa.stft(w, **_SIZES, pad_mode="reflect"),
        ),
        "STFT, not centred, Hamming, 400 of 512": (
            lambda w: stft(w, Stft(512, 128, "hamming", 400, center=False)),
            lambda w: librosa.stft(w, n_fft=512, hop_length=128, window="hamming", win_length=400, center=False),
        ),
        "inverse STFT": (lambda w: istft(stft(w, transform), transform, w.shape[-1]), lambda w: w),
        "power, dB": (
            lambda w: power_to_db(magnitude(w, transform) ** 2, range_db=80.0),
            lambda w: librosa.power_to_db(np.abs(librosa.stft(w, **_SIZES)) ** 2),
        ),
        "mel, Slaney (librosa's)": (of_mel, theirs),
        "log-mel, HTK, not normed (torchaudio's)": (
            lambda w: spectrogram(w, PRESETS["melodygan"]).values,
            lambda w: np.log(1e-5 + theirs(w, htk=True, norm=None, pad_mode="reflect")),
        ),
        "MFCC": (lambda w: mel.mfcc(of_mel(w)), coefficients),
        "MFCC, delta": (lambda w: mel.delta(mel.mfcc(of_mel(w))), lambda w: feature.delta(coefficients(w))),
        "MFCC, delta-delta": (
            lambda w: mel.delta(mel.mfcc(of_mel(w)), order=2),
            lambda w: feature.delta(coefficients(w), order=2),
        ),
        "centroid": (
            lambda w: features.moments(magnitude(w, transform), hz).centroid_hz,
            lambda w: feature.spectral_centroid(y=w, **words)[0],
        ),
        "bandwidth": (
            lambda w: features.moments(magnitude(w, transform), hz).bandwidth_hz,
            lambda w: feature.spectral_bandwidth(y=w, **words)[0],
        ),
        "skewness": (
            lambda w: features.moments(magnitude(w, transform), hz).skewness,
            lambda w: _standardised_moment(np.abs(librosa.stft(w.astype(float), **_SIZES)), hz, 3),
        ),
        "kurtosis": (
            lambda w: features.moments(magnitude(w, transform), hz).kurtosis,
            lambda w: _standardised_moment(np.abs(librosa.stft(w.astype(float), **_SIZES)), hz, 4),
        ),
        "log-frequency": (
            lambda w: mel.mel_spectrogram(magnitude(w, transform), bands),
            lambda w: bands.astype(float) @ np.abs(librosa.stft(w.astype(float), **_SIZES)),
        ),
        "rolloff": (
            lambda w: features.rolloff_hz(magnitude(w, transform), hz),
            lambda w: feature.spectral_rolloff(y=w, **words)[0],
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
    return {name: (jax.jit(ours), their) for name, (ours, their) in plain.items()}


def _standardised_moment(
    magnitude: Float[np.ndarray, "bins frames"], frequencies_hz: Float[np.ndarray, " bins"], order: int
) -> Float[np.ndarray, " frames"]:
    """In double precision; of silence, and of nothing but one bin, 0."""
    total = magnitude.sum(axis=0)
    share = magnitude / np.where(total > 0, total, 1)
    hz = frequencies_hz.astype(float)[:, None]
    away = hz - (share * hz).sum(axis=0)
    deviation = np.sqrt((share * away**2).sum(axis=0))
    return (share * (away / np.where(deviation > 0, deviation, np.inf)) ** order).sum(axis=0)


def errors(sounds: Mapping[str, Wave]) -> dict[str, list[float]]:
    """Greatest error over greatest value, of every representation, sound by sound.

    Of fundamental frequencies it is the median error: what no ear hears as a tone has none to agree on.
    """
    found: dict[str, list[float]] = {}
    for name, (ours, theirs) in pairs().items():
        found[name] = []
        for wave in sounds.values():
            a, b = np.asarray(ours(jnp.asarray(wave))), np.asarray(theirs(wave))
            apart = np.abs(a - b) / np.abs(b).max()
            found[name].append(float(np.median(apart) if "YIN" in name else apart.max()))
    return found


def table(found: Mapping[str, list[float]]) -> str:
    """Markdown: median and greatest over the sounds."""
    lines = ["| | error, median sound | worst sound |", "|---|--:|--:|"]
    return "\n".join([*lines, *(f"| {name} | {np.median(e):.1e} | {max(e):.1e} |" for name, e in found.items())])
