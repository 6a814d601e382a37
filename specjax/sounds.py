"""What the commands do with sound files: spectrograms, features, inversion at once and as a stream."""

import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax import plots
from specjax.data import audio, beats, spectrograms
from specjax.data.spectrograms import Saved
from specjax.errors import Refusal
from specjax.signal import features, mel, pitch
from specjax.signal.inversion import Inversion, convergence_db, to_wave
from specjax.signal.level import amplitude_to_db
from specjax.signal.phase import streaming
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


class Streamed(NamedTuple):
    """Of a stream: what came out, how late, at which part of real time, and what memory grew by on the way."""

    seconds: float
    delay_ms: float
    real_time_factor: float
    slowest_ms: float
    memory_growth_mb: float


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


def stream(path: Path, out: Path, transform: Stft, method: str) -> Streamed:
    """Invert a sound file while it is read, into a WAV file: magnitudes hop by hop, phases made anew.

    Raises:
      Refusal: the file is refused by its gate, is shorter than a frame, or `out` cannot be written.
    """
    import soundfile

    transform = replace(transform, center=False)
    rate, blocks = audio.audio_blocks(path, transform.hop_length)
    partial = out.with_name(f".partial-{out.name}")
    took: list[float] = []
    try:
        with soundfile.SoundFile(partial, "w", rate, 1, "PCM_16", format="WAV") as file:
            before = 0.0
            for number, (sound, seconds) in enumerate(_ticks(blocks, transform, method)):
                file.write(np.clip(sound, -1.0, 1.0))
                took.append(seconds)
                if number == 100:  # by then everything is compiled and allocated
                    before = _peak_memory_mb()
            grown = _peak_memory_mb() - before if before else 0.0
        if not took:
            raise Refusal(f"{path} is shorter than two frames of {transform.n_fft} samples")
        partial.replace(out)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Refusal(f"{out} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    hop_s = transform.hop_length / rate
    return Streamed(
        seconds=len(took) * hop_s,
        delay_ms=1e3 * streaming.delay_samples(transform) / rate,
        real_time_factor=float(np.sum(took)) / (len(took) * hop_s),
        slowest_ms=1e3 * float(np.max(took)),
        memory_growth_mb=grown,
    )


def _ticks(blocks: Iterator[np.ndarray], transform: Stft, method: str) -> Iterator[tuple[np.ndarray, float]]:
    """Hops of sound, and the seconds that each took to make."""
    n_fft, hop = transform.n_fft, transform.hop_length

    @jax.jit
    def tick(
        heard: Float[Array, " n_fft"], state: streaming.Stream, newest: Float[Array, " hop"]
    ) -> tuple[Array, streaming.Stream, Array]:
        heard = jnp.concatenate([heard[hop:], newest])
        state, sound = streaming.advance(state, magnitude(heard, transform)[:, 0], transform, method)
        return heard, state, sound

    whole = (block for block in blocks if len(block) == hop)  # a rest at the end is shorter than a hop
    head = np.concatenate([np.zeros(0, np.float32), *islice(whole, -(-n_fft // hop))])
    if len(head) < n_fft:
        return
    heard = jnp.asarray(head[-n_fft:])
    state = streaming.begin(magnitude(heard, transform)[:, 0], transform, method)
    jax.block_until_ready(tick(heard, state, jnp.zeros(hop)))  # compiled before the clock runs
    for block in whole:
        begin = time.perf_counter()
        heard, state, sound = tick(heard, state, jnp.asarray(block))
        made = np.asarray(sound)
        yield made, time.perf_counter() - begin


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


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
