"""Training task of the GAN that generates waves of music."""

from dataclasses import asdict, dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int16, Key

from specjax.engine.adversarial import Batch, Gan
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.papers.melody import data, evaluation, metrics, pieces
from specjax.papers.melody.representation import CLIP_SAMPLES, mel_power
from specjax.papers.melody.task import MusicGanTask
from specjax.papers.melody.wave.config import WaveConfig
from specjax.papers.melody.wave.inference import WaveInference
from specjax.papers.melody.wave_clips import Waves, decode_samples


@dataclass(frozen=True)
class WaveTask(MusicGanTask):
    """Training task of a GAN that generates waves of music in several genres.

    config: settings, with the genres and the statistics filled in.
    name: name of the task.
    """

    config: WaveConfig
    name: str = "melody/wave"

    @cached_property
    def inference(self) -> WaveInference:
        """Both networks, with functions that generate and score waves."""
        return WaveInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load_waves(self.config.data)
        return Data(train, held_out, int(train.clips.sum()), int(held_out.clips.max()))

    def frozen(self) -> Tree:
        """Return the variables of the judge, if there is one."""
        return {} if self.inference.judge is None else {"judge": self.inference.judge.variables}

    def batch(self, examples: Waves, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        """Gather windows of clips, at random positions."""
        window = self.config.window
        genre, clip = data.locate(examples, indices)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        start = jax.vmap(lambda key: jax.random.randint(key, (), 0, CLIP_SAMPLES - window + 1))(keys)
        wave = jnp.asarray(examples.wave)
        windows = jax.vmap(lambda *place: jax.lax.dynamic_slice(wave, place, (1, 1, window))[0, 0])(genre, clip, start)
        return Batch(decode_samples(windows), jax.nn.one_hot(genre, self.inference.genres))

    def compare(self, fake: Float[Array, "batch samples"], batch: Batch) -> Metrics:
        """Compare levels and spread of the mel power of generated waves with those of real ones."""
        return metrics.level_and_spread(mel_power(fake), mel_power(batch.values))

    def evaluate(
        self, state: Gan, examples: Waves, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Generate a clip for every held-out clip with these indices, in every genre, and measure both.

        Returns:
          `real_score` and `fake_score`, which the discriminator gives, and the measures of `evaluation.measure_clips`,
          with the leading axes (batch, genres).
        """
        inference = self.inference
        generator, discriminator = self.generator_variables(state), self.discriminator_variables(state)
        judge = None if inference.judge is None else inference.judge.inference

        def measure(genre: int, keys: Key[Array, " batch"], samples: Int16[Array, "batch samples"]) -> Metrics:
            shares = jnp.broadcast_to(jax.nn.one_hot(genre, inference.genres)[None], (len(keys), inference.genres))
            real, fake = decode_samples(samples), inference.generate_waves(generator, keys, shares)
            return {
                "real_score": inference.score(discriminator, real, shares),
                "fake_score": inference.score(discriminator, fake, shares),
                **evaluation.measure_clips(mel_power(real), mel_power(fake), judge, frozen.get("judge")),
            }

        return evaluation.map_genres(measure, examples.wave, examples.clips, indices, key)

    def sample(self, state: Gan, examples: Waves, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Generate clips of each genre, with the sound of the first of each."""
        return pieces.sample_genres(self.inference, self.generator_variables(state), key)

    def parts(self, state: Gan, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the generator's variables, and the config."""
        return {"generator": Part(self.generator_variables(state), asdict(self.config))}
