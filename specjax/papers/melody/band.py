"""Synthetic music in ten genres, generated on the device from random keys: a data set that needs no download.

The genres are those of GTZAN (Tzanetakis and Cook 2002). They differ in tempo, drum patterns, harmony, scale,
instruments and mix (`music/styles.py`). Tracks of one genre differ in tempo, key, chords, instruments, notes, levels
and brightness.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays import safe
from specjax.arrays.batching import map_examples
from specjax.papers.melody.music import styles
from specjax.papers.melody.music.draws import Choices, draw
from specjax.papers.melody.music.instruments import kit_sounds
from specjax.papers.melody.music.score import PARTS, Notes, Recording, Score, choose_tempo, compose
from specjax.papers.melody.music.tables import TABLES, select
from specjax.signal.fourier import irfft, rfft
from specjax.signal.tones import Instrument, synthesize_tone

RandomKey = Key[Array, ""]
Samples = Float[Array, " samples"]
Positions = Int[Array, " samples"]

GENRES = styles.GENRES

_BACKGROUND = 2e-3  # RMS of the background noise, relative to that of the music


@partial(jax.jit, static_argnames=("sample_rate", "duration_s"))
def synthesize(
    key: Key[Array, " clips"], genre: Int[Array, " clips"], sample_rate: int = 22050, duration_s: float = 30.0
) -> Float[Array, "clips samples"]:
    """Synthesize tracks: pieces of music with one key, one tempo and one set of instruments each.

    Args:
      key: one random key per track. Equal keys and genres give equal tracks.
      genre: index into `GENRES` of each track.
      sample_rate: in Hz, at least 8000.
      duration_s: duration of each track in seconds, at least 1.

    Returns:
      Waves with peaks between 0.5 and 0.95.

    Raises:
      ValueError: the sample rate or the duration is too low.
    """
    if sample_rate < 8000 or duration_s < 1:
        raise ValueError(
            f"music of {duration_s} s at {sample_rate} Hz cannot be synthesized: use at least 1 s at 8000 Hz"
        )
    samples = round(duration_s * sample_rate)

    def make_track(key: RandomKey, genre: Int[Array, ""]) -> Samples:
        score = compose(draw(key), select(TABLES, genre), sample_rate)
        noise = jax.random.normal(jax.random.fold_in(key, 1), (samples,))
        stems = _perform(score, noise, sample_rate)
        mix = jnp.sum(score.recording.levels[:, None] * stems, axis=0)
        return _master(mix, score.recording, noise, sample_rate)

    return map_examples(make_track)(key, genre)


@jax.jit
def tempo_bpm(key: Key[Array, " clips"], genre: Int[Array, " clips"]) -> Float[Array, " clips"]:
    """Compute the tempo, in beats per minute, of the tracks that `synthesize` makes from the same keys and genres."""

    def compute(key: RandomKey, genre: Int[Array, ""]) -> Float[Array, ""]:
        return choose_tempo(Choices(*draw(key).choices), select(TABLES, genre))

    return jax.vmap(compute)(key, genre)


def _perform(score: Score, noise: Samples, sample_rate: int) -> Float[Array, "6 samples"]:
    """Play a score: kick, snare, hat, bass, chords and melody, each with a root mean square of 1, or silent.

    The result is as long as the noise, which the drums need.
    """
    position = jnp.arange(len(noise)) % score.length
    beats = position.astype(jnp.float32) / score.beat_samples
    sixteenth = jnp.sum((beats % 1)[None] >= score.beat[1:, None], axis=0)
    step = jnp.minimum(4 * jnp.floor(beats).astype(int) + sixteenth, score.drums.start.shape[1] - 1)

    def play_voice(voice: tuple[Notes, Instrument]) -> Samples:
        notes, instrument = voice
        start, end, velocity, hz = (x[step] for x in notes)
        left_s = (end - position).astype(jnp.float32) / sample_rate
        return velocity * synthesize_tone(position - start, hz, left_s, instrument, sample_rate)

    instruments = score.recording.instruments
    voices = jax.lax.map(play_voice, (score.voices, select(instruments, PARTS)))
    parts = [_distort(jnp.sum(voices[i == PARTS], axis=0), drive) for i, drive in enumerate(instruments.drive)]
    hits = kit_sounds(score.recording.kit, noise, sample_rate)
    drums = [
        _play_drum(*drum, step, position) for drum in zip(score.drums.start, score.drums.velocity, hits, strict=True)
    ]
    return jnp.stack([_unit(x) for x in (*drums, *parts)])


def _distort(wave: Samples, drive: Float[Array, ""]) -> Samples:
    """Multiply a wave by `drive` and clip it softly; a drive of 0 leaves it unchanged."""
    return jnp.where(drive > 0, jnp.tanh(drive * wave), wave)


def _play_drum(
    start: Int[Array, " steps"],
    velocity: Float[Array, " steps"],
    hit: Float[Array, " length"],
    step: Positions,
    position: Positions,
) -> Samples:
    """Play the sound of a drum at each of its notes. Each hit cuts off the previous one."""
    age = position - start[step]
    return velocity[step] * jnp.where(age < 0, 0.0, hit[jnp.clip(age, 0, len(hit) - 1)])


def _master(mix: Samples, recording: Recording, noise: Samples, sample_rate: int) -> Samples:
    """Record a mix in a room: reverberation, limited bandwidth, background noise, soft limiter and peak level."""
    time_s = jnp.arange(len(mix), dtype=jnp.float32) / sample_rate
    hz = jnp.asarray(np.fft.rfftfreq(len(mix), 1 / sample_rate), jnp.float32)
    # The level falls by 60 dB, a factor of e^6.9, in the reverberation time.
    echoes = noise * jnp.exp(-6.9 * time_s / recording.room_s)
    room = recording.room_gain * safe.divide(echoes, safe.sqrt(jnp.sum(echoes**2)))
    gain = 1 / jnp.sqrt((1 + (hz / recording.top_hz) ** 4) * (1 + (30 / jnp.maximum(hz, 1.0)) ** 4))
    spectrum = rfft(mix) * (1 + rfft(room))
    wave = irfft(spectrum * gain.astype(spectrum.dtype), len(mix))
    wave = jnp.tanh(recording.push * (_unit(wave) + _BACKGROUND * noise))
    return recording.peak * safe.divide(wave, jnp.max(jnp.abs(wave)))


def _unit(wave: Samples) -> Samples:
    """Scale a wave to a root mean square of 1."""
    return safe.divide(wave, safe.sqrt(jnp.mean(wave**2)))
