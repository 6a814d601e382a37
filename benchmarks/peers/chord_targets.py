"""python -m benchmarks.peers.chord_targets: digits to conditioned spectrograms, one at a time, with SciPy."""

import numpy as np
from jaxtyping import Float

from benchmarks.peers import timing

SIZE = 1008


def target(digit: Float[np.ndarray, "28 28"], label: int, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """Section 2 of the chord paper: upscaled, weighted, three rows kept, smeared, noise multiplied in, min-max."""
    from scipy import ndimage

    picture = ndimage.zoom(digit, SIZE / 28, order=1, mode="nearest", grid_mode=True)
    envelope = picture.mean(axis=0, keepdims=True)
    picture = np.repeat(envelope, SIZE, axis=0)
    picture *= normal(np.arange(SIZE), 110.0, 400.0)[:, None] * normal(np.arange(SIZE), 504.0, 250.0)[None, :]
    f0 = round(27.5 * 2 ** (label / 12))
    kept = np.zeros((SIZE, SIZE))
    for row in (f0, int(1.25 * f0), int(1.5 * f0)):
        kept[row] = picture[row]
    kept = ndimage.gaussian_filter1d(kept, 2.0, axis=0)
    kept = ndimage.gaussian_filter1d(kept, 20.0, axis=1)
    noise = perlin(rng) + 20.0
    kept = kept * (noise / noise.max())
    return (kept - kept.min()) / (kept.max() - kept.min() + 1e-8)


def normal(x: np.ndarray, mean: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def perlin(rng: np.random.Generator, cells: int = 24) -> Float[np.ndarray, "size size"]:
    """Gradient noise with a quintic fade, corner by corner."""
    angle = rng.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    gradients = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    position = np.arange(SIZE) * cells / SIZE
    line = position.astype(int)
    share = position - line
    fade = share**3 * (share * (share * 6 - 15) + 10)

    def corner(dy: int, dx: int) -> np.ndarray:
        towards = gradients[line[:, None] + dy, line[None, :] + dx]
        return towards[..., 0] * (share - dy)[:, None] + towards[..., 1] * (share - dx)[None, :]

    above = corner(0, 0) * (1 - fade) + corner(0, 1) * fade
    below = corner(1, 0) * (1 - fade) + corner(1, 1) * fade
    return np.sqrt(2) * (above * (1 - fade)[:, None] + below * fade[:, None])


def main() -> None:
    args = timing.arguments("conditioned targets with SciPy", batch=8)
    rng = np.random.default_rng(0)
    digits, labels = rng.random((args.batch, 28, 28)), rng.integers(0, 10, args.batch)
    timing.report(
        "scipy",
        "targets",
        lambda: np.stack([target(x, int(y), rng) for x, y in zip(digits, labels, strict=True)]),
        args.batch,
        args.repeats,
    )


if __name__ == "__main__":
    main()
