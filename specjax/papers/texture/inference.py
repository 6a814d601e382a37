"""What the commands do with sound files: spectrograms, features, inversion."""

import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data import audio, beats, spectrograms
from specjax.data.spectrograms import Saved
from specjax.plots import sound as plots
from specjax.signal import features, mel, pitch
from specjax.signal.inversion import Inversion, Progress, convergence_db, to_wave
from specjax.signal.level import amplitude_to_db
from specjax.signal.presets import PRESETS, Preset, Spectrogram, magnitudes, spectrogram
from specjax.signal.stft import Stft, magnitude

PEAK = 0.9  # of sounds whose loudness a spectrogram does not hold, or that would be too loud for a file
_FRAME_S = 0.093  # length of a frame of features: 2048 samples at 22,050 Hz, three periods of 33 Hz
_HIGHEST_TONE_HZ = 2093.0  # a fundamental frequency is looked for up to here, the C7 of a piano
_VOICED = 0.7  # harmonicity from which on a frame has a fundamental frequency
_BEATS_RATE = 22050  # what librosa's tracker is tuned for
_FLOOR_DB = 80.0
_DELTA_FRAMES = 9


class InvertedSound(NamedTuple):
    """A wave, and how near its spectrogram comes to the one it was made of: spectral convergence, in dB.

    gain_db: what was added to its level: for the file, or to `PEAK` where the level was not known (nan).
    """

    wave: Float[np.ndarray, " samples"]
    sample_rate: int
    convergence_db: float
    gain_db: float


