"""Spectrograms and features of sound files, and sound from spectrograms: the functions behind `specjax synth`."""

import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data import audio, beats, spectrograms
from specjax.data.spectrograms import Saved
from specjax.plots import sound
from specjax.signal import features, mel, pitch
from specjax.signal.inversion import Inversion, Progress, convergence_db, to_wave
from specjax.signal.level import amplitude_to_db
from specjax.signal.presets import PRESETS, Preset, Spectrogram, encode, magnitudes, wave_magnitudes
from specjax.signal.short_time_fourier import Stft, magnitude

# Peak amplitude to which a sound is scaled if its level is unknown, or if it would clip in a file.
PEAK = 0.9
_FRAME_S = 0.093  # Frame length of features, in seconds: 2048 samples at 22,050 Hz, or three periods of 33 Hz.
_HIGHEST_TONE_HZ = 2093.0  # Highest fundamental frequency to search, C7 of a piano.
_VOICED = 0.7  # A frame with less harmonicity than this has no fundamental frequency.
_BEATS_RATE = 22050  # Sample rate in Hz that the beat tracker of librosa is tuned for.
_FLOOR_DB = 80.0  # Dynamic range of plots and of mel features, in dB.
_DELTA_FRAMES = 9  # Number of frames over which time derivatives of the MFCC are estimated.


class InvertedSound(NamedTuple):
    """Sound reconstructed from a spectrogram.

    Attributes:
      wave: samples of one or two channels, left before right.
      sample_rate: sample rate in Hz.
      convergence_db: spectral convergence in dB, `10 log10(sum((result - target)^2) / sum(target^2))`. Here `result` is
        the magnitudes of the sound, and `target` those of the original spectrogram. Lower is better.
      gain_db: gain in dB that was applied to all channels to avoid clipping; 0 if none was needed. It is nan if the
        absolute level of the spectrogram is unknown. The sound is then scaled to the peak `PEAK`.
    """

    wave: Float[np.ndarray, "channels samples"]
    sample_rate: int
    convergence_db: float
    gain_db: float


