"""Second stage: brings a picture nearer to real paintings without changing what it shows (style transfer).

The style of a picture is described by means and standard deviations over all pixels (Li et al. 2017, "Demystifying
Neural Style Transfer"), at several sizes of the picture: of its colors, of the absolute differences between neighboring
pixels, and of the features of a network that is trained to name the eras of the same paintings. The differences keep
noise out, to which so small a network is blind: edges and noise of equal variance have different means of them.

A picture takes over the style of a painting by optimization of its pixels (Gatys et al. 2016), from the picture with
the colors of the painting. Features of its content stay near those that it had.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from specjax.arrays import safe
from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.residual import mean_pool
from specjax.optim.minimize import StepCallback, minimize_until_interrupted
from specjax.papers.mvnet.judge import Judge, JudgeConfig, JudgeInference, Verdict
from specjax.papers.mvnet.pictures import Pixels, Values, to_pixels, to_values
from specjax.papers.mvnet.works import PICTURE_SIZE

SIZES = (64, 128, 256)  # pixels of a side of the pictures that can be refined
_CONTENT_LAYER = 1  # the second convolution: its features, at 64 pixels, describe the content
_PIXEL_CHANNELS = 9  # values, vertical and horizontal differences of three colors
_SMOOTHING = 1e-3  # absolute differences well below this count as none, so that their derivative does not jump
_LIMIT = 0.98  # absolute value of black and white at the start of an optimization

Style = Float[Array, "sizes statistics"]
Styles = Float[Array, "pictures sizes statistics"]
Variables = dict[str, Any]


@dataclass(frozen=True)
class StyleConfig(JudgeConfig):
    """Settings of the task `mvnet/style`: those of a judge, whose features describe styles, and of styles to export.

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
class Refinement:
    """Settings of the refinement of a picture.

    content_weight: weight of the content; that of the style is 1.
    iterations: steps of the optimizer (L-BFGS).
    """

    content_weight: float = 1.0
    iterations: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.content_weight < np.inf:
            raise ValueError(f"content_weight={self.content_weight} must be finite and not negative")
        if not 1 <= self.iterations <= 100_000:
            raise ValueError(f"iterations={self.iterations} must lie between 1 and 100000")


