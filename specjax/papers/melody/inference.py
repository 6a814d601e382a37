"""Both networks of the GAN, and inference with a trained generator: clips, longer pieces and loops."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.residual import Padding
from specjax.nn.spectral_norm import spectral_normalize
from specjax.papers.melody.blocks import to_coefficients, to_values
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.evaluation import OpenJudge, load_judge
from specjax.papers.melody.model import (
    BLOCK_FRAMES,
    COLUMN_FRAMES,
    Discriminator,
    Generator,
    Latents,
    draw_latents,
)
from specjax.papers.melody.paper_model import LATENT, PaperDiscriminator, PaperGenerator
from specjax.papers.melody.representation import FRAMES, MELS

Variables = dict[str, Any]
Values = Float[Array, "batch mels frames"]
Shares = Float[Array, "batch genres"]
Scores = Float[Array, " batch"]


@dataclass(frozen=True)
class GanInference:
    """Methods that use the networks of a GAN. Their variables are not stored here: methods take them as an argument.

    config: settings, with the names of the genres and the statistics filled in.
    """

    config: GanConfig

    @cached_property
    def generator(self) -> nn.Module:
        """The generator."""
        return self._make_generator("zeros")

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminator."""
        c = self.config
        if c.approach == "residual":
            return Discriminator(c.model)
        return PaperDiscriminator(c.approach, batch_norm=not c.spectral_norm)

    def _make_generator(self, padding: Padding) -> nn.Module:
        c = self.config
        return Generator(c.model, padding) if c.approach == "residual" else PaperGenerator(c.approach)

    @property
    def column_frames(self) -> int:
        """Number of frames per local latent vector; the number of frames of a clip if the duration is fixed."""
        return COLUMN_FRAMES if self.config.approach == "residual" else FRAMES

    @property
    def training_frames(self) -> int:
        """Number of frames of the clips in training."""
        return self.config.columns * COLUMN_FRAMES if self.config.approach == "residual" else FRAMES

    @property
    def any_length(self) -> bool:
        """Whether it can generate pieces of any duration, not only clips of 10 s."""
        return self.config.approach == "residual"

    @property
    def loops(self) -> bool:
        """Whether it can generate loops."""
        return self.any_length

    @property
    def mixes_genres(self) -> bool:
        """Whether one network generates all genres and mixtures of them."""
        return not self.config.ensemble

    @property
    def genres(self) -> int:
        """Number of genres per generator: 1 in an ensemble."""
        return 1 if self.config.ensemble else len(self.config.data.genres)

    @cached_property
    def judge(self) -> OpenJudge | None:
        """The judge that the config names; None without one.

        Raises:
          UserError: the bundle is missing or damaged, or the judge was trained on other genres.
        """
        return load_judge(self.config.judge, self.config.data.genres)

    def init(self, key: Key[Array, ""]) -> tuple[Variables, Variables]:
        """Initialize the variables of the generator and of the discriminator."""
        generator_key, discriminator_key = jax.random.split(key)
        shares, values = jnp.zeros((1, self.genres)), jnp.zeros((1, MELS, FRAMES))
        latents = self.draw_latents(key[None])
        generator = self.generator.init(generator_key, *self._generator_inputs(latents, shares))
        discriminator = self.discriminator.init(
            discriminator_key, *self._discriminator_inputs(self.view(values), shares)
        )
        return dict(generator), dict(discriminator)

    def init_generators(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables of the generator; in an ensemble those of all genres, along a leading axis."""
        if not self.config.ensemble:
            return self.init(key)[0]
        return jax.vmap(lambda key: self.init(key)[0])(jax.random.split(key, len(self.config.data.genres)))

    def draw_latents(self, keys: Key[Array, " batch"], frames: int = FRAMES) -> Latents:
        """Draw the latent variables of pieces of at least `frames` frames, one for each key."""
        c = self.config
        # The paper's networks have no local latent vectors.
        sizes = (c.model.whole_latents, c.model.local_latents) if c.approach == "residual" else (LATENT, 0)
        return draw_latents(keys, *sizes, -(-frames // self.column_frames))

    def view(self, values: Values) -> Float[Array, "batch ..."]:
        """Convert clips to the input of the discriminator.

        Returns:
          For `residual` the coefficients of the blocks of whole columns, divided by a power of their deviations (see
          `GanConfig.whitening`), and then so that their mean square is 1; for the other approaches the values.
        """
        c = self.config
        if c.approach != "residual":
            return values
        used = values.shape[2] // COLUMN_FRAMES * COLUMN_FRAMES
        divisor = self._deviations**c.whitening
        divisor = divisor * np.sqrt(np.mean((self._deviations / divisor) ** 2))
        return to_coefficients(values[:, :, :used], BLOCK_FRAMES) / divisor

    @property
    def _deviations(self) -> Float[np.ndarray, "1 1 coefficients"]:
        return np.asarray(self.config.deviations, np.float32)[None, None]

    def _generator_inputs(self, latents: Latents, genre: Shares) -> tuple[Any, ...]:
        return (latents, genre) if self.config.approach == "residual" else (latents.whole,)

    def _discriminator_inputs(self, seen: Float[Array, "batch ..."], genre: Shares) -> tuple[Array, ...]:
        return (seen, genre) if self.config.approach == "residual" else (seen[..., None],)

    def _to_values(self, output: Array) -> Values:
        if self.config.approach != "residual":
            return output[..., 0]
        return to_values(output * self._deviations, BLOCK_FRAMES)

    def generate(
        self, variables: Variables, latents: Latents, genre: Shares, frames: int = FRAMES, *, loop: bool = False
    ) -> Values:
        """Generate pieces of `frames` frames.

        Args:
          variables: variables of the generator.
          latents: latent variables for at least as many frames.
          genre: share of each genre in each piece.
          frames: number of frames.
          loop: whether the last frame continues into the first one.
        """
        network = self._make_generator("circular") if loop else self.generator
        output = network.apply(variables, *self._generator_inputs(latents, genre))
        return self._to_values(cast(Array, output))[..., :frames]

    def score(self, variables: Variables, values: Values, genre: Shares) -> Scores:
        """Compute the discriminator's scores of clips, higher for those that look real."""
        inputs = self._discriminator_inputs(self.view(values), genre)
        return cast(Scores, self.discriminator.apply(self._normalize(variables), *inputs))

    def _normalize(self, variables: Variables) -> Variables:
        """Normalize the kernels of the discriminator, if the config says so."""
        if not self.config.spectral_norm:
            return variables
        # The kernels of residual branches start at zero, so only singular values above 1 are reduced.
        floor = 1.0 if self.config.approach == "residual" else 1e-6
        return variables | {"params": spectral_normalize(variables["params"], floor)}

    def generate_in_training(self, variables: Variables, latents: Latents, genre: Shares) -> tuple[Values, Variables]:
        """Generate clips as in training; return them and the updated statistics of the normalization layers."""
        if self.config.approach == "residual":
            latents = latents._replace(local=latents.local[:, : self.config.columns])
            return self.generate(variables, latents, genre, self.training_frames), {}
        inputs = self._generator_inputs(latents, genre)
        output, updates = self.generator.apply(variables, *inputs, training=True, mutable=["batch_stats"])
        return self._to_values(output), updates["batch_stats"]

    def score_in_training(
        self, variables: Variables, seen: Float[Array, "batch ..."], genre: Shares, key: Key[Array, ""]
    ) -> tuple[Scores, Variables]:
        """Score clips as in training; return the scores and the updated statistics of the normalization layers.

        Args:
          variables: variables of the discriminator.
          seen: the clips, as `view` returns them.
          genre: share of each genre.
          key: not used.
        """
        inputs = self._discriminator_inputs(seen, genre)
        scores, updates = self.discriminator.apply(
            self._normalize(variables), *inputs, training=True, mutable=["batch_stats"]
        )
        return scores, updates.get("batch_stats", {})

    def generate_power(
        self,
        variables: Variables,
        keys: Key[Array, " batch"],
        genre: Shares,
        frames: int = FRAMES,
        *,
        loop: bool = False,
    ) -> Values:
        """Generate the mel power of pieces, one for each key.

        Args:
          variables: variables of the generator; those of all genres in an ensemble.
          keys: random keys of the pieces.
          genre: weight of each genre in each piece; an ensemble uses the network of the genre with the largest weight.
          frames: number of frames; of a loop, a multiple of `column_frames`.
          loop: whether the last frame of a piece continues into its first one.

        Raises:
          ValueError: the networks generate clips of a fixed duration only, and `frames` or `loop` asks for something
            else.
        """
        if (frames > FRAMES and not self.any_length) or (loop and not self.loops):
            raise ValueError(
                f"networks of approach {self.config.approach!r} write {FRAMES} frames, not {frames} or loops"
            )
        latents = self.draw_latents(keys, frames)
        if self.config.ensemble:
            values = self._generate_with_ensemble(variables, latents, jnp.argmax(genre, axis=1), frames, loop)
        else:
            values = self.generate(variables, latents, genre, frames, loop=loop)
        return self.config.representation.decode(values)

    def _generate_with_ensemble(
        self, variables: Variables, latents: Latents, model: Int[Array, " batch"], frames: int, loop: bool
    ) -> Values:
        """Generate each piece with the network `model` of an ensemble."""

        def generate_one(latents: Latents, model: Int[Array, ""]) -> Float[Array, "mels frames"]:
            own = jax.tree.map(lambda x: jnp.asarray(x)[model], variables)
            return self.generate(own, jax.tree.map(lambda x: x[None], latents), jnp.ones((1, 1)), frames, loop=loop)[0]

        return jax.lax.map(lambda x: generate_one(*x), (latents, model))


def open_generator(opened: Bundle, where: str) -> tuple[GanInference, Any]:
    """Prepare a bundle of the task `melody/gan` for inference, see `bundle.open_part`.

    Returns:
      The description of the networks, and the variables of the generator.

    Raises:
      UserError: the bundle has another part than `generator`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(opened, where, "generator", GanConfig, GanInference, GanInference.init_generators)