def get_preset(name: str) -> Preset:
    """
    Raises:
      UserError: there is no such preset; it lists them.
    """
    if name not in PRESETS:
        raise UserError(f"--preset={name!r} is unknown: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def read_spectrogram(path: Path, preset: Preset | None) -> Saved:
    """Spectrogram of a sound file by `preset` (else `picture`), or of a spectrogram file.

    Raises:
      UserError: the file is refused by its gate, or too short for a frame.
    """
    if path.suffix.lower() in spectrograms.SUFFIXES:
        return spectrograms.read(path, preset)
    chosen = preset or PRESETS["picture"]
    wave, _ = audio.read_audio(path, chosen.sample_rate)
    try:
        made = jax.jit(lambda w: spectrogram(w, chosen).values)(jnp.asarray(wave))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    peak = None
    if chosen.scale == "peak_db":
        peak = float(jax.jit(lambda w: jnp.max(magnitude(w, chosen.transform)[:, : made.shape[1]]))(jnp.asarray(wave)))
    return Saved(np.asarray(made), chosen, len(wave), peak)


def invert(path: Path, preset: Preset | None, how: Inversion, report: Progress | None = None) -> InvertedSound:
    """Sound of a spectrogram file; of a sound file, whose phases are forgotten, to hear what a method makes of it.

    Raises:
      UserError: as `read_spectrogram`; a convention that the method is not for; nothing that could be heard.
    """
    saved = read_spectrogram(path, preset)
    given = Spectrogram(jnp.asarray(saved.values), saved.preset)
    try:
        wave = to_wave(given, how, length=saved.samples, report=report)
        near = float(_nearness_db(wave, given))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    known = saved.preset.scale != "peak_db" or saved.peak is not None
    wave = wave * (saved.peak or 1.0)
    peak = float(jnp.max(jnp.abs(wave)))
    if not 0 < peak < math.inf:
        raise UserError(f"{path}: what was made of it is {'silent' if peak == 0 else 'not finite'}: it is no sound's")
    gain = PEAK / peak if peak > 1 or not known else 1.0
    gain_db = 20 * math.log10(gain) if known else math.nan
    return InvertedSound(np.asarray(wave * gain), saved.preset.sample_rate, near, gain_db)


@jax.jit
def _nearness_db(wave: Float[jax.Array, " samples"], wanted: Spectrogram) -> Float[jax.Array, ""]:
    found = spectrogram(wave, wanted.preset)
    return convergence_db(magnitudes(found, wanted.preset), magnitudes(wanted, wanted.preset))


def plot_spectrogram(saved: Saved, title: str) -> bytes:
    """A spectrogram with axes, as a PNG."""
    preset = saved.preset
    levels = np.asarray(magnitudes(Spectrogram(jnp.asarray(saved.values), preset), preset))
    hz = (
        mel.center_frequencies_hz(preset.mel, preset.sample_rate)[1:-1]
        if preset.mel
        else features.bin_frequencies(preset.transform.n_fft, preset.sample_rate)
    )
    floor_db = preset.range_db if preset.scale == "peak_db" else _FLOOR_DB
    times = _times(levels.shape[1], preset.transform, preset.sample_rate)
    return plots.spectrogram(_below_loudest(levels, floor_db), hz, times, title)


def extract_features(path: Path, sample_rate: int | None, cache: Path | None = None) -> dict[str, np.ndarray]:
    """Features of a sound file frame by frame, by name: units are in the names, frames last.

    Fundamental frequencies are nan where a frame has none.

    Args:
      cache: folder in which beats are kept.

    Raises:
      UserError: the file is refused by its gate, or too short.
    """
    wave, rate = audio.read_audio(path, sample_rate)
    transform = _frames_for(rate)
    count = transform.frames(len(wave))
    if count < 3:
        needed_s = 2 * transform.hop_length / rate
        raise UserError(f"{path} lasts {len(wave) / rate:.3f} s: its features need {needed_s:.3f} s at {rate} Hz")
    found = jax.jit(lambda w: _by_frame(w, rate, transform))(jnp.asarray(wave))
    tracked = beats.track(audio.resample(wave, rate, _BEATS_RATE), _BEATS_RATE, cache)
    return {
        **{name: np.asarray(values) for name, values in found.items()},
        "time_s": _times(count, transform, rate),
        "tempo_bpm": np.asarray(tracked.tempo_bpm, np.float32),
        "beat_s": tracked.beat_s,
        "sample_rate": np.asarray(rate, np.int32),
    }


def plot_features(found: dict[str, np.ndarray], title: str) -> bytes:
    """The features that are curves, below a mel spectrogram with beats, as a PNG."""
    rate, rows = int(found["sample_rate"]), found["mel_db"].shape[0]
    panels = (
        plots.Panel("Hz", {"centroid": found["centroid_hz"], "bandwidth": found["bandwidth_hz"],
                           "rolloff": found["rolloff_hz"]}),
        plots.Panel("fundamental\n(Hz)", {"": found["fundamental_hz"]}, octaves=True),
        plots.Panel("RMS", {"": found["rms"]}),
        plots.Panel("0 to 1", {"flatness": found["flatness"], "harmonicity": found["harmonicity"],
                               "zero crossings": found["zero_crossings"]}),
    )  # fmt: skip
    hz = mel.center_frequencies_hz(mel.Mel(rows), rate)[1:-1]
    level_db = np.maximum(found["mel_db"] - found["mel_db"].max(), -_FLOOR_DB)
    if len(found["beat_s"]):
        title += f"  ({float(found['tempo_bpm']):.0f} beats a minute)"
    return plots.features(level_db, hz, found["time_s"], panels, found["beat_s"], title)


def _frames_for(rate: int) -> Stft:
    """Frames of about `_FRAME_S`, a power of two samples long, every quarter of that."""
    length = 2 ** max(round(math.log2(_FRAME_S * rate)), 5)
    return Stft(length, length // 4)


def _by_frame(wave: Float[jax.Array, " samples"], rate: int, transform: Stft) -> dict[str, jax.Array]:
    levels = magnitude(wave, transform)
    hz = features.bin_frequencies(transform.n_fft, rate)
    bank = mel.Mel(min(128, transform.n_fft // 16))
    of_mel = mel.mel_spectrogram(levels**2, mel.mel_filters(bank, rate, transform.n_fft))
    coefficients = mel.mfcc(of_mel, min(20, bank.n_mels))
    frames = levels.shape[-1]
    width = min(_DELTA_FRAMES, frames - 1 + frames % 2)  # odd
    # A frame must hold three periods.
    lowest, highest = rate / (transform.n_fft // 3 - 1), min(_HIGHEST_TONE_HZ, rate / 4)
    harmonic = pitch.harmonicity(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform)
    tone_hz = pitch.yin(wave, rate, fmin_hz=lowest, fmax_hz=highest, transform=transform)
    spread = features.moments(levels, hz)
    return {
        **spread._asdict(),
        "flatness": features.flatness(levels),
        "rolloff_hz": features.rolloff_hz(levels, hz),
        "rms": features.rms(wave, transform),
        "zero_crossings": features.zero_crossings(wave, transform),
        "fundamental_hz": jnp.where(harmonic >= _VOICED, tone_hz, jnp.nan),
        "harmonicity": harmonic,
        "mfcc": coefficients,
        "mfcc_delta": mel.delta(coefficients, width),
        "mfcc_delta2": mel.delta(coefficients, width, order=2),
        "mel_db": amplitude_to_db(jnp.sqrt(of_mel), range_db=_FLOOR_DB),
    }


def _below_loudest(levels: Float[np.ndarray, "rows frames"], range_db: float) -> Float[np.ndarray, "rows frames"]:
    return np.asarray(amplitude_to_db(jnp.asarray(levels), reference=jnp.max, least=1e-20, range_db=range_db))


def _times(frames: int, transform: Stft, rate: int) -> Float[np.ndarray, " frames"]:
    """Of the centres of frames, in seconds."""
    first = 0.0 if transform.center else transform.n_fft / 2
    return ((np.arange(frames) * transform.hop_length + first) / rate).astype(np.float32)
