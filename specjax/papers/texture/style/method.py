"""Interface between `transfer` and the methods of style transfer, each of which defines an optimization problem."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import optax
from jaxtyping import Array, Float

from specjax.optim.minimization import Loss
from specjax.papers.texture.style.source import Style

Waves = Float[Array, "examples samples"]


class Problem(NamedTuple):
    """Optimization problem of a batch of contents and styles.

    Attributes:
      loss: loss of one example, called as `loss(x, *args, *shared)`.
      start: starting points, with the examples along the first axis.
      args: arguments of the loss, with the examples along the first axis.
      shared: arguments of the loss that are the same for all examples.
      to_waves: converts points to waves of the same length as the contents. Their common level is arbitrary.
    """

    loss: Loss
    start: Array
    args: tuple[Any, ...]
    shared: tuple[Any, ...]
    to_waves: Callable[[Array], Waves]


@runtime_checkable
class Method(Protocol):
    """Method of style transfer: a frozen dataclass of settings."""

    @property
    def sample_rate(self) -> int:
        """Sample rate of contents, styles and results, in Hz."""

    @property
    def min_samples(self) -> int:
        """Minimum number of samples of a content or style."""

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimizer; the same object at each access."""

    def pose(self, contents: Waves, styles: Sequence[Style]) -> Problem:
        """Build the optimization problem of contents, each with its own style, at the level `source.LEVEL`.

        Each channel of a content is a separate content; the channels share one `Style` object.
        """
