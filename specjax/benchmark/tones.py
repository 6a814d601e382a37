"""Synthetic audio clips for the benchmarks of specjax and of the libraries that it is compared with."""

import numpy as np
from jaxtyping import Float


def make_tones(batch: int, duration_s: float, sample_rate: int) -> Float[np.ndarray, "batch samples"]:
    """Synthesize clips of decaying harmonic tones with a little noise, as input of benchmarks.

    Each clip repeats one note twice a second. The note is the sum of the first seven harmonics of a random fundamental
    frequency between 80 and 500 Hz. The random seed is fixed, so equal arguments give equal clips.

    Args:
      batch: number of clips.
      duration_s: duration of each clip in seconds.
      sample_rate: sample rate in Hz.
    """
    rng = np.random.default_rng(0)
    time = np.arange(round(duration_s * sample_rate)) / sample_rate
    envelope = np.exp(-3 * (2 * time % 1))
    waves = [
        sum(np.sin(2 * np.pi * f0 * k * time + rng.uniform(0, 6)) / k for k in range(1, 8)) * envelope
        for f0 in rng.uniform(80, 500, batch)
    ]
    return (0.1 * np.stack(waves) + 1e-3 * rng.standard_normal((batch, len(time)))).astype(np.float32)
