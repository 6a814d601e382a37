"""Network that predicts the density of each block of frames from the blocks before it, and from the genre."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from specjax.nn.causal_transformer import CausalTransformer, Memory
from specjax.papers.melody.transformer.config import ModelConfig
from specjax.papers.melody.transformer.density import Density

_MIN_DEVIATION = 0.05  # relative to all blocks; silence is constant, and would have an infinite density
_UNIT = 0.46  # softplus(_UNIT) + _MIN_DEVIATION = 1
_HEAD_GAIN = 0.1  # initial variance of the outputs, so that the initial density is close to that of all blocks


class BlockTransformer(nn.Module):
    """Causal transformer of blocks.

    Attributes:
      config: architecture.
    """

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        previous: Float[Array, "batch n coefficients"],
        shares: Float[Array, "batch genres"],
        positions: Int[Array, " n"],
        memories: tuple[Memory, ...] | None = None,
    ) -> tuple[Density, tuple[Memory, ...]]:
        """Predict the densities of blocks.

        Args:
          previous: coefficients of the block before each of these blocks, with a mean square of 1; zeros before the
            first block of a piece.
          shares: share of each genre.
          positions: positions of the blocks to predict; 0 is the first of a piece.
          memories: memories of the layers, see `CausalTransformer`.

        Returns:
          The densities, and the memories, which include `previous`.
        """
        c, size = self.config, previous.shape[-1]
        genre = nn.Dense(c.width, use_bias=False, kernel_init=nn.initializers.normal(1.0), name="genre")(shares)
        start = self.param("start", nn.initializers.normal(1.0), (1, 1, c.width), jnp.float32)
        x = nn.Dense(c.width, name="input")(previous) + genre[:, None, :]
        x = x + start * (positions == 0).astype(jnp.float32)[None, :, None]
        x, memories = CausalTransformer(c.layers, c.heads, c.window, name="trunk")(x, positions, memories)
        regression = self.param("regression", nn.initializers.zeros, (size, size), jnp.float32)
        return self._density(x, regression), memories

    def _density(self, x: Float[Array, "batch n width"], regression: Array) -> Density:
        c, size = self.config, len(regression)
        mixture, rest = c.components * c.mixed, size - c.mixed
        init = nn.initializers.variance_scaling(_HEAD_GAIN, "fan_in", "normal")
        outputs = nn.Dense(c.components + 2 * mixture + 2 * rest, kernel_init=init, name="density")(x)
        ends = (c.components, c.components + mixture, c.components + 2 * mixture, outputs.shape[-1] - rest)
        logits, means, deviations, rest_means, rest_deviations = jnp.split(outputs, ends, axis=-1)
        shape = (*x.shape[:2], c.components, c.mixed)
        return Density(
            jax.nn.log_softmax(logits),
            means.reshape(shape),
            _to_deviation(deviations).reshape(shape),
            rest_means,
            _to_deviation(rest_deviations),
            regression,
        )


def _to_deviation(x: Array) -> Array:
    return _MIN_DEVIATION + jax.nn.softplus(x + _UNIT)
