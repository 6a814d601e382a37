"""python -m benchmarks.peers.chord_sound: spectrograms to sounds, a loop over rows, with NumPy."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SIZE, SAMPLE_RATE = 1008, 44100


def sound(picture: Float[np.ndarray, "size size"], phases: Float[np.ndarray, " size"]) -> Float[np.ndarray, " samples"]:
    """Section 5 of the chord paper: one sine a row, as loud as the row's levels over time."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    centres = (np.arange(SIZE) + 0.5) / SIZE
    wave = np.zeros(SAMPLE_RATE)
    for row in range(SIZE):
        wave += np.interp(t, centres, picture[row]) * np.sin(2 * np.pi * row * t + phases[row])
    return wave


def main() -> None:
    args = timing.arguments("sounds of spectrograms with NumPy", batch=4)
    rng = np.random.default_rng(0)
    pictures = rng.random((args.batch, SIZE, SIZE))
    phases = rng.uniform(0, 2 * np.pi, (args.batch, SIZE))
    timing.report(
        "numpy",
        "sound",
        lambda: np.stack([sound(a, p) for a, p in zip(pictures, phases, strict=True)]),
        args.batch,
        args.repeats,
    )


if __name__ == "__main__":
    main()
