"""Inverting a sound file while it is read."""

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

from specjax.data import audio
from specjax.errors import Refusal
from specjax.signal.phase import streaming
from specjax.signal.stft import Stft, magnitude


class Streamed(NamedTuple):
    """Of a stream: what came out, how late, at which part of real time, and what memory grew by on the way."""

    seconds: float
    delay_ms: float
    real_time_factor: float
    slowest_ms: float
    memory_growth_mb: float


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


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