@dataclass(frozen=True)
class StyleInference:
    """Methods that describe and compare styles. The variables are not stored here: methods take them as an argument.

    The variables are those of the `network`; `paintings`, an array of shape (eras, paintings, sizes, statistics) with
    the styles of paintings; and `spread`, the standard deviation of each statistic, of shape (sizes, statistics).

    config: settings, with the names of the eras filled in.
    """

    config: StyleConfig

    @cached_property
    def network(self) -> Judge:
        """The network whose features describe styles."""
        return JudgeInference(self.config).network

    @cached_property
    def weights(self) -> Float[np.ndarray, " statistics"]:
        """Weight of each statistic. All layers have equal weights, and the sum over all statistics is 1."""
        counts = [2 * channels for channels in (_PIXEL_CHANNELS, *self.config.widths)]
        return np.concatenate([np.full(count, 1 / (len(counts) * count), np.float32) for count in counts])

    def init(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables, with empty styles."""
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
        """Describe what pictures show."""
        return self.features(network, shrink(values)[0])[_CONTENT_LAYER]

    def styles(self, network: Variables, values: Values) -> Styles:
        """Describe the styles of pictures at all sizes of `SIZES` up to their own, the smallest first."""

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
      UserError: they cannot.
    """
    if size not in SIZES:
        raise UserError(f"pictures of {size} pixels cannot be refined: choose one of {', '.join(map(str, SIZES))}")


def shrink(values: Values) -> list[Float[Array, "batch _ _ 3"]]:
    """Return pictures in all sizes of `SIZES` up to their own, the smallest first. Pixels of smaller ones are means."""
    size = values.shape[1]
    return [mean_pool(values, (size // smaller, size // smaller)) for smaller in SIZES if smaller <= size]


def describe_pixels(values: Values) -> Float[Array, "pictures height width channels"]:
    """Return the values of pictures, and their absolute differences to the next pixel below and to the right.

    The pictures end one pixel earlier at the bottom and on the right, where there is no next one.
    """
    here, below, right = values[:, :-1, :-1], values[:, 1:, :-1], values[:, :-1, 1:]
    differences = (jnp.sqrt((other - here) ** 2 + _SMOOTHING**2) for other in (below, right))
    return jnp.concatenate([here, *differences], axis=-1)


def measure_moments(maps: Float[Array, "pictures height width channels"]) -> Float[Array, "pictures moments"]:
    """Compute the mean of each channel over all pixels, followed by the standard deviation of each."""
    mean = jnp.mean(maps, axis=(1, 2), keepdims=True)
    deviation = safe.sqrt(jnp.mean((maps - mean) ** 2, axis=(1, 2)))
    return jnp.concatenate([mean[:, 0, 0], deviation], axis=1)


def match_colors(values: Float[Array, "size size 3"], style: Style) -> Float[Array, "size size 3"]:
    """Give each color the mean and the standard deviation that it has in a style (Reinhard et al. 2001)."""
    color = measure_moments(values[None])[0]
    wanted = jnp.concatenate([style[-1, :3], style[-1, _PIXEL_CHANNELS : _PIXEL_CHANNELS + 3]])
    scale = safe.divide(wanted[3:], color[3:])
    return jnp.clip((values - color[None, None, :3]) * scale[None, None] + wanted[None, None, :3], -1.0, 1.0)


class _Target(NamedTuple):
    """What a refined picture is compared with.

    Attributes:
      style: style to take over.
      content: features of the picture before it is refined.
    """

    style: Style
    content: Float[Array, "height width channels"]


@dataclass(frozen=True)
class _Loss:
    """Loss of a picture `tanh(x)`, whose values are always in (-1, 1).

    inference: description of styles.
    content_weight: weight of the content.
    """

    inference: StyleInference
    content_weight: float

    def __call__(self, x: Float[Array, "size size 3"], target: _Target, variables: Variables) -> Float[Array, ""]:
        values = jnp.tanh(x)[None]
        style = self.inference.styles(variables["network"], values)[0]
        content = self.inference.content(variables["network"], values)[0]
        change = safe.divide(jnp.mean((content - target.content) ** 2), jnp.var(target.content))
        return self.inference.distance(variables, style, target.style) + self.content_weight * change


@dataclass(frozen=True)
class Stylist:
    """Transfers the styles of paintings to pictures of 64, 128 or 256 pixels.

    inference: description of styles.
    variables: its variables.
    """

    inference: StyleInference
    variables: Variables

    @property
    def eras(self) -> tuple[str, ...]:
        """Names of the eras whose paintings are known."""
        return self.inference.config.data.eras

    def measure(self, pixels: Pixels) -> Styles:
        """Describe the styles of pictures."""
        return _measure_style(self.inference, self.variables["network"], pixels)

    def find_nearest(self, pixels: Pixels, era: str = "") -> Styles:
        """Return the style of the painting that is nearest to each picture in style.

        So a dark picture gets the style of a dark painting.

        Args:
          pixels: pictures.
          era: name of the era of the paintings; empty for all eras.

        Raises:
          UserError: the era is unknown.
        """
        if era and era not in self.eras:
            raise UserError(f"--era={era} is unknown: choose one of {', '.join(self.eras)}")
        paintings = self.variables["paintings"]
        styles = self.measure(pixels)
        known = (paintings[self.eras.index(era)] if era else np.concatenate(paintings))[:, : styles.shape[1]]
        distances = _measure_distances(self.inference, self.variables, styles, jnp.asarray(known))
        return jnp.asarray(known[np.argmin(distances, axis=1)])

    def measure_distance(self, pixels: Pixels, styles: Styles) -> float:
        """Compute the mean distance of pictures from the styles that they take over, see `StyleInference.distance`."""
        distances = _measure_distances(self.inference, self.variables, self.measure(pixels), styles)
        return float(jnp.mean(jnp.diag(distances)))

    def refine(
        self, pixels: Pixels, styles: Styles, settings: Refinement, report: StepCallback | None = None
    ) -> tuple[Pixels, bool]:
        """Refine pictures until the last step or Ctrl-C.

        Args:
          pixels: pictures.
          styles: style that each takes over.
          settings: settings of the optimization.
          report: called with the number of steps done and the loss.

        Returns:
          The pictures, and whether Ctrl-C ended the optimization early.
        """
        values = to_values(jnp.asarray(pixels))
        target = _Target(styles, _measure_content(self.inference, self.variables["network"], values))
        loss, start = _Loss(self.inference, settings.content_weight), _start(values, styles)
        solution, interrupted = minimize_until_interrupted(
            loss, start, target, shared=(self.variables,), steps=settings.iterations, report=report
        )
        return to_pixels(jnp.tanh(solution.best)), interrupted

    def refine_towards_nearest(self, picture: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, "size size 3"]:
        """Refine a picture with the style of the painting that is nearest in style, and the default settings."""
        refined, interrupted = self.refine(picture[None], self.find_nearest(picture[None]), Refinement())
        if interrupted:
            raise KeyboardInterrupt
        return refined[0]


@partial(jax.jit, static_argnums=0)
def _measure_style(inference: StyleInference, network: Variables, pixels: UInt8[Any, "pictures size size 3"]) -> Styles:
    return inference.styles(network, to_values(jnp.asarray(pixels)))


@jax.jit
def _start(values: Values, styles: Styles) -> Values:
    """Return the points from which the optimization starts: pictures with the colors of their styles."""
    return jnp.arctanh(_LIMIT * jax.vmap(match_colors)(values, styles))


@partial(jax.jit, static_argnums=0)
def _measure_content(inference: StyleInference, network: Variables, values: Values) -> Array:
    return inference.content(network, values)


@partial(jax.jit, static_argnums=0)
def _measure_distances(
    inference: StyleInference, variables: Variables, styles: Styles, others: Float[Array, "others sizes statistics"]
) -> Float[Array, "pictures others"]:
    distance = jax.vmap(jax.vmap(inference.distance, (None, None, 0)), (None, 0, None))
    return distance(variables, styles, others)


def collect_styles(
    inference: StyleInference, network: Variables, paintings: UInt8[np.ndarray, "eras paintings 256 256 3"]
) -> Variables:
    """Measure the styles of paintings, and return the variables of `StyleInference`."""
    styles = np.array([[_measure_style(inference, network, one[None])[0] for one in own] for own in paintings])
    return {"network": network, "paintings": styles, "spread": styles.std(axis=(0, 1))}


def open_style(opened: Bundle, where: str) -> Stylist:
    """Prepare a bundle of the task `mvnet/style` for inference, see `bundle.open_part`.

    Raises:
      UserError: the bundle has another part than `style`, invalid settings, or tensors that do not fit.
    """
    return Stylist(*bundle.open_part(opened, where, "style", StyleConfig, StyleInference, StyleInference.init))


def load_style(folder: str, eras: tuple[str, ...]) -> Stylist | None:
    """Open the bundle of a second stage; return None if `folder` is empty.

    Args:
      folder: folder of the bundle.
      eras: names of the eras whose paintings it must know, in the same order.

    Raises:
      UserError: the bundle is missing or damaged, or its paintings are of other eras.
    """
    if not folder:
        return None
    from specjax import papers

    stylist: Stylist = papers.open_bundle(Path(folder), task="mvnet/style")
    if stylist.eras != eras:
        raise UserError(
            f"{folder} has paintings of {', '.join(stylist.eras)}, expected {', '.join(eras)}: train a second stage "
            "on the same eras"
        )
    return stylist