def get_preset(name: str) -> Preset:
    """Return the spectrogram preset with this name.

    Raises:
      UserError: there is no such preset; the message lists all presets.
    """
    if name not in PRESETS:
        raise UserError(f"--preset={name!r} is unknown: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def read_spectrogram(path: Path, preset: Preset | None) -> Saved:
    """Read a spectrogram file, or read a sound file and compute its spectrogram.

    One or two channels are kept; more than two are mixed to one. The levels of both channels refer to the same peak.

    Args:
      path: spectrogram file (.npz or .png) or sound file.
      preset: how the spectrogram is computed: sample rate, STFT, mel filters and scale of the values. None takes the
        preset that is stored in a spectrogram file, and `PRESETS["picture"]` for a sound file.

    Returns:
      The spectrogram with its metadata.

    Raises:
      UserError: the file is not valid, `preset` differs from the stored preset, or the sound is too short for one
        frame.
    """
    if path.suffix.lower() in spectrograms.SUFFIXES:
        return spectrograms.read(path, preset)
    chosen = preset or PRESETS["picture"]
    waves, _ = audio.read_channels(path, chosen.sample_rate)
    try:
        result, peak = _compute_spectrogram(jnp.asarray(waves), chosen)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return Saved(np.asarray(result.values), chosen, waves.shape[1], float(peak) if chosen.scale == "peak_db" else None)


@partial(jax.jit, static_argnums=1)
def _compute_spectrogram(
    waves: Float[jax.Array, "channels samples"], preset: Preset
) -> tuple[Spectrogram, Float[jax.Array, ""]]:
    """Compute the spectrogram of each channel, and the greatest magnitude of all channels.

    Levels relative to a peak refer to this magnitude in every channel, so that the balance of the channels is kept.
    """
    levels = wave_magnitudes(waves, preset)
    peak = jnp.max(levels)
    return encode(levels, preset, peak), peak


def invert(path: Path, preset: Preset | None, settings: Inversion, report: Progress | None = None) -> InvertedSound:
    """Reconstruct sound from a spectrogram file, or from a sound file whose phases are discarded.

    Args:
      path: spectrogram file (.npz or .png) or sound file.
      preset: see `read_spectrogram`.
      settings: inversion method and its parameters.
      report: progress callback, see `specjax.signal.inversion.invert`.

    Raises:
      UserError: the file cannot be read (see `read_spectrogram`), the method does not support the preset, or the result
        is silent or not finite.
    """
    saved = read_spectrogram(path, preset)
    target = Spectrogram(jnp.asarray(saved.values), saved.preset)
    try:
        wave = to_wave(target, settings, length=saved.samples, report=report)
        reached_db = float(_spectrogram_convergence_db(wave, target))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    level_is_known = saved.preset.scale != "peak_db" or saved.peak is not None
    wave = wave * (saved.peak or 1.0)
    peak = float(jnp.max(jnp.abs(wave)))
    if not 0 < peak < math.inf:
        fault = "silent" if peak == 0 else "not finite"
        raise UserError(f"{path} inverts to a sound that is {fault}: choose the spectrogram of an audible sound")
    gain = PEAK / peak if peak > 1 or not level_is_known else 1.0
    gain_db = 20 * math.log10(gain) if level_is_known else math.nan
    return InvertedSound(np.asarray(wave * gain), saved.preset.sample_rate, reached_db, gain_db)


@jax.jit
def _spectrogram_convergence_db(
    wave: Float[jax.Array, "channels samples"], target: Spectrogram
) -> Float[jax.Array, ""]:
    """Compute the spectral convergence in dB of `wave` to the spectrogram `target`; lower is better.

    It is `10 log10(sum((a - b)^2) / sum(b^2))`, where a is the magnitudes of `wave` and b those of `target`.
    """
    result, _ = _compute_spectrogram(wave, target.preset)
    return convergence_db(magnitudes(result, target.preset), magnitudes(target, target.preset))


def plot_spectrogram(saved: Saved, title: str) -> bytes:
    """Plot each channel of a spectrogram with axes in Hz and seconds, and return the content of a PNG file."""
    preset = saved.preset
    levels = np.asarray(magnitudes(Spectrogram(jnp.asarray(saved.values), preset), preset))
    hz = (
        mel.corner_frequencies_hz(preset.mel, preset.sample_rate)[1:-1]
        if preset.mel
        else features.bin_frequencies(preset.transform.n_fft, preset.sample_rate)
    )
    floor_db = preset.range_db if preset.scale == "peak_db" else _FLOOR_DB
    times = _frame_times(levels.shape[-1], preset.transform, preset.sample_rate)
    return sound.spectrogram(_level_below_peak_db(levels, floor_db), hz, times, title)


def extract_features(path: Path, sample_rate: int | None, cache: Path | None = None) -> dict[str, np.ndarray]:
    """Compute features of each frame of a sound file (spectral shape, pitch, MFCC, loudness), and track its beats.

    Args:
      path: sound file.
      sample_rate: sample rate in Hz to resample to; None keeps that of the file.
      cache: folder in which beats are cached; None disables the cache.

    Returns:
      Arrays by name. A suffix of the name states the unit, if there is one. The last axis is the frame, except for the
      beat times `beat_s` and the scalars `tempo_bpm` and `sample_rate`. `time_s` holds the times of the frame centers.
      `fundamental_hz` is nan for a frame without a fundamental frequency.

    Raises:
      UserError: the file is not valid, or has fewer than three frames.
    """
    wave, rate = audio.read_audio(path, sample_rate)
    transform = _feature_transform(rate)
    count = transform.frames(len(wave))
    if count < 3:
        needed_s = 2 * transform.hop_length / rate
        raise UserError(f"{path} lasts {len(wave) / rate:.3f} s: its features need {needed_s:.3f} s at {rate} Hz")
    by_frame = jax.jit(lambda w: _compute_features(w, rate, transform))(jnp.asarray(wave))
    tracked = beats.track(audio.resample(wave, rate, _BEATS_RATE), _BEATS_RATE, cache)
    return {
        **{name: np.asarray(values) for name, values in by_frame.items()},
        "time_s": _frame_times(count, transform, rate),
        "tempo_bpm": np.asarray(tracked.tempo_bpm, np.float32),
        "beat_s": tracked.beat_s,
        "sample_rate": np.asarray(rate, np.int32),
    }


def plot_features(values: dict[str, np.ndarray], title: str) -> bytes:
    """Plot a mel spectrogram with beats, and below it the scalar features over time.

    Args:
      values: result of `extract_features`.
      title: text above the plot. The tempo is appended if beats were found.

    Returns:
      The content of a PNG file.
    """
    rate, rows = int(values["sample_rate"]), values["mel_db"].shape[0]
    panels = (
        sound.Panel("Hz", {"centroid": values["centroid_hz"], "bandwidth": values["bandwidth_hz"],
                           "rolloff": values["rolloff_hz"]}),
        sound.Panel("fundamental\n(Hz)", {"": values["fundamental_hz"]}, octaves=True),
        sound.Panel("RMS", {"": values["rms"]}),
        sound.Panel("0 to 1", {"flatness": values["flatness"], "harmonicity": values["harmonicity"],
                               "zero crossings": values["zero_crossings"]}),
    )  # fmt: skip
    hz = mel.corner_frequencies_hz(mel.Mel(rows), rate)[1:-1]
    level_db = np.maximum(values["mel_db"] - values["mel_db"].max(), -_FLOOR_DB)
    if len(values["beat_s"]):
        title += f"  ({float(values['tempo_bpm']):.0f} beats per minute)"
    return sound.features(level_db, hz, values["time_s"], panels, values["beat_s"], title)


def _feature_transform(rate: int) -> Stft:
    """Return the STFT from which features are computed at a sample rate of `rate` Hz.

    A frame lasts about `_FRAME_S` seconds. Its length in samples is a power of two. A hop is a quarter of a frame.
    """
    length = 2 ** max(round(math.log2(_FRAME_S * rate)), 5)
    return Stft(length, length // 4)


def _compute_features(wave: Float[jax.Array, " samples"], rate: int, transform: Stft) -> dict[str, jax.Array]:
    """Compute the features of each frame, as arrays by name with the frame on the last axis; `rate` is in Hz."""
    levels = magnitude(wave, transform)
    hz = features.bin_frequencies(transform.n_fft, rate)
    bank = mel.Mel(min(128, transform.n_fft // 16))
    mel_power = mel.mel_spectrogram(levels**2, mel.mel_filters(bank, rate, transform.n_fft))
    coefficients = mel.mfcc(mel_power, min(20, bank.n_mels))
    frames = levels.shape[-1]
    width = min(_DELTA_FRAMES, frames - 1 + frames % 2)  # The width must be odd.
    # A frame must contain three periods of the lowest fundamental frequency.
    lowest, highest = rate / (transform.n_fft // 3 - 1), min(_HIGHEST_TONE_HZ, rate / 4)
    harmonic = pitch.harmonicity(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform)
    tone_hz = pitch.yin(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform)
    moments = features.moments(levels, hz)
    return {
        **moments._asdict(),
        "flatness": features.flatness(levels),
        "rolloff_hz": features.rolloff_hz(levels, hz),
        "rms": features.rms(wave, transform),
        "zero_crossings": features.zero_crossings(wave, transform),
        "fundamental_hz": jnp.where(harmonic >= _VOICED, tone_hz, jnp.nan),
        "harmonicity": harmonic,
        "mfcc": coefficients,
        "mfcc_delta": mel.delta(coefficients, width),
        "mfcc_delta2": mel.delta(coefficients, width, order=2),
        "mel_db": amplitude_to_db(jnp.sqrt(mel_power), range_db=_FLOOR_DB),
    }


def _level_below_peak_db(
    levels: Float[np.ndarray, "channels rows frames"], range_db: float
) -> Float[np.ndarray, "channels rows frames"]:
    """Convert magnitudes to dB relative to the greatest magnitude; values below -`range_db` are set to -`range_db`."""
    return np.asarray(amplitude_to_db(jnp.asarray(levels), reference=jnp.max, amin=1e-20, range_db=range_db))


def _frame_times(frames: int, transform: Stft, rate: int) -> Float[np.ndarray, " frames"]:
    """Return the time of the center of each frame, in seconds."""
    first = 0.0 if transform.center else transform.n_fft / 2
    return ((np.arange(frames) * transform.hop_length + first) / rate).astype(np.float32)
