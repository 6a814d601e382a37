"""Losses of the chord paper (section 4.1): functions that return one value per example, and their weighted sum."""

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
from specjax.signal.short_time_fourier import Stft, magnitude

Pictures = Float[Array, "batch size columns"]
PerExample = Float[Array, " batch"]

AUTHORS_SCALES = (0.1, 0.15, 0.2, 0.2, 0.2)  # the authors' MS-SSIM weights, finest scale first


@dataclass(frozen=True)
class LossOptions:
    """Constants of the losses.

    huber_delta: absolute error above which the Huber loss is linear. The chord paper uses 0.5 and 1.0.
    ms_ssim_weights: exponents of the scales of MS-SSIM, finest scale first.
    wave_rate: sample rate in Hz of the sounds that the losses `waveform` and `stft` compare. Row r of a spectrogram
      stands for the frequency r Hz, so this rate must be at least twice the number of rows.
    n_fft: frame length of the loss `stft`, in samples.
    hop_length: hop length of the loss `stft`, in samples.
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
            raise ValueError(
                f"loss_options.wave_rate={self.wave_rate}, n_fft={self.n_fft} and hop_length={self.hop_length} "
                "must be at least 1"
            )
        if not self.ms_ssim_weights or min(self.ms_ssim_weights) <= 0:
            raise ValueError(
                f"loss_options.ms_ssim_weights={self.ms_ssim_weights} must be a non-empty tuple of numbers above 0"
            )


def mse(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Compute the mean squared error of each example."""
    import dm_pix

    return dm_pix.mse(prediction[..., None], target[..., None])


def l1(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Compute the mean absolute error of each example."""
    import dm_pix

    return dm_pix.mae(prediction[..., None], target[..., None])


def huber(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Compute the Huber loss of each example: quadratic for errors up to `config.huber_delta`, linear beyond."""
    return jnp.mean(optax.losses.huber_loss(prediction, target, delta=config.huber_delta), axis=(1, 2))


def ms_ssim_loss(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Compute 1 - MS-SSIM (multiscale structural similarity) of each example."""
    return 1.0 - ms_ssim(prediction, target, weights=config.ms_ssim_weights)


def fft(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Compute the mean squared difference between the 2-D Fourier magnitudes of the spectrograms, for each example.

    The Fourier transform is not normalized, as in the code of the chord paper's authors. So the loss has large values.
    """
    difference = _compute_fourier_magnitude(prediction) - _compute_fourier_magnitude(target)
    return jnp.mean(difference**2, axis=(1, 2))


def sobel_loss(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Compute the mean squared difference between the Sobel gradients of the spectrograms, for each example.

    The chord paper proposes this loss as future work. It penalizes edges in wrong rows, which are wrong frequencies.
    """
    return map_examples(lambda error: jnp.mean(sobel(error) ** 2))(prediction - target)


def rows(prediction: Pictures, target: Pictures, _: LossOptions) -> PerExample:
    """Compute the squared difference of row profiles (the mean of each spectrogram row over time), summed over rows.

    Row profiles say which notes sound and how loudly, but not when.
    """
    return jnp.sum(jnp.mean(prediction - target, axis=2) ** 2, axis=1)


def waveform(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Compute the mean squared difference between the sounds synthesized from prediction and target.

    Synthesis is linear, so only the difference of the spectrograms is synthesized.
    """
    return jnp.mean(_synthesize_sound(prediction - target, config) ** 2, axis=1)


def stft_loss(prediction: Pictures, target: Pictures, config: LossOptions) -> PerExample:
    """Compute the mean squared difference between STFT magnitudes of the sounds of prediction and target."""
    transform = Stft(config.n_fft, config.hop_length, center=False)
    magnitudes = [magnitude(_synthesize_sound(x, config), transform) for x in (prediction, target)]
    return jnp.mean((magnitudes[0] - magnitudes[1]) ** 2, axis=(1, 2))


def label_loss(logits: Float[Array, "batch labels"], label: Int[Array, " batch"]) -> PerExample:
    """Compute the cross-entropy of the digit classifier inside the network, for each example.

    The classifier is at the bottleneck of the U-Net. Its prediction is also an input of the decoder.

    Args:
      logits: output of the classifier.
      label: true labels.
    """
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
NAMES = (*LOSSES, "label")  # names of all losses; `label` compares logits, not spectrograms


def mix(**weights: float | ScheduleSpec) -> dict[str, ScheduleSpec]:
    """Build the weight schedule of every loss, by name of the loss.

    For example, `mix(huber=1.0, ms_ssim=0.1)` gives constant weights to two losses, and all others have weight 0.

    Args:
      weights: weights by name of the loss. A weight is a number, which is constant, or a schedule. A loss that is not
        named has weight 0.
    """
    specs = {name: w if isinstance(w, ScheduleSpec) else ScheduleSpec(value=float(w)) for name, w in weights.items()}
    return {name: ScheduleSpec(value=0.0) for name in NAMES} | specs


def weighted_sum(
    losses: Mapping[str, Callable[[], PerExample]],
    weights: Mapping[str, Float[Array, ""]],
    importance: PerExample,
    gated: Collection[str] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Compute the weighted sum of the losses in `weights`.

    Args:
      losses: functions by loss name. Each takes no arguments and returns the loss of every example.
      weights: weights by loss name.
      importance: weights of the examples. The value of a loss is its weighted mean over examples.
      gated: names of losses that are not computed while their weight is 0. Their value is then 0. All other losses are
        always computed.

    Returns:
      The weighted sum, and the unweighted value of each loss by name.
    """
    example_weights = importance / jnp.maximum(jnp.sum(importance), 1e-8)

    def compute_value(name: str) -> Float[Array, ""]:
        def compute() -> Float[Array, ""]:
            return jnp.sum(example_weights * losses[name]())

        if name not in gated:
            return compute()  # without `cond`, the compiler can fuse the loss with the code around it
        return jax.lax.cond(weights[name] != 0, compute, lambda: jnp.zeros(()))

    values = {name: compute_value(name) for name in weights}
    return sum((weights[name] * values[name] for name in weights), jnp.zeros(())), values


def _compute_fourier_magnitude(x: Pictures) -> Float[Array, "batch size bins"]:
    spectrum = map_devices(jnp.fft.rfft2)(x)
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.sqrt(power + 1e-12)  # without the constant, the gradient at zero is NaN


def _synthesize_sound(pictures: Pictures, config: LossOptions) -> Float[Array, "batch samples"]:
    """Synthesize one second of sound from each spectrogram: row r is a sine of r Hz with a fixed random phase."""
    size = pictures.shape[1]
    increment = jnp.asarray(oscillators.phase_increment(np.arange(size, dtype=float), config.wave_rate))
    phases = jnp.asarray(np.random.default_rng(0).uniform(0, 2 * np.pi, size), jnp.float32)
    synthesize = partial(oscillators.additive_synthesis, increment=increment, phases=phases, samples=config.wave_rate)
    return map_examples(synthesize)(pictures)
