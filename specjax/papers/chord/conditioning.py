"""From a 28x28 digit to its target spectrogram (chord paper, section 2), as matrix products.

Upscaling, Gaussian weighting, row selection, smearing and smoothing are all linear and separable, and few rows are
kept. So sections 2.1 to 2.4 are four small matrices, made once on the host: `spread @ (select @ digit @ time.T)`,
where `select` picks the chord's lines out of the digit, `time` upscales, fades and smears them, and `spread` weights
them and puts them at their rows. Perlin noise (2.5) is a small product too; only normalisation (2.6) is not linear.

Units: digits and targets are float32 in [0, 1]; row r stands for r Hz, columns for equal slices of the sound;
standard deviations are in rows or columns of the target.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.batching import map_examples
from specjax.image import linear, perlin
from specjax.papers.chord import theory

DIGIT_SIZE = 28
Digit = Float[Array, "28 28"]
Target = Float[Array, "size columns"]


@dataclass(frozen=True)
class Conditioning:
    """Every number of section 2. The paper leaves most of them out; the defaults are its authors' own.

    carry: what the kept rows carry along time. `pixels`: the literal formula, the upscaled digit's own row. A
      digit's top margin is blank and digits' chords lie in rows 27 to 69, within the top two rows of 28, so
      the literal `triad` selects nothing. `envelope`: every kept row carries the digit's mean over rows, which
      keeps the likeness the paper is after.
    """

    size: int = 1008
    base_hz: float = theory.A0_HZ
    resampling: str = "bilinear"  # section 2.1; the authors' is `fft`
    quantise: bool = False  # round the upscaled digit to 256 levels and clip it, as the authors' image files do
    row_mean: float = 110.0  # section 2.2
    row_sigma: float = 400.0
    fade_mean: float = 504.0
    fade_sigma: float = 250.0
    partials: str = "triad"  # section 2.3
    carry: str = "envelope"
    smear_rows: float = 2.0  # section 2.4
    smear_columns: float = 20.0
    smooth: float = 0.0
    noise_cells: tuple[int, int] = (24, 24)  # section 2.5
    noise_octaves: int = 1
    noise_dilution: float = 20.0
    noise_fuzz: float = 0.0
    overlay: float = 0.0
    overlay_cells: tuple[int, int] = (24, 2)
    overlay_dilution: float = 20.0
    epsilon: float = 1e-8  # section 2.6

    def __post_init__(self) -> None:
        if self.partials not in theory.PARTIALS:
            raise ValueError(
                f"conditioning.partials={self.partials!r} is unknown: choose one of {', '.join(theory.PARTIALS)}"
            )
        if self.resampling not in linear.RESAMPLING:
            raise ValueError(
                f"conditioning.resampling={self.resampling!r} is unknown: choose one of {', '.join(linear.RESAMPLING)}"
            )
        if self.carry not in ("envelope", "pixels"):
            raise ValueError(f"conditioning.carry={self.carry!r} is unknown: choose envelope or pixels")
        if self.size < DIGIT_SIZE:
            raise ValueError(f"conditioning.size={self.size}: a target is at least {DIGIT_SIZE} rows")
        if self.base_hz <= 0 or self.epsilon <= 0:
            raise ValueError("conditioning.base_hz and epsilon must be above 0")
        if min(*self.noise_cells, *self.overlay_cells, self.noise_octaves) < 1:
            raise ValueError("conditioning.noise_cells, overlay_cells and noise_octaves must be at least 1")
        if min(self.row_sigma, self.fade_sigma) <= 0:
            raise ValueError("conditioning.row_sigma and fade_sigma must be above 0")
        if min(self.smear_rows, self.smear_columns, self.smooth, self.noise_fuzz, self.overlay) < 0:
            raise ValueError("conditioning: smears, smooth, noise_fuzz and overlay must not be negative")
        if self.noise_dilution <= 1 or self.overlay_dilution <= 1:
            raise ValueError("conditioning: dilutions must exceed 1, the noise's amplitude")


@dataclass(frozen=True)
class Operators:
    """The linear stages as matrices; the first two by label and chord quality, `n` being the picture's side."""

    spread: Float[np.ndarray, "labels qualities size partials"]
    select: Float[np.ndarray, "labels qualities partials n"]
    time: Float[np.ndarray, "columns n"]
    upscale: Float[np.ndarray, "size 28"]


