"""The losses of section 4.1, one value per example, and their weighted sum."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from specjax.arrays.batching import map_devices, map_examples
from specjax.image.edges import sobel
from specjax.image.similarity import ms_ssim
from specjax.optim.schedules import ScheduleSpec
from specjax.signal import oscillators
from specjax.signal.stft import Stft, magnitude

Pictures = Float[Array, "batch size columns"]
PerExample = Float[Array, " batch"]

AUTHORS_SCALES = (0.1, 0.15, 0.2, 0.2, 0.2)  # the authors' MS-SSIM weights, finest first


@dataclass(frozen=True)
class LossOptions:
    """Constants of the losses.

    huber_delta: the paper uses 0.5 and 1.0.
    ms_ssim_weights: exponents by scale, finest first.
    wave_rate: sample rate (Hz) of the sounds that `waveform` and `stft` compare; the rows must fit below half of it.
    """

    huber_delta: float = 1.0
    ms_ssim_weights: tuple[float, ...] = AUTHORS_SCALES
    wave_rate: int = 4032
    n_fft: int = 512
    hop_length: int = 128

    def __post_init__(self) -> None:
        if self.huber_delta <= 0:
            raise ValueError(f"loss_options.huber_delta={self.huber_delta} must be above 0")
        if min(self.wave_rate, self.n_fft, self.hop_length) < 1:
            raise ValueError("loss_options.wave_rate, n_fft and hop_length must be at least 1")
        if not self.ms_ssim_weights or min(self.ms_ssim_weights) <= 0:
            raise ValueError("loss_options.ms_ssim_weights must be a non-empty tuple of numbers above 0")


def mse(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Mean squared error."""
    return jnp.mean((prediction - target) ** 2, axis=(1, 2))


def l1(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Mean absolute error."""
    return jnp.mean(jnp.abs(prediction - target), axis=(1, 2))


def huber(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Quadratic within `huber_delta`, straight beyond."""
    error = jnp.abs(prediction - target)
    inside = jnp.minimum(error, config.huber_delta)
    return jnp.mean(inside * (error - 0.5 * inside), axis=(1, 2))


def ms_ssim_loss(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """1 - MS-SSIM."""
    return 1.0 - ms_ssim(prediction, target, weights=config.ms_ssim_weights)


def fft(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Mean squared difference of 2-D Fourier magnitudes, not normalised, as in the authors' code."""
    difference = _fourier_magnitude(prediction) - _fourier_magnitude(target)
    return jnp.mean(difference**2, axis=(1, 2))


def sobel_loss(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Mean squared difference of Sobel slopes: the frequency alignment the paper names as future work."""
    return map_examples(lambda error: jnp.mean(sobel(error) ** 2))(prediction - target)


def rows(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Squared difference of row marginals (means over time), summed over rows: which notes sound, and how loudly."""
    return jnp.sum(jnp.mean(prediction - target, axis=2) ** 2, axis=1)


def waveform(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Mean squared difference of the sounds. Synthesis is linear, so it is the sound of the difference."""
    return jnp.mean(_sound(prediction - target, config) ** 2, axis=1)


def stft_loss(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Mean squared difference of STFT magnitudes of the sounds."""
    transform = Stft(config.n_fft, config.hop_length, center=False)
    heard = [magnitude(_sound(x, config), transform) for x in (prediction, target)]
    return jnp.mean((heard[0] - heard[1]) ** 2, axis=(1, 2))


def label_loss(logits: Float[Array, "batch labels"], label: Int[Array, " batch"]) -> PerExample:
    """Cross-entropy of the label that the bottleneck reads: deep supervision, for the picture is made from it."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, label)


LOSSES: dict[str, Callable[[Pictures, Pictures, LossOptions], PerExample]] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "ms_ssim": ms_ssim_loss,
    "fft": fft,
    "sobel": sobel_loss,
    "rows": rows,
    "waveform": waveform,
    "stft": stft_loss,
}
NAMES = (*LOSSES, "label")  # whatever can be weighted


def mix(**weights: float | ScheduleSpec) -> dict[str, ScheduleSpec]:
    """Weights by loss name: numbers stand for constants, and losses that are not named weigh nothing."""
    specs = {name: w if isinstance(w, ScheduleSpec) else ScheduleSpec(value=float(w)) for name, w in weights.items()}
    return {name: ScheduleSpec(value=0.0) for name in NAMES} | specs


def weighted_sum(
    losses: Mapping[str, Callable[[], PerExample]],
    weights: Mapping[str, Float[Array, ""]],
    importance: PerExample,
    gated: Collection[str] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Sum of the losses in `weights`, each a mean over examples by `importance`; and each one's own value.

    Those named in `gated` are skipped, and read 0, at steps where their weight is 0; the others are always computed,
    which lets the compiler fuse them with what surrounds them.
    """
    share = importance / jnp.maximum(jnp.sum(importance), 1e-8)

    def value(name: str) -> Float[Array, ""]:
        def compute() -> Float[Array, ""]:
            return jnp.sum(share * losses[name]())

        if name not in gated:
            return compute()
        return jax.lax.cond(weights[name] != 0, compute, lambda: jnp.zeros(()))

    values = {name: value(name) for name in weights}
    return sum((weights[name] * values[name] for name in weights), jnp.zeros(())), values


def _fourier_magnitude(x: Pictures) -> Float[Array, "batch size bins"]:
    spectrum = map_devices(jnp.fft.rfft2)(x)
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.sqrt(power + 1e-12)  # the slope of a bare magnitude is not a number at zero


def _sound(pictures: Pictures, config: LossOptions) -> Float[Array, "batch samples"]:
    """One second of each picture's sound, row r at r Hz, with fixed random phases."""
    size = pictures.shape[1]
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), config.wave_rate))
    phases = jnp.asarray(np.random.default_rng(0).uniform(0, 2 * np.pi, size), jnp.float32)
    sound = partial(oscillators.additive_synthesis, increment=increment, phases=phases, samples=config.wave_rate)
    return map_examples(sound)(pictures)
