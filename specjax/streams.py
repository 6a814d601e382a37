"""Inverting a sound file while it is read."""

import math
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.data import audio
from specjax.errors import Refusal
from specjax.signal.phase import streaming
from specjax.signal.stft import Stft, magnitude

_REPORT_S = 10.0  # of sound, from one report to the next
_SETTLED = 100  # hops after which everything is compiled and allocated

Hop = Float[np.ndarray, " hop_length"]


class Streamed(NamedTuple):
    """Of a stream: how long it was, how late it came, at which part of real time, and by what memory grew on the way.

    Memory is not known (nan) of what ends before it has settled.
    """

    seconds: float
    delay_ms: float
    real_time_factor: float
    slowest_ms: float
    memory_growth_mb: float


def stream(path: Path, out: Path, transform: Stft, method: str, report: Callable[[float], None]) -> Streamed:
    """Invert a sound file while it is read, into a WAV file as long: magnitudes hop by hop, phases made anew.

    Args:
      report: is told now and then how many seconds are done.

    Raises:
      Refusal: the file is refused by its gate, or `out` cannot be written.
    """
    import soundfile

    transform = replace(transform, center=False)
    hop = transform.hop_length
    rate, blocks = audio.audio_blocks(path, hop)
    # What comes out first lies before the sound; what has not come out when the sound ends, silence pushes out.
    late = streaming.delay_samples(transform, method) - hop
    partial = out.with_name(f".partial-{out.name}")
    read = made = 0
    took_s = slowest_s = 0.0
    before_mb = math.nan

    def hops() -> Iterator[Hop]:
        nonlocal read
        for block in blocks:
            read += len(block)
            yield np.pad(block, (0, hop - len(block)))
        yield from repeat(np.zeros(hop, np.float32), -(-late // hop))

    try:
        with soundfile.SoundFile(partial, "w", rate, 1, "PCM_16", format="WAV") as file:
            for number, (sound, seconds) in enumerate(_inverted(hops(), transform, method)):
                begins = number * hop - late
                file.write(np.clip(sound[max(-begins, 0) : max(read - begins, 0)], -1.0, 1.0))
                made += hop
                took_s, slowest_s = took_s + seconds, max(slowest_s, seconds)
                if number == _SETTLED:
                    before_mb = _peak_memory_mb()
                if (number + 1) % max(round(_REPORT_S * rate / hop), 1) == 0:
                    report(made / rate)
        partial.replace(out)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Refusal(f"{out} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return Streamed(
        seconds=read / rate,
        delay_ms=1e3 * (late + hop) / rate,
        real_time_factor=took_s * rate / made,
        slowest_ms=1e3 * slowest_s,
        memory_growth_mb=_peak_memory_mb() - before_mb,
    )


def _inverted(blocks: Iterable[Hop], transform: Stft, method: str) -> Iterator[tuple[Hop, float]]:
    """A hop of sound for each, and the seconds that it took to make."""
    n_fft, hop = transform.n_fft, transform.hop_length

    @jax.jit
    def tick(
        heard: Float[Array, " n_fft"], state: streaming.Stream, newest: Float[Array, " hop"]
    ) -> tuple[Array, streaming.Stream, Array]:
        heard = jnp.concatenate([heard, newest])[hop:]
        state, sound = streaming.advance(state, magnitude(heard, transform)[:, 0], transform, method)
        return heard, state, sound

    heard = jnp.zeros(n_fft)
    state = streaming.begin(jnp.zeros(transform.bins), transform, method)
    jax.block_until_ready(tick(heard, state, jnp.zeros(hop)))  # compiled before the clock runs
    for block in blocks:
        begin = time.perf_counter()
        heard, state, sound = tick(heard, state, jnp.asarray(block))
        made = np.asarray(sound)
        yield made, time.perf_counter() - begin


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
