"""Style statistics of pictures, for the second stage: means and standard deviations over pixels, at several sizes.

Source: Li et al. 2017, "Demystifying Neural Style Transfer". The statistics are those of the colors, of the absolute
differences between neighboring pixels, and of the features of a classifier of eras that is trained on the same
paintings. The differences suppress noise, to which such a small network is not sensitive: edges and noise of equal
variance differ in their mean.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from specjax.arrays import safe
from specjax.cli.errors import UserError
from specjax.nn.residual import mean_pool
from specjax.papers.mvnet.dataset import PICTURE_SIZE
from specjax.papers.mvnet.judge import Judge, JudgeConfig, JudgeInference, Verdict
from specjax.papers.mvnet.pictures import Values, to_values

SIZES = (64, 128, 256)  # heights and widths, in pixels, of pictures that can be refined
_CONTENT_LAYER = 1  # the second convolution: its features, at 64 pixels, describe the content
PIXEL_CHANNELS = 9  # values, vertical and horizontal differences of the three colors
_SMOOTHING = 1e-3  # makes absolute differences differentiable at 0

Style = Float[Array, "sizes statistics"]
Styles = Float[Array, "pictures sizes statistics"]
Variables = dict[str, Any]


@dataclass(frozen=True)
class StyleConfig(JudgeConfig):
    """Settings of the task `mvnet/style`: a classifier of eras, whose features define styles, and its export.

    paintings: number of paintings of each era whose styles are exported, spread evenly over the training pictures.
    """

    paintings: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.paintings < 2:
            raise ValueError(f"paintings={self.paintings} must be at least 2")
        if len(self.widths) <= _CONTENT_LAYER:
            raise ValueError(f"widths={self.widths} must name at least {_CONTENT_LAYER + 1} convolutions")


@dataclass(frozen=True)
class StyleInference:
    """Methods that compute and compare styles. The variables are not stored here: methods take them as an argument.

    The variables are those of the `network`; `paintings`, an array of shape (eras, paintings, sizes, statistics) with
    the styles of paintings; and `spread`, the standard deviation of each statistic, of shape (sizes, statistics).

    config: settings, with the names of the eras filled in.
    """

    config: StyleConfig

    @cached_property
    def network(self) -> Judge:
        """The network whose features define styles."""
        return JudgeInference(self.config).network

    @cached_property
    def weights(self) -> Float[np.ndarray, " statistics"]:
        """Weight of each statistic. All layers have equal weights, and the sum over all statistics is 1."""
        counts = [2 * channels for channels in (PIXEL_CHANNELS, *self.config.widths)]
        return np.concatenate([np.full(count, 1 / (len(counts) * count), np.float32) for count in counts])

    def init(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables, with zeros for the styles."""
        c, shape = self.config, (len(SIZES), len(self.weights))
        return {
            "network": dict(self.network.init({"params": key}, jnp.zeros((1, PICTURE_SIZE, PICTURE_SIZE, 3)))),
            "paintings": jnp.zeros((len(c.data.eras), c.paintings, *shape)),
            "spread": jnp.zeros(shape),
        }

    def features(self, network: Variables, values: Values) -> tuple[Array, ...]:
        """Compute the features of pictures after each convolution, of shape (pictures, height, width, channels)."""
        return cast(Verdict, self.network.apply(network, values)).maps

    def content(self, network: Variables, values: Values) -> Float[Array, "pictures height width channels"]:
        """Compute the content features of pictures: those of the second convolution, at 64 x 64 pixels."""
        return self.features(network, shrink(values)[0])[_CONTENT_LAYER]

    def styles(self, network: Variables, values: Values) -> Styles:
        """Compute the styles of pictures at all sizes in `SIZES` up to their own, in ascending order."""

        def measure(values: Values) -> Float[Array, "pictures statistics"]:
            layers = (describe_pixels(values), *self.features(network, values))
            return jnp.concatenate([measure_moments(maps) for maps in layers], axis=1)

        return jnp.stack([measure(smaller) for smaller in shrink(values)], axis=1)

    def distance(self, variables: Variables, style: Style, other: Style) -> Float[Array, ""]:
        """Compute the mean squared difference of two styles, relative to the spread of each statistic."""
        relative = safe.divide(style - other, jnp.asarray(variables["spread"])[: len(style)])
        return jnp.mean(relative**2 @ self.weights)


def check_size(size: int) -> None:
    """Check that pictures of a size can be refined.

    Raises:
      UserError: `size` is not in `SIZES`.
    """
    if size not in SIZES:
        raise UserError(f"pictures of {size} pixels cannot be refined: choose one of {', '.join(map(str, SIZES))}")


def shrink(values: Values) -> list[Float[Array, "batch _ _ 3"]]:
    """Return pictures at all sizes in `SIZES` up to their own, in ascending order, by averaging pixels."""
    size = values.shape[1]
    return [mean_pool(values, (size // smaller, size // smaller)) for smaller in SIZES if smaller <= size]


def describe_pixels(values: Values) -> Float[Array, "pictures height width channels"]:
    """Return the values of pictures, and their absolute differences from the next pixel below and to the right.

    The last row and the last column are dropped, because they have no next pixel.
    """
    here, below, right = values[:, :-1, :-1], values[:, 1:, :-1], values[:, :-1, 1:]
    differences = (jnp.sqrt((other - here) ** 2 + _SMOOTHING**2) for other in (below, right))
    return jnp.concatenate([here, *differences], axis=-1)


def measure_moments(maps: Float[Array, "pictures height width channels"]) -> Float[Array, "pictures moments"]:
    """Compute the mean of each channel over all pixels, followed by the standard deviation of each."""
    mean = jnp.mean(maps, axis=(1, 2), keepdims=True)
    deviation = safe.sqrt(jnp.mean((maps - mean) ** 2, axis=(1, 2)))
    return jnp.concatenate([mean[:, 0, 0], deviation], axis=1)


@partial(jax.jit, static_argnums=0)
def measure_styles(inference: StyleInference, network: Variables, pixels: UInt8[Any, "pictures size size 3"]) -> Styles:
    """Compute the styles of pictures given as 8-bit RGB (see `StyleInference.styles`)."""
    return inference.styles(network, to_values(jnp.asarray(pixels)))


def collect_styles(
    inference: StyleInference, network: Variables, paintings: UInt8[np.ndarray, "eras paintings 256 256 3"]
) -> Variables:
    """Compute the styles of paintings, and return the variables of `StyleInference`."""
    styles = np.array([[measure_styles(inference, network, one[None])[0] for one in own] for own in paintings])
    return {"network": network, "paintings": styles, "spread": styles.std(axis=(0, 1))}
