"""Causal transformer of sequences of vectors, with a memory for generation one position at a time.

Layers normalize their inputs (pre-norm). Each position attends to itself and to the positions shortly before it, and
knows only their distances (rotary position embedding, Su et al. 2021). So a sequence may be longer than those of the
training, and the memory of earlier positions has a constant size.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Vectors = Float[Array, "batch n width"]
Heads = Float[Array, "batch n heads size"]

_HIDDEN = 4  # width of the hidden layers, relative to that of the network


class Memory(NamedTuple):
    """Keys and values of earlier positions, to which the attention of one layer looks back.

    Attributes:
      keys: keys, rotated by their positions.
      values: values.
      positions: position in each slot.
    """

    keys: Float[Array, "batch slots heads size"]
    values: Float[Array, "batch slots heads size"]
    positions: Int[Array, " slots"]

    def write(self, new: "Memory") -> "Memory":
        """Return the memory with the content of `new`, which takes the slots of the oldest positions."""
        slots = new.positions % len(self.positions)
        return Memory(
            self.keys.at[:, slots].set(new.keys),
            self.values.at[:, slots].set(new.values),
            self.positions.at[slots].set(new.positions),
        )


class CausalTransformer(nn.Module):
    """Stack of attention and feed-forward layers, each added to its input.

    Attributes:
      layers: number of attention layers, and of feed-forward layers.
      heads: number of attention heads, which divides the width.
      window: number of positions to which a position attends, including itself.
    """

    layers: int
    heads: int
    window: int

    @nn.compact
    def __call__(
        self, x: Vectors, positions: Int[Array, " n"], memories: tuple[Memory, ...] | None = None
    ) -> tuple[Vectors, tuple[Memory, ...]]:
        """Apply the network to whole sequences, or to the next position of sequences.

        Args:
          x: vectors at adjacent positions.
          positions: their positions, from 0.
          memories: memory of each layer, with `window` slots; then `x` is the next position alone. None: the sequences
            begin with `x`.

        Returns:
          Outputs of the same shape, normalized, and the memory of each layer, which includes `x`.
        """
        gain = 0.5 / self.layers  # of the variance of each of the 2 * layers terms that are added to the input
        new = []
        for i in range(self.layers):
            attention = Attention(self.heads, self.window, gain, name=f"attention{i}")
            y, memory = attention(
                nn.RMSNorm(name=f"attention_norm{i}")(x), positions, memories[i] if memories else None
            )
            new.append(memory)
            x = x + y
            x = x + FeedForward(gain, name=f"feed_forward{i}")(nn.RMSNorm(name=f"feed_forward_norm{i}")(x))
        return nn.RMSNorm(name="norm")(x), tuple(new)

    def empty_memories(self, batch: int, width: int) -> tuple[Memory, ...]:
        """Return the memories before the first position of `batch` sequences of vectors of size `width`."""
        empty = jnp.zeros((batch, self.window, self.heads, width // self.heads))
        # These positions are so far back that no position attends to them.
        return (Memory(empty, empty, jnp.full(self.window, -self.window)),) * self.layers


class Attention(nn.Module):
    """Attention of each position to itself and the positions before it.

    Attributes:
      heads: number of heads.
      window: number of positions to which a position attends, including itself.
      gain: variance of the outputs at the start, for values of variance 1.
    """

    heads: int
    window: int
    gain: float

    @nn.compact
    def __call__(self, x: Vectors, positions: Int[Array, " n"], memory: Memory | None = None) -> tuple[Vectors, Memory]:
        width = x.shape[-1]
        projected = nn.DenseGeneral((3, self.heads, width // self.heads), use_bias=False, name="input")(x)
        queries, keys, values = jnp.moveaxis(projected, 2, 0)
        queries, keys = (rotate(y, positions, self.window) for y in (queries, keys))
        new = Memory(keys, values, positions)
        memory = new if memory is None else memory.write(new)
        distance = positions[:, None] - memory.positions[None, :]
        visible = (distance >= 0) & (distance < self.window)
        y = jax.nn.dot_product_attention(queries, memory.keys, memory.values, mask=visible[None, None])
        init = nn.initializers.variance_scaling(self.gain, "fan_in", "normal")
        return nn.DenseGeneral(width, (-2, -1), use_bias=False, kernel_init=init, name="output")(y), memory


class FeedForward(nn.Module):
    """Two dense layers with a GELU between them, applied to each position.

    Attributes:
      gain: variance of the outputs at the start, for hidden values of mean square 1.
    """

    gain: float

    @nn.compact
    def __call__(self, x: Vectors) -> Vectors:
        width = x.shape[-1]
        hidden = nn.gelu(nn.Dense(_HIDDEN * width, name="input")(x))
        init = nn.initializers.variance_scaling(self.gain, "fan_in", "normal")
        return nn.Dense(width, kernel_init=init, name="output")(hidden)


def rotate(x: Heads, positions: Int[Array, " n"], window: int) -> Heads:
    """Rotate queries or keys by angles proportional to their positions, so that products depend on distances only.

    Entry i of the first half of a vector and entry i of the second half are the coordinates that are rotated together.

    Args:
      x: queries or keys of even size.
      positions: their positions.
      window: greatest distance that matters. The periods lie between 2 pi and 2 pi times this distance.
    """
    half = x.shape[-1] // 2
    speed = float(window) ** (-jnp.arange(half) / half)
    angle = positions.astype(jnp.float32)[:, None] * speed[None, :]
    cos, sin = jnp.cos(angle)[None, :, None, :], jnp.sin(angle)[None, :, None, :]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
