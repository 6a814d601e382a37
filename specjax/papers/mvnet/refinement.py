"""Second stage: gives a picture the style of real paintings while keeping its content (style transfer).

The pixels are optimized to match the style of a painting and the content features of the picture (Gatys et al. 2016),
starting from the picture with the color statistics of the painting.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from specjax.arrays import safe
from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.optim.minimization import StepCallback, minimize_until_interrupted
from specjax.papers.mvnet.pictures import Pixels, Values, to_pixels, to_values
from specjax.papers.mvnet.style import (
    PIXEL_CHANNELS,
    Style,
    StyleConfig,
    StyleInference,
    Styles,
    Variables,
    measure_moments,
    measure_styles,
)

_LIMIT = 0.98  # pixel values are clipped to this absolute value before `arctanh`


@dataclass(frozen=True)
class Refinement:
    """Settings of the refinement of pictures.

    content_weight: weight of the content; that of the style is 1.
    iterations: number of L-BFGS steps.
    """

    content_weight: float = 1.0
    iterations: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.content_weight < np.inf:
            raise ValueError(f"content_weight={self.content_weight} must be finite and not negative")
        if not 1 <= self.iterations <= 100_000:
            raise ValueError(f"iterations={self.iterations} must lie between 1 and 100000")


def match_colors(values: Float[Array, "size size 3"], style: Style) -> Float[Array, "size size 3"]:
    """Give each color channel the mean and standard deviation that it has in a style (Reinhard et al. 2001)."""
    color = measure_moments(values[None])[0]
    wanted = jnp.concatenate([style[-1, :3], style[-1, PIXEL_CHANNELS : PIXEL_CHANNELS + 3]])
    scale = safe.divide(wanted[3:], color[3:])
    return jnp.clip((values - color[None, None, :3]) * scale[None, None] + wanted[None, None, :3], -1.0, 1.0)


class _Target(NamedTuple):
    """What a refined picture is compared with.

    Attributes:
      style: target style.
      content: features of the picture before it is refined.
    """

    style: Style
    content: Float[Array, "height width channels"]


@dataclass(frozen=True)
class _Loss:
    """Loss of a picture `tanh(x)`, whose values are always in (-1, 1).

    inference: computation of styles.
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
class Refiner:
    """Transfers the styles of paintings to square pictures of 64, 128 or 256 pixels.

    inference: computation of styles.
    variables: variables of `inference`.
    """

    inference: StyleInference
    variables: Variables

    @property
    def eras(self) -> tuple[str, ...]:
        """Names of the eras of the stored paintings."""
        return self.inference.config.data.eras

    def measure(self, pixels: Pixels) -> Styles:
        """Compute the styles of pictures."""
        return measure_styles(self.inference, self.variables["network"], pixels)

    def find_nearest(self, pixels: Pixels, era: str = "") -> Styles:
        """Return, for each picture, the style of the stored painting with the nearest style.

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
        """Compute the mean distance of pictures from their target styles (see `StyleInference.distance`)."""
        distances = _measure_distances(self.inference, self.variables, self.measure(pixels), styles)
        return float(jnp.mean(jnp.diag(distances)))

    def refine(
        self, pixels: Pixels, styles: Styles, settings: Refinement, report: StepCallback | None = None
    ) -> tuple[Pixels, bool]:
        """Refine pictures until the last step or Ctrl-C.

        Args:
          pixels: pictures.
          styles: target style of each picture.
          settings: settings of the optimization.
          report: progress callback, called with the number of completed steps and the loss.

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


def open_style(opened: Bundle, where: str) -> Refiner:
    """Prepare a bundle of the task `mvnet/style` for inference, see `bundle.open_part`.

    Raises:
      UserError: the bundle has another part than `style`, invalid settings, or tensors that do not fit.
    """
    return Refiner(*bundle.open_part(opened, where, "style", StyleConfig, StyleInference, StyleInference.init))


def load_style(folder: str, eras: tuple[str, ...]) -> Refiner | None:
    """Open the bundle of a second stage; return None if `folder` is empty.

    Args:
      folder: folder of the bundle.
      eras: eras of the data, which must be those of its paintings, in the same order.

    Raises:
      UserError: the bundle is missing or damaged, or its paintings are of other eras.
    """
    if not folder:
        return None
    from specjax import papers

    refiner: Refiner = papers.open_bundle(local_path(folder, "config.style"), task="mvnet/style")
    bundle.check_classes(folder, "eras", refiner.eras, eras)
    return refiner
