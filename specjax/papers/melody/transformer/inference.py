"""Inference with a trained transformer: the likelihood of clips, and pieces of any duration."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.causal_transformer import CausalTransformer, Memory
from specjax.papers.melody.blocks import to_coefficients, to_values
from specjax.papers.melody.representation import FRAMES
from specjax.papers.melody.transformer.config import TransformerConfig
from specjax.papers.melody.transformer.density import Density, draw, log_density
from specjax.papers.melody.transformer.model import BlockTransformer

Variables = dict[str, Any]
Values = Float[Array, "batch mels frames"]
Shares = Float[Array, "batch genres"]
Blocks = Float[Array, "batch blocks coefficients"]
Keys = Key[Array, " batch"]


class Generation(NamedTuple):
    """State of the generation of pieces: the latest block, and the key-value caches of the network's layers."""

    block: Blocks
    memories: tuple[Memory, ...]


@dataclass(frozen=True)
class TransformerInference:
    """Methods that use the network. Its variables are not stored here: methods take them as an argument.

    config: settings, with the names of the genres and the statistics filled in.
    any_length, loops, mixes_genres: see `pieces.Generator`.
    """

    config: TransformerConfig
    any_length: ClassVar[bool] = True
    loops: ClassVar[bool] = False
    mixes_genres: ClassVar[bool] = True

    @cached_property
    def network(self) -> BlockTransformer:
        """The network."""
        return BlockTransformer(self.config.model)

    @property
    def column_frames(self) -> int:
        """Number of frames of a block."""
        return self.config.block_frames

    def init(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables of the network."""
        shares = jnp.zeros((1, len(self.config.data.genres)))
        return dict(self.network.init(key, jnp.zeros((1, 1, self.config.coefficients)), shares, jnp.arange(1)))

    def encode(self, values: Values) -> Blocks:
        """Divide spectrograms into blocks of coefficients with a mean square of 1."""
        return to_coefficients(values, self.config.block_frames) / self._deviations

    def decode(self, blocks: Blocks) -> Values:
        """Assemble spectrograms from blocks of coefficients: the inverse of `encode`."""
        return to_values(blocks * self._deviations, self.config.block_frames)

    @property
    def _deviations(self) -> Float[np.ndarray, "1 1 coefficients"]:
        return np.asarray(self.config.deviations, np.float32)[None, None]

    def log_likelihood(self, variables: Variables, blocks: Blocks, genre: Shares) -> Float[Array, " batch"]:
        """Compute the mean logarithm of the density of the values of spectrograms, in nats per value.

        Args:
          variables: variables of the network.
          blocks: the spectrograms, encoded.
          genre: share of each genre.
        """
        previous = jnp.pad(blocks, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        density, _ = self._predict(variables, previous, genre, jnp.arange(blocks.shape[1]))
        scale = np.mean(np.log(self._deviations))  # the values are not divided by the deviations
        return jnp.mean(log_density(density, blocks), axis=1) / blocks.shape[2] - scale

    def generate(self, variables: Variables, keys: Keys, genre: Shares, frames: int = FRAMES) -> Values:
        """Generate pieces, one for each key, block by block.

        Args:
          variables: variables of the network.
          keys: random keys of the pieces.
          genre: share of each genre in each piece.
          frames: number of frames.
        """

        def add_block(state: Generation, position: Int[Array, ""]) -> tuple[Generation, Blocks]:
            density, memories = self._predict(variables, state.block, genre, position[None], state.memories)
            block_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, position)
            block = draw(block_keys[:, None], density)
            return Generation(block, memories), block

        c = self.config.model
        memories = CausalTransformer(c.layers, c.heads, c.window).empty_memories(len(keys), c.width)
        start = Generation(jnp.zeros((len(keys), 1, self.config.coefficients)), memories)
        positions = jnp.arange(-(-frames // self.config.block_frames))
        _, blocks = jax.lax.scan(add_block, start, positions)
        return self.decode(jnp.swapaxes(blocks[:, :, 0], 0, 1))[..., :frames]

    def _predict(
        self,
        variables: Variables,
        previous: Blocks,
        genre: Shares,
        positions: Int[Array, " blocks"],
        memories: tuple[Memory, ...] | None = None,
    ) -> tuple[Density, tuple[Memory, ...]]:
        return cast(Any, self.network.apply(variables, previous, genre, positions, memories))

    def generate_power(
        self, variables: Variables, keys: Keys, genre: Shares, frames: int = FRAMES, *, loop: bool = False
    ) -> Values:
        """Generate the mel power of pieces, see `generate`. `loop` must be False."""
        return self.config.representation.decode(self.generate(variables, keys, genre, frames))


def open_transformer(opened: Bundle, where: str) -> tuple[TransformerInference, Any]:
    """Prepare a bundle of the task `melody/transformer` for inference, see `bundle.open_part`.

    Returns:
      The description of the network, and its variables.

    Raises:
      UserError: the bundle has another part than `transformer`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(
        opened, where, "transformer", TransformerConfig, TransformerInference, TransformerInference.init
    )
