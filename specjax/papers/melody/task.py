"""Training tasks of the melody paper: the base class of its GANs, and the GAN of mel spectrograms."""

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.engine.adversarial import AdversarialTask, Batch, Gan, Values
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.measure.auc import discriminator_auc
from specjax.papers.melody import data, evaluation, metrics, pieces
from specjax.papers.melody.augment import augment_clip
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.images import ImagesConfig
from specjax.papers.melody.inference import GanInference
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import FRAMES
from specjax.papers.melody.wave.config import WaveConfig


class MusicGanTask(AdversarialTask):
    """Base class of the GANs of music: ensembles over genres, metrics and warnings."""

    config: GanConfig | ImagesConfig | WaveConfig

    @property
    def ensemble(self) -> bool:
        return self.config.ensemble

    @property
    def models(self) -> int:
        return len(self.config.data.genres) if self.config.ensemble else 1

    def alarms(self, metrics_: Mapping[str, float]) -> tuple[str, ...]:
        """Return warnings if the discriminator has won, or if the generator has collapsed or is silent."""
        return (*super().alarms(metrics_), *metrics.alarms(metrics_))

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute the AUC of the discriminator and the metrics of `evaluation.summarize` on the held-out set."""
        valid = measures["valid"].astype(bool)
        auc = discriminator_auc(measures["real_score"][valid], measures["fake_score"][valid])
        return {"eval/auc": auc, **evaluation.summarize(measures)}


@dataclass(frozen=True)
class GanTask(MusicGanTask):
    """Training task of the GAN that generates mel spectrograms.

    config: settings, with the genres and the statistics filled in.
    name: name of the task.
    """

    config: GanConfig
    name: str = "melody/gan"

    @cached_property
    def inference(self) -> GanInference:
        """Both networks, with functions that generate and score clips."""
        return GanInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        count = int(train.clips.max() if self.config.ensemble else train.clips.sum())
        return Data(train, held_out, count, int(held_out.clips.max()))

    def frozen(self) -> Tree:
        """Return the variables of the judge, if there is one."""
        return {} if self.inference.judge is None else {"judge": self.inference.judge.variables}

    def batch(self, examples: Music, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mel = jnp.asarray(examples.mel)
        if self.config.ensemble:
            clip = indices[None] % jnp.asarray(examples.clips)[:, None]
            values = jax.vmap(lambda mel, clip: mel[clip])(mel, clip)
            shares = jnp.ones((*clip.shape, 1))
        else:
            genre, clip = data.locate(examples, indices)
            values, shares = mel[genre, clip], jax.nn.one_hot(genre, self.inference.genres)
        values = self.config.representation.encode(values)
        return Batch(self._crop(key, values), shares)

    def _crop(
        self, key: Key[Array, ""], values: Float[Array, "*batch mels frames"]
    ) -> Float[Array, "*batch mels crop"]:
        """Crop clips at random positions to the duration of generated clips in training."""
        spare = FRAMES - self.inference.training_frames
        starts = jax.random.randint(key, values.shape[:-2], 0, spare + 1)

        def cut(start: Array, x: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(x, start, FRAMES - spare, axis=1)

        parts = jax.vmap(cut)(starts.reshape(-1), values.reshape(-1, *values.shape[-2:]))
        return parts.reshape(*values.shape[:-1], -1)

    def augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        """Augment real and fake clips independently, if this is enabled, and convert them by `GanInference.view`."""
        real, fake = self._augment(key, real, fake)
        return self.inference.view(real), self.inference.view(fake)

    def _augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        a = self.config.augment
        if not a.enabled:
            return real, fake
        keys = jax.random.split(key, (2, len(real)))
        augment_batch = jax.vmap(
            lambda key, x: augment_clip(key, x, self.config.representation, a.max_gain_db, a.time_masks, a.mel_masks)
        )
        return augment_batch(keys[0], real), augment_batch(keys[1], fake)

    def compare(self, fake: Values, batch: Batch) -> Metrics:
        """Compare levels and spread of a batch of generated clips with those of real ones."""
        decode = self.config.representation.decode
        return metrics.level_and_spread(decode(fake), decode(batch.values))

    def evaluate(
        self, state: Gan, examples: Music, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Generate a clip for every held-out clip with these indices, in every genre, and measure both.

        Returns:
          `score`, which the discriminator gives, and the measures of `evaluation.measure_clips`, with the leading axes
          (batch, genres).
        """
        representation, inference = self.config.representation, self.inference
        variables = self.generator_variables(state), self.discriminator_variables(state)
        judge = None if inference.judge is None else inference.judge.inference

        def measure(genre: int, keys: Key[Array, " batch"], real: Values) -> Metrics:
            if self.config.ensemble:
                (generator, discriminator), share = jax.tree.map(operator.itemgetter(genre), variables), jnp.ones(1)
            else:
                (generator, discriminator), share = variables, jax.nn.one_hot(genre, inference.genres)
            shares = jnp.broadcast_to(share[None], (len(keys), inference.genres))
            fake = inference.generate(generator, inference.draw_latents(keys), shares)
            return {
                "real_score": inference.score(discriminator, representation.encode(real), shares),
                "fake_score": inference.score(discriminator, fake, shares),
                **evaluation.measure_clips(real, representation.decode(fake), judge, frozen.get("judge")),
            }

        return evaluation.map_genres(measure, examples.mel, examples.clips, indices, key)

    def sample(self, state: Gan, examples: Music, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw clips of each genre, and make the sound of the first of each."""
        return pieces.sample_genres(self.inference, self.generator_variables(state), key)

    def parts(self, state: Gan, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the generator's variables, and the config."""
        return {"generator": Part(self.generator_variables(state), asdict(self.config))}
