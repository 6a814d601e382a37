"""Streaming inversion: read a sound file hop by hop, discard its phases, and reconstruct sound from the magnitudes.

Each hop is processed before the next one is read, as in a real-time application.
"""

import math
import resource
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from specjax.cli import files, outputs
from specjax.cli.errors import UserError
from specjax.data import audio
from specjax.signal.phase import streaming
from specjax.signal.short_time_fourier import Stft, magnitude

_REPORT_S = 10.0  # Seconds of sound between two progress reports.
_WARMUP_HOPS = 100  # Hops after which everything is compiled and allocated.

Hop = Float[np.ndarray, "channels hop_length"]


class StreamResult(NamedTuple):
    """Measurements taken while a sound was streamed.

    Attributes:
      duration_s: duration of the sound, in seconds.
      sample_rate: sample rate in Hz.
      channels: number of channels, 1 or 2.
      latency_ms: delay from input to output in ms, without computing time. It is the length of one frame, plus one hop
        per frame of look-ahead of the phase reconstruction method.
      real_time_factor: processing time divided by duration. Reading and writing files are included.
      slowest_ms: longest time spent on one hop, in ms.
      memory_growth_mb: growth of the process's peak memory after the first 100 hops, in MB; nan for a shorter sound.
      clipped: number of output samples outside [-1, 1], which were clipped.
    """

    duration_s: float
    sample_rate: int
    channels: int
    latency_ms: float
    real_time_factor: float
    slowest_ms: float
    memory_growth_mb: float
    clipped: int


def stream(path: Path, out: Path, transform: Stft, method: str, report: Callable[[float], None]) -> StreamResult:
    """Reconstruct a sound file from its STFT magnitudes while it is read, and write a WAV file of the same length.

    One or two channels are kept; more than two are mixed to one.

    Args:
      path: sound file to read.
      out: 16-bit WAV file to write.
      transform: parameters of the STFT. Its `center` is ignored: frames are never centered.
      method: phase reconstruction method, a key of `specjax.signal.phase.streaming.METHODS`.
      report: progress callback, called every `_REPORT_S` seconds of sound with the number of seconds processed so far.

    Raises:
      UserError: the sound file is not valid, or `out` cannot be written.
    """
    import soundfile

    transform = transform.without_centering()
    hop = transform.hop_length
    rate, channels, blocks = audio.channel_blocks(path, hop)
    # The first `delay` samples of the output precede the sound and are dropped. The last samples of the sound come out
    # while hops of silence are appended to the input.
    delay = streaming.delay_samples(transform, method) - hop
    samples_read = samples_out = clipped = 0
    elapsed_s = slowest_s = 0.0
    before_mb = math.nan

    def read_hops() -> Iterator[Hop]:
        nonlocal samples_read
        for block in blocks:
            length = block.shape[1]
            samples_read += length
            yield np.pad(block, ((0, 0), (0, hop - length)))
        yield from repeat(np.zeros((channels, hop), np.float32), -(-delay // hop))

    try:
        with (
            outputs.atomic_file(out) as partial,
            soundfile.SoundFile(partial, "w", rate, channels, "PCM_16", format="WAV") as file,
        ):
            process_hop = _HopProcessor(transform, method, channels)
            begin = time.perf_counter()
            for block in read_hops():
                end = max(samples_read - samples_out + delay, 0)
                sound = process_hop(block)[:, max(delay - samples_out, 0) : end]
                clipped += int(np.sum(np.abs(sound) > 1))
                file.write(files.to_int16(sound).T)
                samples_out += hop
                now = time.perf_counter()
                elapsed_s, slowest_s, begin = elapsed_s + now - begin, max(slowest_s, now - begin), now
                if samples_out == _WARMUP_HOPS * hop:
                    before_mb = _peak_memory_mb()
                if samples_out // hop % max(round(_REPORT_S * rate / hop), 1) == 0:
                    report(samples_out / rate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{out} cannot be written ({error}): free some space, or choose another file") from error
    return StreamResult(
        duration_s=samples_read / rate,
        sample_rate=rate,
        channels=channels,
        latency_ms=1e3 * (delay + hop) / rate,
        real_time_factor=elapsed_s * rate / samples_out,
        slowest_ms=1e3 * slowest_s,
        memory_growth_mb=_peak_memory_mb() - before_mb,
        clipped=clipped,
    )


class _HopProcessor:
    """Callable that takes the next hop of a sound and returns a hop of sound reconstructed from STFT magnitudes.

    The output lags behind the input by `streaming.delay_samples(transform, method) - transform.hop_length` samples. The
    object keeps its state between calls, so the hops must be passed in order.
    """

    def __init__(self, transform: Stft, method: str, channels: int) -> None:
        @jax.jit
        def step(
            frame: Float[Array, "channels n_fft"], state: streaming.Stream, newest: Float[Array, "channels hop"]
        ) -> tuple[Array, streaming.Stream, Array]:
            frame = jnp.concatenate([frame, newest], axis=-1)[:, transform.hop_length :]
            state, sound = streaming.advance(state, magnitude(frame, transform)[..., 0], transform, method)
            return frame, state, sound

        self._step = step
        self._frame = jnp.zeros((channels, transform.n_fft))
        self._state = streaming.begin(jnp.zeros((channels, transform.bins)), transform, method)
        jax.block_until_ready(step(self._frame, self._state, jnp.zeros((channels, transform.hop_length))))

    def __call__(self, newest: Hop) -> Hop:
        self._frame, self._state, sound = self._step(self._frame, self._state, jnp.asarray(newest))
        return np.asarray(sound)


def _peak_memory_mb() -> float:
    """Return the peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