def operators(
    conditioning: Conditioning,
    labels: int = 10,
    qualities: tuple[str, ...] = ("major",),
    columns: int | None = None,
) -> Operators:
    """Matrices of sections 2.1 to 2.4 for every chord of `labels` and `qualities`.

    Args:
      columns: of the target; None for as many as rows. Fewer, a divisor of them, are means over neighbours.

    Raises:
      ValueError: a label's chord reaches past the last row, a name is unknown, or `columns` is no divisor.
    """
    c = conditioning
    rows = {
        (label, q): theory.partial_rows(label, quality, c.partials, c.size, c.base_hz)
        for label in range(labels)
        for q, quality in enumerate(qualities)
    }
    upscale = linear.resample_matrix(DIGIT_SIZE, c.size, c.resampling)
    # A quantised digit is upscaled first (rounding does not commute); otherwise upscaling is part of the matrices.
    to_picture = np.eye(c.size, dtype=np.float32) if c.quantise else upscale
    lines = np.full_like(to_picture, 1 / to_picture.shape[1]) if c.carry == "envelope" else to_picture
    # Both densities are tiny; their scale is undone by the last normalisation, so it is taken out at once.
    weight = _peak_one(linear.normal_density(c.size, c.row_mean, c.row_sigma))
    fade = _peak_one(linear.normal_density(c.size, c.fade_mean, c.fade_sigma))
    smear = _smear(c.size, c.smear_rows, c.smooth)
    most = max(map(len, rows.values()))
    spread = np.zeros((labels, len(qualities), c.size, most), np.float32)
    select = np.zeros((labels, len(qualities), most, to_picture.shape[1]), np.float32)
    for chord, kept in rows.items():
        spread[chord][:, : len(kept)] = smear[:, kept] * weight[kept]
        select[chord][: len(kept)] = lines[kept]
    time = _smear(c.size, c.smear_columns, c.smooth) @ (fade[:, None] * to_picture)
    return Operators(spread, select, linear.mean_pool(time, columns or c.size), upscale)


def smooth_spectrogram(
    ops: Operators, conditioning: Conditioning, digit: Digit, label: Int[Array, ""], quality: Int[Array, ""]
) -> Target:
    """Sections 2.1 to 2.4: upscaled, weighted, selected and smeared; not yet noisy nor normalised."""
    picture = digit
    if conditioning.quantise:
        upscaled = linear.separable(ops.upscale, digit, ops.upscale)
        picture = jnp.round(jnp.clip(upscaled, 0.0, 1.0) * 255.0) / 255.0
    lines = jnp.asarray(ops.select)[label, quality] @ picture @ ops.time.T
    return jnp.asarray(ops.spread)[label, quality] @ lines


def noise_field(key: Key[Array, ""], conditioning: Conditioning, columns: int | None = None) -> Target:
    """Section 2.5: the field multiplied in. Perlin noise lifted by the dilution, over its maximum: in (0, 1]."""
    noise_key, fuzz_key = jax.random.split(key)
    c = conditioning
    shape = (c.size, columns or c.size)
    noise = perlin.random_noise(noise_key, shape, c.noise_cells, octaves=c.noise_octaves)
    if c.noise_fuzz:
        noise = noise + c.noise_fuzz * jax.random.uniform(fuzz_key, noise.shape)
    return _diluted(noise, c.noise_dilution)


def target(
    ops: Operators,
    conditioning: Conditioning,
    digit: Digit,
    label: Int[Array, ""],
    quality: Int[Array, ""],
    key: Key[Array, ""] | None,
) -> Target:
    """The conditioned spectrogram Y in [0, 1] of one digit (section 2, all stages).

    Args:
      ops: `operators(conditioning, ...)`.
      digit: picture in [0, 1], upright, ink bright.
      label, quality: indices into the tables of `ops`.
      key: randomness of the noise; None gives the noise-free target that metrics compare with.
    """
    c = conditioning
    spectrogram = smooth_spectrogram(ops, c, digit, label, quality)
    if key is not None:
        noise_key, overlay_key = jax.random.split(key)
        spectrogram = spectrogram * noise_field(noise_key, c, spectrogram.shape[1])
        if c.overlay:
            noise = perlin.random_noise(overlay_key, (c.size, spectrogram.shape[1]), c.overlay_cells)
            spectrogram = spectrogram + c.overlay * _diluted(noise, c.overlay_dilution)
    return min_max(spectrogram, c.epsilon)


def targets(
    ops: Operators,
    conditioning: Conditioning,
    digits: Float[Array, "batch 28 28"],
    labels: Int[Array, " batch"],
    qualities: Int[Array, " batch"],
    keys: Key[Array, " batch"] | None,
) -> Float[Array, "batch size columns"]:
    """`target` of each digit of a batch."""
    one = partial(target, ops, conditioning)
    if keys is None:
        return map_examples(lambda d, y, q: one(d, y, q, None))(digits, labels, qualities)
    return map_examples(one)(digits, labels, qualities, keys)


def min_max(x: Target, epsilon: float = 1e-8) -> Target:
    """Section 2.6: `x` moved and scaled to [0, 1]; a constant picture becomes 0."""
    low, high = jnp.min(x), jnp.max(x)
    return (x - low) / (high - low + epsilon)


def _diluted(noise: Target, dilution: float) -> Target:
    lifted = noise + dilution
    return lifted / jnp.max(lifted)


def _smear(size: int, smear: float, smooth: float) -> Float[np.ndarray, "size size"]:
    """Section 2.4: the 1-D smear and one factor of the separable 2-D smoothing."""
    smear_matrix = linear.gaussian_matrix(size, smear)
    return smear_matrix if smooth == 0 else linear.gaussian_matrix(size, smooth) @ smear_matrix


def _peak_one(density: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return density / density.max()
