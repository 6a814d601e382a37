"""Training task of the paper's first approach: GANs of pictures of mel spectrograms."""

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from specjax.engine.adversarial import Batch, Gan
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.measure.auc import discriminator_auc
from specjax.measure.comparison import NEIGHBORS, compare_embeddings
from specjax.measure.spread import relative_spread
from specjax.papers.melody import evaluation, pictures
from specjax.papers.melody.images import ImagesConfig, ImagesInference, Values
from specjax.papers.melody.pictures import Pictures
from specjax.papers.melody.representation import SAMPLE_RATE
from specjax.papers.melody.task import MusicGanTask

_SAMPLES = 4  # pictures of each genre in the sheet that is made during training


@dataclass(frozen=True)
class ImagesTask(MusicGanTask):
    """Training task of GANs that draw pictures of mel spectrograms, one for each genre.

    config: settings, with the genres filled in.
    name: name of the task.
    """

    config: ImagesConfig
    name: str = "melody/images"

    @cached_property
    def inference(self) -> ImagesInference:
        """Both networks, with functions that generate and score pictures."""
        return ImagesInference(self.config)

    def load(self) -> Data:
        train, held_out = pictures.load_pictures(self.config.data)
        return Data(train, held_out, int(train.pictures.max()), int(held_out.pictures.max()))

    def frozen(self) -> Tree:
        """Return an empty dict, because there are no frozen inputs."""
        return {}

    def batch(self, examples: Pictures, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        number = indices[None] % jnp.asarray(examples.pictures)[:, None]
        pixels = jax.vmap(lambda pixels, number: pixels[number])(jnp.asarray(examples.pixels), number)
        return Batch(pictures.to_values(pixels), jnp.ones((*number.shape, 1)))

    def compare(self, fake: Values, batch: Batch) -> Metrics:
        """Compare the spread of a batch of generated pictures with that of real ones."""
        return {"spread": relative_spread(fake, batch.values)}

    def evaluate(
        self, state: Gan, examples: Pictures, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Generate a picture for every held-out picture with these indices, in every genre, and measure both.

        Returns:
          `real_` and `fake_` with `score` and `thumbnail`, the values of the shrunken picture, with the leading axes
          (batch, genres).
        """
        variables = self.generator_variables(state), self.discriminator_variables(state)

        def measure(genre: int, keys: Key[Array, " batch"], pixels: UInt8[Array, "batch height width 4"]) -> Metrics:
            generator, discriminator = jax.tree.map(operator.itemgetter(genre), variables)
            fake = self.inference.generate(generator, self.inference.draw_latents(keys))
            measured = {}
            for kind, values in (("real", pictures.to_values(pixels)), ("fake", fake)):
                measured[f"{kind}_score"] = self.inference.score(discriminator, values)
                measured[f"{kind}_thumbnail"] = pictures.shrink(values).reshape(len(values), -1)
            return measured

        return evaluation.map_genres(measure, examples.pixels, examples.pictures, indices, key)

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute metrics of the held-out pictures and of as many generated ones.

        Returns:
          AUC of the discriminator; spread of the pictures of a genre, relative to real ones, averaged over the genres;
          number of pictures; if there are enough, PRDC and the kernel distance between the thumbnails.
        """
        valid = measures["valid"].astype(bool)
        real, fake = (measures[f"{kind}_thumbnail"] for kind in ("real", "fake"))
        spreads = [
            float(relative_spread(jnp.asarray(fake[chosen, genre]), jnp.asarray(real[chosen, genre])))
            for genre, chosen in enumerate(valid.T)
        ]
        metrics = {
            "eval/auc": discriminator_auc(measures["real_score"][valid], measures["fake_score"][valid]),
            "eval/spread": float(np.mean(spreads)),
            "eval/pictures": float(valid.sum()),
        }
        if valid.sum() <= NEIGHBORS:
            return metrics
        return metrics | compare_embeddings(real[valid], fake[valid])

    def sample(self, state: Gan, examples: Pictures, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw pictures of each genre. They have no sound."""
        genres = self.config.data.genres
        keys = jax.random.split(key, len(genres) * _SAMPLES)
        numbers = jnp.repeat(jnp.arange(len(genres)), _SAMPLES)
        pixels = np.asarray(self.inference.draw(self.generator_variables(state), keys, numbers))
        sheet = pictures.draw_sheet(pixels.reshape(len(genres), _SAMPLES, *pixels.shape[1:]), genres)
        return Sample({"generated": sheet}, {}, SAMPLE_RATE)

    def parts(self, state: Gan, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the generators, and the config."""
        return {"generator": Part(self.generator_variables(state), asdict(self.config))}
