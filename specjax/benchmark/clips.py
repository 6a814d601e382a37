"""Sounds that ours and theirs are timed on and judged by."""

import numpy as np
from jaxtyping import Float


def tones(batch: int, seconds: float, sample_rate: int) -> Float[np.ndarray, "batch samples"]:
    """Notes of a few partials that fade twice a second, and a little noise: what inversion is for."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    fade = np.exp(-3 * (2 * time % 1))
    waves = [
        sum(np.sin(2 * np.pi * f0 * k * time + rng.uniform(0, 6)) / k for k in range(1, 8)) * fade
        for f0 in rng.uniform(80, 500, batch)
    ]
    return (0.1 * np.stack(waves) + 1e-3 * rng.standard_normal((batch, len(time)))).astype(np.float32)
