"""Target spectrogram of a 28x28 digit (chord paper, section 2), computed by matrix products.

The paper upscales the digit (2.1), weights it by Gaussians (2.2), keeps the rows of a chord (2.3), and blurs the result
("smearing", 2.4). All of this is linear and separable, and few rows are kept. So it reduces to three small matrices,
computed once on the host: `spread @ (select @ digit @ time.T)`.

- `select` takes the chord's rows from the digit.
- `time` upscales, fades and blurs them along time.
- `spread` weights them, and blurs each around its row of the target.

The Perlin noise that multiplies the result (2.5) is a small matrix product too. Only the normalization (2.6) is not
linear.

Units: digits and targets are float32 in [0, 1]. Row r of a target stands for r Hz, and columns for equal slices of the
sound. Standard deviations are in rows or columns of the target.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.arguments import check_arguments, check_indices
from specjax.arrays.batching import map_examples
from specjax.image import linear, perlin
from specjax.papers.chord import theory

DIGIT_SIZE = 28
MAX_SIZE = 4096  # matrices of size x size blur the targets
Digit = Float[Array, "28 28"]
Target = Float[Array, "size columns"]


@dataclass(frozen=True)
class Conditioning:
    """Settings for turning the 28x28 image of a digit into the spectrogram of a chord (chord paper, section 2).

    The steps are:

    1. Upscale the digit.
    2. Multiply it by a Gaussian weight over rows, and by one over columns.
    3. Keep only the rows that belong to the chord.
    4. Blur.
    5. Multiply by Perlin noise.
    6. Scale to [0, 1].

    Row r of the spectrogram stands for r Hz. Columns stand for time. All means and standard deviations are given in
    rows or columns of the spectrogram.

    size: number of rows of the spectrogram. By default, the number of columns is the same.
    base_hz: fundamental frequency of the chord of label 0, in Hz. Each further label is a semitone higher.
    resampling: interpolation method that upscales the digit, one of `image.linear.RESAMPLING`.
    quantise: whether to clip the upscaled digit to [0, 1] and round it to multiples of 1/255, as in an 8-bit image.
    row_mean, row_sigma: mean and standard deviation of the Gaussian weight over rows.
    fade_mean, fade_sigma: mean and standard deviation of the Gaussian weight over columns.
    partials: which rows belong to the chord, one of `theory.PARTIALS` (see `theory.partials_hz`).
    carry: where the content of a kept row comes from.
      `pixels`: the same row of the upscaled digit, as in the paper's formula. With `partials="triad"` the spectrogram
        is usually blank, because the rows of a chord fall into the blank margin above the digit.
      `envelope`: the mean of all rows of the digit. The loudness of the sound then follows the digit's brightness from
        left to right.
    smear_rows, smear_columns: standard deviations of the Gaussian blur across rows and across columns.
    smooth: standard deviation of a second Gaussian blur along both axes; 0 skips it.
    noise_cells: number of lattice cells of the Perlin noise along rows and along columns.
    noise_octaves: number of octaves of the Perlin noise.
    noise_dilution: constant above 1 that is added to the Perlin noise. A larger constant makes the noise weaker.
    noise_fuzz: amplitude of uniform noise that is added to the Perlin noise, independently in each pixel.
    overlay: amplitude of a second Perlin noise, which is added to the spectrogram after step 5; 0 adds none.
    overlay_cells, overlay_dilution: like `noise_cells` and `noise_dilution`, for the second Perlin noise.
    epsilon: small number that is added to the divisor in step 6, so that a blank spectrogram stays 0.
    """

    size: int = 1008
    base_hz: float = theory.A0_HZ
    resampling: str = "bilinear"  # section 2.1; the authors use `fft`
    quantise: bool = False
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
        if not DIGIT_SIZE <= self.size <= MAX_SIZE:
            raise ValueError(
                f"conditioning.size={self.size} is out of range: a target has from {DIGIT_SIZE} to {MAX_SIZE} rows"
            )
        if self.base_hz <= 0 or self.epsilon <= 0:
            raise ValueError(f"conditioning.base_hz={self.base_hz} and epsilon={self.epsilon} must be above 0")
        if min(*self.noise_cells, *self.overlay_cells, self.noise_octaves) < 1:
            raise ValueError(
                f"conditioning.noise_cells={self.noise_cells}, overlay_cells={self.overlay_cells} and "
                f"noise_octaves={self.noise_octaves} must be at least 1"
            )
        if min(self.row_sigma, self.fade_sigma) <= 0:
            raise ValueError(
                f"conditioning.row_sigma={self.row_sigma} and fade_sigma={self.fade_sigma} must be above 0"
            )
        if min(self.smear_rows, self.smear_columns, self.smooth, self.noise_fuzz, self.overlay) < 0:
            raise ValueError(
                f"conditioning.smear_rows={self.smear_rows}, smear_columns={self.smear_columns}, smooth={self.smooth}, "
                f"noise_fuzz={self.noise_fuzz} and overlay={self.overlay} must not be negative"
            )
        if self.noise_dilution <= 1 or self.overlay_dilution <= 1:
            raise ValueError(
                f"conditioning.noise_dilution={self.noise_dilution} and overlay_dilution={self.overlay_dilution} "
                "must exceed 1, the amplitude of the noise"
            )


@dataclass(frozen=True)
class Operators:
    """Matrices that turn the image of a digit into the spectrogram of a chord, by label and chord quality.

    Before noise and normalization, the spectrogram of shape (size, columns) is

        spread[label, quality] @ select[label, quality] @ image @ time.T

    `image` has the shape (n, n). If `Conditioning.quantise` is false, `image` is the digit, and n = 28. If it is true,
    `image` is the upscaled and rounded digit, and n = size.

    select: computes the rows of the chord from the rows of the image. Chords with fewer than `partials` rows are padded
      with rows of zeros.
    spread: weights the rows of the chord, places them in the spectrogram, and blurs them vertically.
    time: weights and blurs the image along its horizontal axis, which becomes time. If n = 28, it also upscales.
    upscale: upscales one axis of the digit from 28 to `size` points. Only needed if `Conditioning.quantise` is true.
    """

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
    """Compute the matrices that turn digits into spectrograms of chords, for every label and chord quality.

    They perform the linear steps (chord paper, sections 2.1 to 2.4): upscale the digit, weight its rows and columns,
    select the rows of the chord, and blur.

    Args:
      conditioning: settings of target spectrograms.
      labels: number of labels. Label y stands for the chord y semitones above `conditioning.base_hz`.
      qualities: names of chord qualities, such as `major`.
      columns: number of columns of the spectrograms, which must divide `conditioning.size`; None means
        `conditioning.size`. If there are fewer, each is the mean of adjacent columns at full resolution.

    Raises:
      ValueError: a note of a chord lies beyond the last row, a chord quality is unknown, or `columns` does not divide
        `conditioning.size`.
    """
    c = conditioning
    rows = {
        (label, q): theory.partial_rows(label, quality, c.partials, c.size, c.base_hz)
        for label in range(labels)
        for q, quality in enumerate(qualities)
    }
    upscale = linear.resample_matrix(DIGIT_SIZE, c.size, c.resampling)
    # A quantized digit is upscaled first, since rounding is not linear. Otherwise the matrices include the upscaling.
    to_picture = np.eye(c.size, dtype=np.float32) if c.quantise else upscale
    lines = np.full_like(to_picture, 1 / to_picture.shape[1]) if c.carry == "envelope" else to_picture
    # Both densities are tiny. The normalization at the end cancels their scale, so they are scaled to peak at 1 here.
    weight = _scale_to_peak_one(linear.normal_density(c.size, c.row_mean, c.row_sigma))
    fade = _scale_to_peak_one(linear.normal_density(c.size, c.fade_mean, c.fade_sigma))
    smear = _build_smear(c.size, c.smear_rows, c.smooth)
    max_partials = max(map(len, rows.values()))
    spread = np.zeros((labels, len(qualities), c.size, max_partials), np.float32)
    select = np.zeros((labels, len(qualities), max_partials, to_picture.shape[1]), np.float32)
    for chord, kept in rows.items():
        spread[chord][:, : len(kept)] = smear[:, kept] * weight[kept]
        select[chord][: len(kept)] = lines[kept]
    time = _build_smear(c.size, c.smear_columns, c.smooth) @ (fade[:, None] * to_picture)
    return Operators(spread, select, linear.mean_pool(time, columns or c.size), upscale)


def smooth_spectrogram(
    ops: Operators, conditioning: Conditioning, digit: Digit, label: Int[Array, ""], quality: Int[Array, ""]
) -> Target:
    """Compute the spectrogram of a chord from the image of a digit, without noise, before it is scaled to [0, 1].

    The digit is upscaled and weighted. The rows of the chord are selected, and blurred along both axes (chord paper,
    sections 2.1 to 2.4).

    Args:
      ops: matrices that `operators` computed for the same `conditioning`.
      conditioning: settings of the spectrogram.
      digit: image in [0, 1], upright, bright ink on dark.
      label: label of the digit. It determines the fundamental of the chord.
      quality: index of the chord quality in the list of names that `operators` received.
    """
    picture = digit
    if conditioning.quantise:
        upscaled = linear.separable(ops.upscale, digit, ops.upscale)
        picture = jnp.round(jnp.clip(upscaled, 0.0, 1.0) * 255.0) / 255.0
    lines = jnp.asarray(ops.select)[label, quality] @ picture @ ops.time.T
    return jnp.asarray(ops.spread)[label, quality] @ lines


def noise_field(key: Key[Array, ""], conditioning: Conditioning, columns: int | None = None) -> Target:
    """Draw the random noise that multiplies a spectrogram (chord paper, section 2.5), in (0, 1].

    It is Perlin noise plus the constant `noise_dilution`, divided by the maximum of the sum.

    Args:
      key: random key.
      conditioning: settings of the noise.
      columns: number of columns; None means `conditioning.size`.
    """
    noise_key, fuzz_key = jax.random.split(key)
    c = conditioning
    shape = (c.size, columns or c.size)
    noise = perlin.perlin_noise(noise_key, shape, c.noise_cells, octaves=c.noise_octaves)
    if c.noise_fuzz:
        noise = noise + c.noise_fuzz * jax.random.uniform(fuzz_key, noise.shape)
    return _dilute(noise, c.noise_dilution)


@check_arguments
def target(
    ops: Operators,
    conditioning: Conditioning,
    digit: Digit,
    label: Int[Array, ""],
    quality: Int[Array, ""],
    key: Key[Array, ""] | None,
) -> Target:
    """Compute the spectrogram that the network is trained to predict from one digit, with values in [0, 1].

    Args:
      ops: matrices that `operators` computed for the same `conditioning`.
      conditioning: settings of the spectrogram.
      digit: image in [0, 1], upright, bright ink on dark.
      label: label of the digit. It determines the fundamental of the chord.
      quality: index of the chord quality in the list of names that `operators` received.
      key: random key of the noise. None adds no noise, as in evaluation.

    Raises:
      ValueError: `label` or `quality` is known (not traced by `jax.jit`) and has no matrix in `ops`.
    """
    _check_chords(ops, label, quality)
    c = conditioning
    spectrogram = smooth_spectrogram(ops, c, digit, label, quality)
    if key is not None:
        noise_key, overlay_key = jax.random.split(key)
        spectrogram = spectrogram * noise_field(noise_key, c, spectrogram.shape[1])
        if c.overlay:
            noise = perlin.perlin_noise(overlay_key, (c.size, spectrogram.shape[1]), c.overlay_cells)
            spectrogram = spectrogram + c.overlay * _dilute(noise, c.overlay_dilution)
    return min_max(spectrogram, c.epsilon)


@check_arguments
def targets(
    ops: Operators,
    conditioning: Conditioning,
    digits: Float[Array, "batch 28 28"],
    labels: Int[Array, " batch"],
    qualities: Int[Array, " batch"],
    keys: Key[Array, " batch"] | None,
) -> Float[Array, "batch size columns"]:
    """Compute the target spectrogram of each digit of a batch; for the arguments see `target`."""
    _check_chords(ops, labels, qualities)
    make_target = partial(target, ops, conditioning)
    if keys is None:
        return map_examples(lambda d, y, q: make_target(d, y, q, None))(digits, labels, qualities)
    return map_examples(make_target)(digits, labels, qualities, keys)


def min_max(x: Target, epsilon: float = 1e-8) -> Target:
    """Shift and scale `x` to [0, 1] (chord paper, section 2.6); a constant `x` becomes 0.

    `epsilon` is added to the divisor, the range of `x`.
    """
    low, high = jnp.min(x), jnp.max(x)
    return (x - low) / (high - low + epsilon)


def _check_chords(ops: Operators, label: Int[Array, "..."], quality: Int[Array, "..."]) -> None:
    labels, qualities = ops.spread.shape[:2]
    check_indices(label, labels, "label")
    check_indices(quality, qualities, "quality")


def _dilute(noise: Target, dilution: float) -> Target:
    lifted = noise + dilution
    return lifted / jnp.max(lifted)


def _build_smear(size: int, smear: float, smooth: float) -> Float[np.ndarray, "size size"]:
    """Compute the matrix that blurs along one axis of `size` points (chord paper, section 2.4).

    It is a Gaussian filter of standard deviation `smear`, followed by one of standard deviation `smooth`.
    """
    smear_matrix = linear.gaussian_matrix(size, smear)
    return smear_matrix if smooth == 0 else linear.gaussian_matrix(size, smooth) @ smear_matrix


def _scale_to_peak_one(density: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return density / density.max()
