"""python -m benchmarks.peers.chord_targets: target spectrograms of the chord paper with SciPy, one digit at a time."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SIZE = 1008


def make_target(
    digit: Float[np.ndarray, "28 28"], label: int, rng: np.random.Generator
) -> Float[np.ndarray, "size size"]:
    """Compute the target spectrogram of a digit, in [0, 1] (chord paper, section 2).

    The digit is upscaled and averaged over rows, and every row becomes this average. Rows and columns are weighted by
    normal densities. The three rows of a major triad are kept, blurred, multiplied by noise, and scaled to [0, 1].

    Args:
      digit: image in [0, 1].
      label: label of the digit: the number of semitones from A0 to the root of the triad.
      rng: source of the noise.
    """
    from scipy import ndimage

    picture = ndimage.zoom(digit, SIZE / 28, order=1, mode="nearest", grid_mode=True)
    envelope = picture.mean(axis=0, keepdims=True)
    picture = np.repeat(envelope, SIZE, axis=0)
    by_row, by_column = normal_density(np.arange(SIZE), 110.0, 400.0), normal_density(np.arange(SIZE), 504.0, 250.0)
    picture *= by_row[:, None] * by_column[None, :]
    f0 = round(27.5 * 2 ** (label / 12))
    target = np.zeros((SIZE, SIZE))
    for row in (f0, int(1.25 * f0), int(1.5 * f0)):
        target[row] = picture[row]
    target = ndimage.gaussian_filter1d(target, 2.0, axis=0)
    target = ndimage.gaussian_filter1d(target, 20.0, axis=1)
    noise = perlin_noise(rng) + 20.0
    target = target * (noise / noise.max())
    return (target - target.min()) / (target.max() - target.min() + 1e-8)


def normal_density(x: np.ndarray, mean: float, sigma: float) -> np.ndarray:
    """Compute the density of the normal distribution at `x`."""
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def perlin_noise(rng: np.random.Generator, cells: int = 24) -> Float[np.ndarray, "size size"]:
    """Draw Perlin noise with a quintic fade, in [-1, 1], on a lattice of `cells` x `cells` cells."""
    angle = rng.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    gradients = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    position = np.arange(SIZE) * cells / SIZE
    cell = position.astype(int)
    offset = position - cell
    fade = offset**3 * (offset * (offset * 6 - 15) + 10)

    def corner(dy: int, dx: int) -> np.ndarray:
        """Compute the noise that one corner of each cell contributes to the pixels of the cell.

        It is the dot product of the corner's gradient with the vector from the corner to the pixel.
        """
        gradient = gradients[cell[:, None] + dy, cell[None, :] + dx]
        return gradient[..., 0] * (offset - dy)[:, None] + gradient[..., 1] * (offset - dx)[None, :]

    top = corner(0, 0) * (1 - fade) + corner(0, 1) * fade
    bottom = corner(1, 0) * (1 - fade) + corner(1, 1) * fade
    return np.sqrt(2) * (top * (1 - fade)[:, None] + bottom * fade[:, None])


def main() -> None:
    args = timing.parse_arguments("conditioned targets with SciPy", batch=8)
    rng = np.random.default_rng(0)
    digits, labels = rng.random((args.batch, 28, 28)), rng.integers(0, 10, args.batch)
    timing.run(
        "scipy",
        "targets",
        lambda: np.stack([make_target(digit, int(label), rng) for digit, label in zip(digits, labels, strict=True)]),
        args.batch,
        args.repeats,
    )


if __name__ == "__main__":
    main()
