"""Inverting a sound file while it is read."""

import math
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.data import audio
from specjax.signal.phase import streaming
from specjax.signal.stft import Stft, magnitude

_REPORT_S = 10.0  # of sound, from one report to the next
_SETTLED = 100  # hops after which everything is compiled and allocated

Hop = Float[np.ndarray, " hop_length"]


class StreamResult(NamedTuple):
    """Of a stream: how long it was, how late it came, at which part of real time, and by what memory grew on the way.

    Reading and writing are counted in. Memory is not known (nan) of what ends before it has settled. `clipped` samples
    were louder than a file holds.
    """

    seconds: float
    sample_rate: int
    delay_ms: float
    real_time_factor: float
    slowest_ms: float
    memory_growth_mb: float
    clipped: int


def stream(path: Path, out: Path, transform: Stft, method: str, report: Callable[[float], None]) -> StreamResult:
    """Invert a sound file while it is read, into a WAV file as long: magnitudes hop by hop, phases made anew.

    Args:
      report: is told now and then how many seconds are done.

    Raises:
      UserError: the file is refused by its gate, or `out` cannot be written.
    """
    import soundfile

    transform = replace(transform, center=False)
    hop = transform.hop_length
    rate, blocks = audio.audio_blocks(path, hop)
    # What comes out first lies before the sound; what has not come out when the sound ends, silence pushes out.
    late = streaming.delay_samples(transform, method) - hop
    read = made = clipped = 0
    took_s = slowest_s = 0.0
    before_mb = math.nan

    def hops() -> Iterator[Hop]:
        nonlocal read
        for block in blocks:
            read += len(block)
            yield np.pad(block, (0, hop - len(block)))
        yield from repeat(np.zeros(hop, np.float32), -(-late // hop))

    try:
        with (
            files.atomic_file(out) as partial,
            soundfile.SoundFile(partial, "w", rate, 1, "PCM_16", format="WAV") as file,
        ):
            tick = _Tick(transform, method)
            begin = time.perf_counter()
            for block in hops():
                sound = tick(block)[max(late - made, 0) : max(read - made + late, 0)]
                clipped += int(np.sum(np.abs(sound) > 1))
                file.write(np.clip(sound, -1.0, 1.0))
                made += hop
                now = time.perf_counter()
                took_s, slowest_s, begin = took_s + now - begin, max(slowest_s, now - begin), now
                if made == _SETTLED * hop:
                    before_mb = _peak_memory_mb()
                if made // hop % max(round(_REPORT_S * rate / hop), 1) == 0:
                    report(made / rate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{out} cannot be written ({error}): make room, or choose another place") from error
    return StreamResult(
        seconds=read / rate,
        sample_rate=rate,
        delay_ms=1e3 * (late + hop) / rate,
        real_time_factor=took_s * rate / made,
        slowest_ms=1e3 * slowest_s,
        memory_growth_mb=_peak_memory_mb() - before_mb,
        clipped=clipped,
    )


class _Tick:
    """A hop of sound for every hop that is heard; compiled when it is made."""

    def __init__(self, transform: Stft, method: str) -> None:
        @jax.jit
        def tick(
            heard: Float[Array, " n_fft"], state: streaming.Stream, newest: Float[Array, " hop"]
        ) -> tuple[Array, streaming.Stream, Array]:
            heard = jnp.concatenate([heard, newest])[transform.hop_length :]
            state, sound = streaming.advance(state, magnitude(heard, transform)[:, 0], transform, method)
            return heard, state, sound

        self._tick = tick
        self._heard = jnp.zeros(transform.n_fft)
        self._state = streaming.begin(jnp.zeros(transform.bins), transform, method)
        jax.block_until_ready(tick(self._heard, self._state, jnp.zeros(transform.hop_length)))

    def __call__(self, newest: Hop) -> Hop:
        self._heard, self._state, sound = self._tick(self._heard, self._state, jnp.asarray(newest))
        return np.asarray(sound)


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
