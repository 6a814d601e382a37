"""Both networks of the GAN of waves, and inference with a trained generator: clips, longer pieces and loops."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.papers.melody.evaluation import OpenJudge, load_judge
from specjax.papers.melody.model import Latents, draw_latents
from specjax.papers.melody.representation import CLIP_SAMPLES, FRAMES, TRANSFORM, mel_power
from specjax.papers.melody.wave.config import WaveConfig
from specjax.papers.melody.wave.model import WaveDiscriminator, WaveGenerator

Variables = dict[str, Any]
Waves = Float[Array, "batch samples"]
Shares = Float[Array, "batch genres"]
Scores = Float[Array, " batch"]


@dataclass(frozen=True)
class WaveInference:
    """Methods that use the networks of a GAN of waves. Their variables are not stored here: methods take them.

    config: settings, with the names of the genres and the statistics filled in.
    any_length, loops, mixes_genres: all True, see `pieces.Generator`.
    """

    any_length: ClassVar[bool] = True
    loops: ClassVar[bool] = True
    mixes_genres: ClassVar[bool] = True

    config: WaveConfig

    @cached_property
    def generator(self) -> WaveGenerator:
        """The generator."""
        return WaveGenerator(self.config.model)

    @cached_property
    def discriminator(self) -> WaveDiscriminator:
        """The discriminator."""
        return WaveDiscriminator(self.config.model)

    @property
    def column_frames(self) -> int:
        """Number of frames of mel spectrograms of which a loop has a multiple: those of a column, at least 1."""
        return max(self.config.model.column_samples // TRANSFORM.hop_length, 1)

    @property
    def genres(self) -> int:
        """Number of genres."""
        return len(self.config.data.genres)

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
        shares, wave = jnp.zeros((1, self.genres)), jnp.zeros((1, self.config.window))
        generator = self.generator.init(generator_key, self.draw_latents(key[None]), shares)
        return dict(generator), dict(self.discriminator.init(discriminator_key, wave, shares))

    def draw_latents(self, keys: Key[Array, " batch"], columns: int | None = None) -> Latents:
        """Draw the latent variables of pieces of `columns` columns, one for each key; None: those of a window."""
        c = self.config.model
        return draw_latents(keys, c.whole_latents, c.local_latents, columns or self.config.window // c.column_samples)

    def generate(self, variables: Variables, latents: Latents, genre: Shares) -> Waves:
        """Generate the waves of all columns."""
        return cast(Waves, self.generator.apply(variables, latents, genre))

    def score(self, variables: Variables, wave: Waves, genre: Shares, key: Key[Array, ""] | None = None) -> Scores:
        """Compute scores of waves, higher for those that sound real. `key` is for phase shuffle; None disables it."""
        return cast(Scores, self.discriminator.apply(variables, wave, genre, key))

    def generate_in_training(self, variables: Variables, latents: Latents, genre: Shares) -> tuple[Waves, Variables]:
        """Generate waves; return them and the statistics of normalization layers, of which there are none."""
        return self.generate({"params": variables["params"]}, latents, genre), {}

    def score_in_training(
        self, variables: Variables, wave: Waves, genre: Shares, key: Key[Array, ""]
    ) -> tuple[Scores, Variables]:
        """Score waves with phase shuffle; return the scores and the statistics of normalization layers: none."""
        return self.score({"params": variables["params"]}, wave, genre, key), {}

    def generate_waves(
        self,
        variables: Variables,
        keys: Key[Array, " batch"],
        genre: Shares,
        frames: int = FRAMES,
        *,
        loop: bool = False,
    ) -> Waves:
        """Generate pieces, one for each key.

        Args:
          variables: variables of the generator.
          keys: random keys of the pieces.
          genre: share of each genre in each piece.
          frames: number of frames that the mel spectrograms of the pieces have; of a loop, a multiple of
            `column_frames`.
          loop: whether the end of a piece leads into its beginning.

        Returns:
          Waves in [-1, 1]: 10 s for 431 frames, otherwise the samples that the frames cover. Loops have
          `frames * hop_length` samples.
        """
        c, hop = self.config.model, TRANSFORM.hop_length
        samples = frames * hop if loop else CLIP_SAMPLES if frames == FRAMES else (frames - 1) * hop
        latents = self.draw_latents(keys, -(-samples // c.column_samples))
        if not loop:
            return self.generate(variables, latents, genre)[:, :samples]
        # Pad the columns circularly by the receptive field.
        reach = c.reach_columns
        wrapped = jnp.pad(latents.local, ((0, 0), (reach, reach), (0, 0)), mode="wrap")
        wave = self.generate(variables, latents._replace(local=wrapped), genre)
        return wave[:, reach * c.column_samples :][:, :samples]

    def generate_power(
        self,
        variables: Variables,
        keys: Key[Array, " batch"],
        genre: Shares,
        frames: int = FRAMES,
        *,
        loop: bool = False,
    ) -> Float[Array, "batch mels frames"]:
        """Generate pieces as `generate_waves`, and return their mel power."""
        return mel_power(self.generate_waves(variables, keys, genre, frames, loop=loop))[..., :frames]


def open_wave_generator(opened: Bundle, where: str) -> tuple[WaveInference, Any]:
    """Prepare a bundle of the task `melody/wave` for inference, see `bundle.open_part`.

    Returns:
      The description of the networks, and the variables of the generator.

    Raises:
      UserError: the bundle has another part than `generator`, invalid settings, or tensors that do not fit.
    """
    return bundle.open_part(
        opened, where, "generator", WaveConfig, WaveInference, lambda inference, key: inference.init(key)[0]
    )
