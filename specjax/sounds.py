"""What the commands do with sound files: spectrograms, features, inversion."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax import plots
from specjax.data import audio, beats, spectrograms
from specjax.data.spectrograms import Saved
from specjax.errors import Refusal
from specjax.signal import features, mel, pitch
from specjax.signal.inversion import Inversion, convergence_db, to_wave
from specjax.signal.level import amplitude_to_db
from specjax.signal.presets import PRESETS, Preset, Spectrogram, magnitudes, spectrogram
from specjax.signal.stft import Stft, magnitude
from specjax.solve import Report

PEAK = 0.9  # of sounds whose loudness a spectrogram does not tell
_VOICE_HZ = (60.0, 2000.0)  # where a fundamental frequency is looked for
_FLOOR_DB = 80.0


class Inverted(NamedTuple):
    """A wave, and how near its spectrogram comes to the one it was made of: spectral convergence, in dB."""

    wave: Float[np.ndarray, " samples"]
    sample_rate: int
    convergence_db: float


def preset_named(name: str) -> Preset:
    """
    Raises:
      Refusal: there is no such preset; it lists them.
    """
    if name not in PRESETS:
        raise Refusal(f"--preset={name!r} is unknown: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def read_spectrogram(path: Path, preset: Preset | None) -> Saved:
    """Spectrogram of a sound file by `preset` (else `picture`), or of a spectrogram file.

    Raises:
      Refusal: the file is refused by its gate, or too short for a frame.
    """
    if path.suffix.lower() in spectrograms.SUFFIXES:
        return spectrograms.read(path, preset)
    chosen = preset or PRESETS["picture"]
    wave, _ = audio.read_audio(path, chosen.sample_rate)
    try:
        made = jax.jit(lambda w: spectrogram(w, chosen).values)(jnp.asarray(wave))
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error
    return Saved(np.asarray(made), chosen, len(wave))


def invert(path: Path, preset: Preset | None, how: Inversion, report: Report | None = None) -> Inverted:
    """Sound of a spectrogram file; of a sound file, whose phases are forgotten, to hear what a method makes of it.

    Raises:
      Refusal: as `read_spectrogram`; a convention that the method is not for.
    """
    saved = read_spectrogram(path, preset)
    given = Spectrogram(jnp.asarray(saved.values), saved.preset)
    try:
        wave = to_wave(given, how, length=saved.samples, report=report)
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error
    wanted = magnitudes(given, saved.preset)
    near = jax.jit(lambda w: convergence_db(magnitudes(spectrogram(w, saved.preset), saved.preset), wanted))(wave)
    peak = float(jnp.max(jnp.abs(wave)))
    if peak > 1 or (saved.preset.scale == "peak_db" and peak > 0):
        wave = wave * (PEAK / peak)
    return Inverted(np.asarray(wave), saved.preset.sample_rate, float(near))


def plotted(saved: Saved, title: str) -> bytes:
    """A spectrogram with axes, as a PNG."""
    preset = saved.preset
    levels = np.asarray(magnitudes(Spectrogram(jnp.asarray(saved.values), preset), preset))
    level_db = np.asarray(amplitude_to_db(jnp.asarray(levels), range_db=_FLOOR_DB))
    hz = (
        mel.centres_hz(preset.mel, preset.sample_rate)[1:-1]
        if preset.mel
        else features.bin_frequencies(preset.transform.n_fft, preset.sample_rate)
    )
    return plots.spectrogram(level_db, hz, _times(level_db.shape[1], preset.transform, preset.sample_rate), title)


def all_features(
    path: Path, sample_rate: int | None, transform: Stft = Stft(), cache: Path | None = None
) -> dict[str, np.ndarray]:
    """What can be told of a sound file frame by frame, by name: units are in the names, frames last.

    Raises:
      Refusal: the file is refused by its gate, or too short.
    """
    wave, rate = audio.read_audio(path, sample_rate)
    try:
        found = jax.jit(lambda w: _by_frame(w, rate, transform))(jnp.asarray(wave))
    except ValueError as error:
        raise Refusal(f"{path}: {error}") from error
    tracked = beats.track(wave, rate, cache)
    count = found["rms"].shape[-1]
    return {
        **{name: np.asarray(values) for name, values in found.items()},
        "time_s": _times(count, transform, rate),
        "tempo_bpm": np.asarray(tracked.tempo_bpm, np.float32),
        "beat_s": tracked.beat_s,
        "sample_rate": np.asarray(rate, np.int32),
    }


def features_plotted(found: dict[str, np.ndarray], title: str) -> bytes:
    """The features that are curves, below a mel spectrogram with beats, as a PNG."""
    rate, rows = int(found["sample_rate"]), found["mel_db"].shape[0]
    curves = {
        "Hz": {"centroid": found["centroid_hz"], "bandwidth": found["bandwidth_hz"], "rolloff": found["rolloff_hz"]},
        "f0 (Hz)": {"fundamental": found["fundamental_hz"]},
        "RMS": {"envelope": found["rms"]},
        "share": {"flatness": found["flatness"], "harmonicity": found["harmonicity"],
                  "zero crossings": found["zero_crossings"]},
    }  # fmt: skip
    hz = mel.centres_hz(mel.Mel(rows), rate)[1:-1]
    return plots.features(found["mel_db"], hz, found["time_s"], curves, found["beat_s"], title)


def _by_frame(wave: Float[jax.Array, " samples"], rate: int, transform: Stft) -> dict[str, jax.Array]:
    levels = magnitude(wave, transform)
    hz = features.bin_frequencies(transform.n_fft, rate)
    power = levels**2
    of_mel = mel.mel_spectrogram(power, mel.mel_filters(mel.Mel(), rate, transform.n_fft))
    coefficients = mel.mfcc(of_mel)
    lowest, highest = max(_VOICE_HZ[0], 3 * rate / transform.n_fft), min(_VOICE_HZ[1], rate / 4)
    spread = features.moments(levels, hz)
    return {
        **spread._asdict(),
        "flatness": features.flatness(levels),
        "rolloff_hz": features.rolloff_hz(levels, hz),
        "rms": features.rms(wave, transform),
        "zero_crossings": features.zero_crossings(wave, transform),
        "fundamental_hz": pitch.yin(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform),
        "harmonicity": pitch.harmonicity(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform),
        "mfcc": coefficients,
        "mfcc_delta": mel.delta(coefficients),
        "mfcc_delta2": mel.delta(coefficients, order=2),
        "mel_db": amplitude_to_db(jnp.sqrt(of_mel), range_db=_FLOOR_DB),
    }


def _times(frames: int, transform: Stft, rate: int) -> Float[np.ndarray, " frames"]:
    """Of the centres of frames, in seconds."""
    first = 0.0 if transform.center else transform.n_fft / 2
    return ((np.arange(frames) * transform.hop_length + first) / rate).astype(np.float32)
