"""Synthetic environmental sounds, generated on the device from random keys: a data set that needs no download.

The ten classes imitate those of ESC-10 (Piczak 2015). Each clip differs from all others of its class in tempo, pitch,
level and spacing of its events.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Complex, Float, Int, Key

from specjax.arrays import safe
from specjax.arrays.batching import map_examples

RandomKey = Key[Array, ""]
Samples = Float[Array, " samples"]
Scalar = Float[Array, ""]
Number = float | int
Gain = Float[np.ndarray, " bins"] | Float[Array, " bins"] | Complex[Array, " bins"]

_PEAKS = 0.3, 0.95
_BACKGROUND = 1e-3  # background noise, relative to the peak
_HARMONICS = 30
_NUMBERS, _EVENTS = 5, 64


@dataclass(frozen=True)
class _Grid:
    """Samples of a clip."""

    samples: int
    sample_rate: int

    @property
    def time_s(self) -> Float[Array, " samples"]:
        """Time of each sample in seconds."""
        return jnp.arange(self.samples, dtype=jnp.float32) / self.sample_rate

    @property
    def hz(self) -> Float[np.ndarray, " bins"]:
        """Frequency of each bin of the Fourier transform in Hz."""
        return np.fft.rfftfreq(self.samples, 1 / self.sample_rate).astype(np.float32)


class _Draws(NamedTuple):
    """All random numbers that a clip needs.

    They are drawn together, because XLA compiles every generator of random numbers anew.

    Attributes:
      level: decides on the peak, in [0, 1].
      numbers: decide on the parameters of the sound, in [0, 1].
      delays: decide on the times of events, in [0, 1].
      noise: two rows of white noise of variance 1.
      heights: exponentially distributed numbers with mean 1.
    """

    level: Scalar
    numbers: Float[Array, " numbers"]
    delays: Float[Array, " events"]
    noise: Float[Array, "2 samples"]
    heights: Samples


@partial(jax.jit, static_argnames=("sample_rate", "duration_s"))
def synthesize(
    key: Key[Array, " clips"], label: Int[Array, " clips"], sample_rate: int = 22050, duration_s: float = 5.0
) -> Float[Array, "clips samples"]:
    """Synthesize clips of environmental sounds.

    Args:
      key: one random key per clip. Equal keys and labels give equal clips.
      label: class of each clip, an index into `CLASSES`.
      sample_rate: in Hz, at least 8000.
      duration_s: duration of each clip in seconds, at least 0.5.

    Returns:
      Waves with peaks between 0.3 and 0.95.

    Raises:
      ValueError: the sample rate or the duration is too low.
    """
    if sample_rate < 8000 or duration_s < 0.5:
        raise ValueError(
            f"sounds of {duration_s} s at {sample_rate} Hz cannot be synthesized: use at least 0.5 s at 8000 Hz"
        )
    grid = _Grid(round(duration_s * sample_rate), sample_rate)
    branches = [partial(function, grid=grid) for function in _FUNCTIONS.values()]

    def make_clip(key: RandomKey, label: Int[Array, ""]) -> Samples:
        draws = _draw(key, grid.samples)
        wave = _to_peak(jax.lax.switch(label, branches, draws)) + _BACKGROUND * draws.noise[1]
        return (_PEAKS[0] + (_PEAKS[1] - _PEAKS[0]) * draws.level) * _to_peak(wave)

    return map_examples(make_clip)(key, label)


def _rain(draws: _Draws, grid: _Grid) -> Samples:
    """Hiss of many drops, with single drops in front."""
    rate_hz, center_hz, gain = _between(draws, (20, 120), (2500, 6000), (1, 2))
    drops = _filter(_impulses(draws, rate_hz, grid), _resonance(grid, center_hz, 0.002))
    return _band_noise(draws.noise[0], grid, 1000, 9000) + gain * _unit(drops)


def _sea_waves(draws: _Draws, grid: _Grid) -> Samples:
    """Slow swells of noise, brighter when they are louder."""
    period_s, phase, gain = _between(draws, (2.5, 5), (0, 1), (0.5, 1))
    swell = (0.5 + 0.5 * jnp.sin(2 * np.pi * (grid.time_s / period_s + phase))) ** 2
    low, high = _band_noise(draws.noise[0], grid, 60, 500), _band_noise(draws.noise[1], grid, 400, 2500)
    return (0.3 + swell) * low + gain * swell**2 * high


def _crackling_fire(draws: _Draws, grid: _Grid) -> Samples:
    """Sparse sharp crackles of very different loudness, over a low rumble."""
    rate_hz, center_hz, gain = _between(draws, (8, 30), (1500, 3500), (1, 3))
    crackles = _filter(_impulses(draws, rate_hz, grid) ** 2, _resonance(grid, center_hz, 0.001))
    rumble, hiss = _band_noise(draws.noise[0], grid, 30, 250), _band_noise(draws.noise[1], grid, 500, 6000)
    return 0.3 * rumble + 0.1 * hiss + gain * _unit(crackles)


def _dog_bark(draws: _Draws, grid: _Grid) -> Samples:
    """Short barks: a voice whose pitch rises and falls within a seventh of a second."""
    interval_s, bark_s, base_hz, gain = _between(draws, (0.4, 0.8), (0.12, 0.2), (280, 480), (0.2, 0.5))
    u = _since_event(draws, grid, interval_s, jitter=0.3) / bark_s
    pitch_hz = base_hz * (1 + 0.5 * jnp.sin(np.pi * jnp.clip(u, 0, 1)))
    voice = _voice(pitch_hz, grid, _formants(grid, (700, 1400, 2600), (250, 400, 600)))
    return _pulse(u, attack=0.1) * (voice + gain * _band_noise(draws.noise[0], grid, 500, 3000))


def _rooster(draws: _Draws, grid: _Grid) -> Samples:
    """Crows: three short syllables, then a long one that rises and falls."""
    base_hz, crow_s, start = _between(draws, (450, 650), (1.6, 2.2), (0, 0.3))
    u = 1.3 * _fraction(grid.time_s / (1.3 * crow_s) + start)
    melody = np.array([[0, 0.15, 0.3, 0.45, 0.6, 0.8, 1], [1, 1.3, 1.4, 1.3, 1.9, 1.7, 1.1]], np.float32)
    voice = _voice(base_hz * jnp.interp(u, *melody), grid, _formants(grid, (1200, 2400, 3800), (500, 700, 900)))
    syllables = ((0.0, 0.13), (0.16, 0.28), (0.31, 0.4), (0.43, 1.0))
    envelope = sum(
        (_pulse((u - start) / (end - start), attack=0.2) for start, end in syllables), jnp.zeros(grid.samples)
    )
    return envelope * (voice + 0.1 * _band_noise(draws.noise[0], grid, 1500, 5000))


def _clock_tick(draws: _Draws, grid: _Grid) -> Samples:
    """Regular clicks of a small wooden case, every second one lower."""
    rate_hz, start, center_hz, ratio = _between(draws, (2, 5), (0, 1), (2500, 4500), (0.6, 0.85))
    count = jnp.floor(grid.time_s * rate_hz + start)
    click, odd = jnp.diff(count, prepend=count[:1]), count % 2
    tick = _filter(click * odd, _resonance(grid, center_hz, 0.004))
    tock = _filter(click * (1 - odd), _resonance(grid, center_hz * ratio, 0.005))
    return tick + tock


def _sneeze(draws: _Draws, grid: _Grid) -> Samples:
    """Breath drawn in with rising noise, then a burst of noise that ends in a short voice."""
    period_s, start, inhale_s, burst_s, base_hz = _between(
        draws, (1.8, 2.6), (0, 0.2), (0.4, 0.7), (0.2, 0.35), (180, 320)
    )
    time_s = period_s * _fraction(grid.time_s / period_s + start)
    after_s = time_s - inhale_s - 0.05
    inhale = jnp.where(time_s < inhale_s, (time_s / inhale_s) ** 2, 0.0)
    pitch_hz = base_hz * (1 - 0.2 * jnp.clip(after_s / 0.3, 0, 1))
    voice = _voice(pitch_hz, grid, _formants(grid, (600, 1200, 2500), (150, 300, 400)))
    soft, sharp = _band_noise(draws.noise[0], grid, 600, 2500), _band_noise(draws.noise[1], grid, 1500, 8000)
    burst, vowel = _pulse(after_s / burst_s, attack=0.05), _pulse((after_s - 0.05) / 0.3, attack=0.2)
    return 0.15 * inhale * soft + burst * sharp + 0.7 * vowel * voice


def _helicopter(draws: _Draws, grid: _Grid) -> Samples:
    """Low noise chopped by the blades, with the hum of the engine."""
    rate_hz, start, hum_hz = _between(draws, (10, 18), (0, 1), (350, 600))
    chop = jnp.exp(-5 * _fraction(rate_hz * grid.time_s + start))
    thump = _band_noise(chop * draws.noise[0], grid, 40, 400)
    air = _unit(chop * _band_noise(draws.noise[1], grid, 400, 2500))
    hum = _voice(jnp.full(grid.samples, hum_hz), grid, _formants(grid, (500,), (300,)))
    return thump + 0.35 * air + 0.1 * hum


def _chainsaw(draws: _Draws, grid: _Grid) -> Samples:
    """Buzz of a two-stroke engine that revs up and down, with the noise of the chain."""
    base_hz, period_s, start = _between(draws, (80, 140), (1.5, 4), (0, 1))
    rev = 0.5 + 0.5 * jnp.sin(2 * np.pi * (grid.time_s / period_s + start))
    pitch_hz = base_hz * (1 + 0.4 * rev + 0.02 * _band_noise(draws.noise[0], grid, 2, 30))
    engine = _voice(pitch_hz, grid, _formants(grid, (500, 1500, 3500), (400, 1000, 2000)))
    return (0.6 + 0.4 * rev) * (engine + 0.4 * _band_noise(draws.noise[1], grid, 1500, 7000))


def _crying_baby(draws: _Draws, grid: _Grid) -> Samples:
    """Wails of about a second, with a high, trembling pitch that rises and falls, and gaps between them."""
    interval_s, base_hz, tremble_hz = _between(draws, (0.9, 1.5), (350, 480), (5, 8))
    u = _since_event(draws, grid, interval_s, jitter=0.1) / (0.75 * interval_s)
    vibrato = 1 + 0.02 * jnp.sin(2 * np.pi * tremble_hz * grid.time_s)
    pitch_hz = base_hz * (1 + 0.35 * jnp.sin(np.pi * jnp.clip(u, 0, 1))) * vibrato
    voice = _voice(pitch_hz, grid, _formants(grid, (1000, 2800, 4200), (400, 600, 800)))
    return _pulse(u, attack=0.3) * (voice + 0.05 * _band_noise(draws.noise[0], grid, 1000, 5000))


_FUNCTIONS = {
    "rain": _rain,
    "sea_waves": _sea_waves,
    "crackling_fire": _crackling_fire,
    "dog_bark": _dog_bark,
    "rooster": _rooster,
    "clock_tick": _clock_tick,
    "sneeze": _sneeze,
    "helicopter": _helicopter,
    "chainsaw": _chainsaw,
    "crying_baby": _crying_baby,
}
CLASSES = tuple(_FUNCTIONS)


def _draw(key: RandomKey, samples: int) -> _Draws:
    """Draw the random numbers of a clip of `samples` samples."""
    keys = jax.random.split(key, 3)
    numbers = jax.random.uniform(keys[0], (1 + _NUMBERS + _EVENTS,))
    return _Draws(
        numbers[0],
        numbers[1 : 1 + _NUMBERS],
        numbers[1 + _NUMBERS :],
        jax.random.normal(keys[1], (2, samples)),
        jax.random.exponential(keys[2], (samples,)),
    )


def _between(draws: _Draws, *ranges: tuple[Number, Number]) -> list[Scalar]:
    """Return one random number in each range (low, high), uniform within it."""
    return [low + (high - low) * draws.numbers[i] for i, (low, high) in enumerate(ranges)]


def _band_noise(noise: Samples, grid: _Grid, low_hz: Number, high_hz: Number) -> Samples:
    """Filter noise with a band-pass filter, and scale it to a root mean square of 1."""
    # Both slopes fall by 12 dB per octave.
    gain = 1 / np.sqrt((1 + (low_hz / np.maximum(grid.hz, 1e-3)) ** 4) * (1 + (grid.hz / high_hz) ** 4))
    return _unit(_filter(noise, gain))


def _impulses(draws: _Draws, rate_hz: Scalar, grid: _Grid) -> Samples:
    """Return single samples at random times, on average `rate_hz` a second, with exponentially distributed heights."""
    # The excess over a threshold is again exponentially distributed, so one number decides on both time and height.
    return jnp.maximum(draws.heights + jnp.log(rate_hz / grid.sample_rate), 0.0)


def _since_event(draws: _Draws, grid: _Grid, interval_s: Scalar, *, jitter: float) -> Samples:
    """Return the time since the last event in seconds; negative before a late event.

    Events are `interval_s` apart, and each is late by up to `jitter * interval_s`.
    """
    count = grid.time_s / interval_s
    late = jitter * draws.delays[jnp.floor(count).astype(int) % _EVENTS]
    return interval_s * (_fraction(count) - late)


def _pulse(u: Samples, *, attack: float) -> Samples:
    """Compute an envelope that rises from 0 at `u = 0` to 1 at `u = attack`, and falls to 0 at `u = 1`."""
    inside = jnp.clip(u, 0.0, 1.0)
    return jnp.sin(np.pi / 2 * jnp.minimum(inside / attack, (1 - inside) / (1 - attack)))


def _voice(pitch_hz: Samples, grid: _Grid, formants: Gain) -> Samples:
    """Synthesize a sound of 30 harmonics with the given pitch over time, filtered by formants.

    Its root mean square is 1.
    """
    # XLA must not inline this call, so that it compiles the harmonics once for all classes.
    with set_xla_metadata(inlineable="false"):
        buzz = _buzz(pitch_hz / grid.sample_rate)
    return _unit(_filter(buzz, formants))


@jax.jit
def _buzz(frequency: Samples) -> Samples:
    """Compute a sum of 30 harmonics with decreasing amplitudes; the frequency is in periods per sample."""
    # Phases are fractions of a turn in unsigned integers, which wrap exactly, also when multiplied by the harmonic.
    phase = jnp.cumsum((frequency * 2.0**32).astype(jnp.uint32), dtype=jnp.uint32)

    def add_harmonic(k: Int[Array, ""], total: Samples) -> Samples:
        turns = (phase * k.astype(jnp.uint32)).astype(jnp.int32).astype(jnp.float32) * 2.0**-32
        order = k.astype(jnp.float32)
        audible = order * frequency < 0.45
        return total + jnp.where(audible, jnp.sin(2 * np.pi * turns) / jnp.sqrt(order), 0.0)

    return jax.lax.fori_loop(1, _HARMONICS + 1, add_harmonic, jnp.zeros(len(frequency)))


def _filter(wave: Samples, gain: Gain) -> Samples:
    """Multiply the spectrum of a wave by a gain; the wave is treated as periodic."""
    return jnp.fft.irfft(jnp.fft.rfft(wave) * jnp.asarray(gain, jnp.complex64), len(wave))


def _resonance(grid: _Grid, center_hz: Scalar, decay_s: float) -> Gain:
    """Compute the gain of a resonance, which turns an impulse into a sine that decays by 1/e in `decay_s`."""
    offset = 2 * np.pi * decay_s * (grid.hz - center_hz)
    return jax.lax.complex(1 / (1 + offset**2), -offset / (1 + offset**2))


def _formants(grid: _Grid, centers_hz: tuple[Number, ...], widths_hz: tuple[Number, ...]) -> Gain:
    """Compute the gain of resonances of a vocal tract, in decreasing order of strength, over a weak background."""
    resonances = [1 / (1 + ((grid.hz - c) / w) ** 2) for c, w in zip(centers_hz, widths_hz, strict=True)]
    return sum((x / (i + 1) for i, x in enumerate(resonances)), 0.02 / (1 + grid.hz / 2000))


def _fraction(x: Samples) -> Samples:
    return x - jnp.floor(x)


def _unit(wave: Samples) -> Samples:
    """Scale a wave to a root mean square of 1."""
    return safe.divide(wave, safe.sqrt(jnp.mean(wave**2)))


def _to_peak(wave: Samples) -> Samples:
    """Scale a wave to a peak of 1."""
    return safe.divide(wave, jnp.max(jnp.abs(wave)))
