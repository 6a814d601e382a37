"""Music of the museum: clips of 8.91 s in the style of an era, synthesized from random keys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from specjax.arrays import safe
from specjax.arrays.batching import map_examples
from specjax.papers.mvnet.museum.attributes import Attributes, clip_attributes, work_key
from specjax.papers.mvnet.museum.score import STEPS, Score, compose
from specjax.papers.mvnet.museum.styles import TABLES, Style
from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE
from specjax.signal.fourier import irfft, rfft
from specjax.signal.tones import Instrument, synthesize_tone

_LENGTH = 3 * 2**16  # samples that are synthesized: slightly more than a clip, and fast to transform
_TIMBRE_OCTAVES = 2.0  # between the darkest and the brightest timbre of an instrument
_TILT = 1.0  # difference of the slope of the spectrum between the darkest and the brightest clip
_CENTER_HZ = 1000.0
_LOWEST_HZ = 200.0  # below this the spectrum is not tilted further
_ROOM_GAIN = 0.4
_PEAK = 0.8
_BACKGROUND = 1e-3  # noise of the recording, relative to the root mean square of the music

Samples = Float[Array, " samples"]


@partial(jax.jit, static_argnames="segments")
def synthesize(era: Int[Array, " clips"], clip: Int[Array, " clips"], segments: int) -> Float[Array, "clips samples"]:
    """Synthesize clips of 8.91 s at 22,050 Hz, with a peak of 0.8.

    Args:
      era: index into `styles.STYLES`.
      clip: index of the clip within the era.
      segments: number of clips per composition.
    """
    return map_examples(partial(_synthesize_clip, segments=segments))(era, clip)


def _synthesize_clip(era: Int[Array, ""], clip: Int[Array, ""], segments: int) -> Samples:
    attributes = clip_attributes(era, clip, segments)
    style = jax.tree.map(lambda values: jnp.asarray(values)[era], TABLES)
    score = compose(style, attributes, work_key("harmony", era, clip // segments), work_key("notes", era, clip))
    noise = jax.random.normal(work_key("noise", era, clip), (_LENGTH,))
    return _record(_perform(style, score, attributes), style, attributes, noise)[:CLIP_SAMPLES]


def _perform(style: Style, score: Score, attributes: Attributes) -> Samples:
    """Play a score. Each voice plays one note at a time, until the beginning of the next."""
    position = jnp.arange(_LENGTH)
    step_samples = score.step_s * SAMPLE_RATE
    step = jnp.minimum((position.astype(jnp.float32) / step_samples).astype(int), STEPS - 1)
    brightness = 2.0 ** (_TIMBRE_OCTAVES * (attributes.brightness - 0.5))
    timbres = style.voices.instrument._replace(bright_hz=brightness * style.voices.instrument.bright_hz)

    def play_voice(voice: tuple[Array, Array, Array, Instrument]) -> Samples:
        onset, pitch, velocity, instrument = voice
        numbers = jnp.arange(STEPS)
        last = jax.lax.cummax(jnp.where(onset, numbers, -1))[step]
        following = jax.lax.cummin(jnp.where(onset, numbers, STEPS), reverse=True)
        end = jnp.append(following, STEPS)[step + 1]
        note = jnp.maximum(last, 0)
        age = position - jnp.ceil(note.astype(jnp.float32) * step_samples).astype(int)
        left_s = (end.astype(jnp.float32) * step_samples - position.astype(jnp.float32)) / SAMPLE_RATE
        hz = 440 * 2.0 ** ((pitch[note] - 69) / 12)
        return jnp.where(last < 0, 0.0, velocity[note] * synthesize_tone(age, hz, left_s, instrument, SAMPLE_RATE))

    voices = jax.lax.map(play_voice, (score.onset, score.pitch, score.velocity, timbres))
    return jnp.sum(10 ** (style.voices.level_db / 20)[:, None] * voices, axis=0)


def _record(music: Samples, style: Style, attributes: Attributes, noise: Samples) -> Samples:
    """Record music in a room: reverberation, a tilt of the spectrum that makes it brighter, and background noise."""
    time_s = np.arange(_LENGTH, dtype=np.float32) / SAMPLE_RATE
    hz = np.fft.rfftfreq(_LENGTH, 1 / SAMPLE_RATE).astype(np.float32)
    # The level falls by 60 dB, a factor of e^6.9, in the reverberation time.
    echoes = noise * jnp.exp(-6.9 * time_s / style.room_s)
    room = rfft(_ROOM_GAIN * safe.divide(echoes, safe.sqrt(jnp.sum(echoes**2))))
    tilt = jnp.maximum(hz, _LOWEST_HZ) / _CENTER_HZ
    spectrum = rfft(_unit(music)) * (1 + room) * (tilt ** (_TILT * (attributes.brightness - 0.5))).astype(room.dtype)
    wave = irfft(spectrum, _LENGTH) + _BACKGROUND * noise
    return _PEAK * safe.divide(wave, jnp.max(jnp.abs(wave)))


def _unit(wave: Samples) -> Samples:
    """Scale a wave to a root mean square of 1."""
    return safe.divide(wave, safe.sqrt(jnp.mean(wave**2)))
