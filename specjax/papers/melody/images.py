"""The paper's first approach: a GAN for each genre that draws pictures of mel spectrograms. Pictures have no sound."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.nn.adversarial import LOSSES, LossName, PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.papers.melody import pictures
from specjax.papers.melody.config import PAPER_OPTIMIZER
from specjax.papers.melody.paper_model import LATENT, PaperDiscriminator, PaperGenerator
from specjax.papers.melody.pictures import CHANNELS, HEIGHT, WIDTH
from specjax.papers.melody.tracks import MusicConfig

Variables = dict[str, Any]
Latents = Float[Array, "batch latent"]
Values = Float[Array, "batch height width 4"]
Shares = Float[Array, "batch 1"]
Scores = Float[Array, " batch"]

GENERATOR, DISCRIMINATOR = PaperGenerator("images"), PaperDiscriminator("images")


@dataclass(frozen=True)
class ImagesConfig:
    """Settings of the task `melody/images`: a GAN for each genre that generates pictures.

    data: source of the pictures, see `pictures.load_pictures`.
    loss: name of the adversarial loss: `least_squares` (the paper's), `hinge`, `non_saturating` or `relativistic`.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    """

    data: MusicConfig = MusicConfig()
    loss: LossName = "least_squares"
    generator: OptimizerConfig = PAPER_OPTIMIZER
    discriminator: OptimizerConfig = PAPER_OPTIMIZER

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"loss={self.loss!r} is unknown: choose one of {', '.join(LOSSES)}")

    @property
    def ensemble(self) -> bool:
        """Whether each genre has its own pair of networks: always True."""
        return True

    @property
    def penalty(self) -> PenaltyConfig:
        """Gradient penalty: none, because the scores depend on the whole batch."""
        return PenaltyConfig()

    def resolve(self) -> "ImagesConfig":
        """Fill in the genres from the data source.

        Raises:
          UserError: the source is missing or has another layout.
        """
        return replace(self, data=pictures.resolve_genres(self.data))


@dataclass(frozen=True)
class ImagesInference:
    """Methods that use the networks. Their variables are not stored here: methods take them as an argument.

    Each genre has its own networks, so the argument `genre` is not used.

    config: settings, with the names of the genres filled in.
    """

    config: ImagesConfig

    def init(self, key: Key[Array, ""]) -> tuple[Variables, Variables]:
        """Initialize the variables of the generator and of the discriminator of one genre."""
        generator_key, discriminator_key = jax.random.split(key)
        generator = GENERATOR.init(generator_key, jnp.zeros((1, LATENT)))
        discriminator = DISCRIMINATOR.init(discriminator_key, jnp.zeros((1, HEIGHT, WIDTH, CHANNELS)))
        return dict(generator), dict(discriminator)

    def init_generators(self, key: Key[Array, ""]) -> Variables:
        """Initialize the variables of the generators of all genres, along a leading axis."""
        return jax.vmap(lambda key: self.init(key)[0])(jax.random.split(key, len(self.config.data.genres)))

    def draw_latents(self, keys: Key[Array, " batch"]) -> Latents:
        """Draw the latent vectors of pictures, one for each key."""
        return jax.vmap(lambda key: jax.random.normal(key, (LATENT,)))(keys)

    def generate(self, variables: Variables, latents: Latents) -> Values:
        """Generate pictures of one genre, as values in [-1, 1]."""
        return cast(Values, GENERATOR.apply(variables, latents))

    def score(self, variables: Variables, values: Values) -> Scores:
        """Compute the discriminator's scores of pictures of one genre, higher for those that look real."""
        return cast(Scores, DISCRIMINATOR.apply(variables, values))

    def generate_in_training(self, variables: Variables, latents: Latents, genre: Shares) -> tuple[Values, Variables]:
        """Generate pictures as in training; return them and the updated statistics of the normalization layers."""
        values, updates = GENERATOR.apply(variables, latents, training=True, mutable=["batch_stats"])
        return values, updates["batch_stats"]

    def score_in_training(
        self, variables: Variables, values: Values, genre: Shares, key: Key[Array, ""]
    ) -> tuple[Scores, Variables]:
        """Score pictures as in training; return the scores and the updated statistics of the normalization layers.

        `key` is not used.
        """
        scores, updates = DISCRIMINATOR.apply(variables, values, training=True, mutable=["batch_stats"])
        return scores, updates["batch_stats"]

    @partial(jax.jit, static_argnums=0)
    def draw(
        self, variables: Variables, keys: Key[Array, " pictures"], genre: Int[Array, " pictures"]
    ) -> UInt8[Array, "pictures height width 4"]:
        """Draw pictures, one for each key.

        Args:
          variables: variables of the generators of all genres.
          keys: random keys of the pictures.
          genre: index of the genre of each picture.

        Returns:
          Red, green, blue and alpha from 0 to 255.
        """

        def draw_one(latents: Float[Array, " latent"], model: Int[Array, ""]) -> UInt8[Array, "height width 4"]:
            own = jax.tree.map(lambda x: jnp.asarray(x)[model], variables)
            return pictures.to_pixels(self.generate(own, latents[None])[0])

        return jax.lax.map(lambda x: draw_one(*x), (self.draw_latents(keys), genre))


def open_images(opened: Bundle, where: str) -> tuple[ImagesInference, Any]:
    """Prepare a bundle of the task `melody/images` for inference, see `bundle.open_part`.

    Returns:
      The description of the networks, and the variables of the generators.

    Raises:
      UserError: the bundle has another part than `generator`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(opened, where, "generator", ImagesConfig, ImagesInference, ImagesInference.init_generators)
