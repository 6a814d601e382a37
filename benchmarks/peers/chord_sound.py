"""python -m benchmarks.peers.chord_sound: additive synthesis of spectrograms with NumPy, in a loop over rows."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SIZE, SAMPLE_RATE = 1008, 44100


def synthesize(
    picture: Float[np.ndarray, "size size"], phases: Float[np.ndarray, " size"]
) -> Float[np.ndarray, " samples"]:
    """Synthesize one second of sound from a spectrogram, as in section 5 of the chord paper.

    Row k is a sine of k Hz. Its amplitude is the row, interpolated linearly between the centers of the columns.

    Args:
      picture: amplitudes by row and column.
      phases: initial phase of each sine, in radians.
    """
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    centers = (np.arange(SIZE) + 0.5) / SIZE
    wave = np.zeros(SAMPLE_RATE)
    for row in range(SIZE):
        wave += np.interp(t, centers, picture[row]) * np.sin(2 * np.pi * row * t + phases[row])
    return wave


def main() -> None:
    args = timing.parse_arguments("additive synthesis with NumPy", batch=4)
    rng = np.random.default_rng(0)
    pictures = rng.random((args.batch, SIZE, SIZE))
    phases = rng.uniform(0, 2 * np.pi, (args.batch, SIZE))
    timing.run(
        "numpy",
        "sound",
        lambda: np.stack([synthesize(picture, phase) for picture, phase in zip(pictures, phases, strict=True)]),
        args.batch,
        args.repeats,
    )


if __name__ == "__main__":
    main()
