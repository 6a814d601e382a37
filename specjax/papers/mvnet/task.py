"""Training task of the GAN that paints pictures from music."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.engine.adversarial import AdversarialTask, Batch, Gan
from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.measure.auc import discriminator_auc
from specjax.measure.spread import relative_spread
from specjax.papers.mvnet import data, evaluation, pairing
from specjax.papers.mvnet.augment import augment_pictures
from specjax.papers.mvnet.conditions import ConditionConfig, Conditions, compute_conditions
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import Museum
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.inference import GanInference, OpenEncoder, load_encoder
from specjax.papers.mvnet.judge import OpenJudge, load_judge
from specjax.papers.mvnet.pictures import Values, collage, to_pixels, to_values
from specjax.papers.mvnet.refinement import Refiner, load_style

_CLIPS = 6  # clips of each era in a collage, and pictures per clip
_PAIRS = 2  # clips of each era whose pictures are shown beside generated ones
_BLOCK = 32  # clips per call of the encoder


class Gallery(NamedTuple):
    """Data set with precomputed conditions of the clips instead of their mel spectrograms.

    Attributes:
      museum: the data set, without mel spectrograms.
      condition: condition of each clip, from the frozen encoder.
      centroid_hz: spectral centroid of each clip.
    """

    museum: Museum
    condition: Float[np.ndarray, "clips condition"] | Float[Array, "clips condition"]
    centroid_hz: Float[np.ndarray, " clips"] | Float[Array, " clips"]


@dataclass(frozen=True)
class GanTask(AdversarialTask):
    """Training task of the GAN that paints pictures from music.

    config: settings, with the eras filled in.
    name: name of the task.
    """

    config: GanConfig
    name: str = "mvnet/cdcgan"

    @cached_property
    def encoder(self) -> OpenEncoder:
        """The frozen encoder that the config names.

        Raises:
          UserError: it is missing or damaged, or was trained on other eras.
        """
        return load_encoder(self.config.encoder, self.config.data.eras)

    @cached_property
    def judge(self) -> OpenJudge | None:
        """The judge that the config names; None without one.

        Raises:
          UserError: the bundle is missing or damaged, or the judge was trained on other eras.
        """
        return load_judge(self.config.judge, self.config.data.eras)

    @cached_property
    def refiner(self) -> Refiner | None:
        """The second stage that the config names; None without one.

        Raises:
          UserError: the bundle is missing or damaged, or its paintings are of other eras.
        """
        return load_style(self.config.style, self.config.data.eras)

    @cached_property
    def inference(self) -> GanInference:
        """Both networks, with functions that generate and score pictures."""
        return GanInference(self.config, self.config.condition.size(self.encoder.inference.config.embedding))

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs, see `AdversarialTask`.

        If the condition is faded in, they include `condition`, the factor by which it is multiplied.
        """
        values = super().live_values(steps)
        c = self.config.condition
        if c.fade_to:
            values["condition"] = LiveValue(lambda step: fade_in(c, step, steps), number_parser(0.0))
        return values

    def load(self) -> Data:
        """Load the data set, and compute the conditions of its clips.

        Raises:
          UserError: the data set or the encoder cannot be used.
        """
        train, held_out = data.load(self.config.data)
        return Data(
            self._describe(train),
            self._describe(held_out),
            pairing.count_pairs(train) if self.config.mirror else len(train.pairs),
            len(held_out.pairs),
        )

    def _describe(self, museum: Museum) -> Gallery:
        encoder, variables = self.encoder
        compute = jax.jit(partial(compute_conditions, self.config.condition, encoder))
        return Gallery(
            museum._replace(mel=museum.mel[:0]),
            data.map_blocks(lambda mel: compute(variables, mel), museum.mel, _BLOCK),
            data.map_blocks(lambda mel: measure_music(mel).centroid_hz, museum.mel, _BLOCK),
        )

    def frozen(self) -> Tree:
        """Return the variables of the encoder and, if there are any, of the judge and of the second stage."""
        judge = {} if self.judge is None else {"judge": self.judge.variables}
        style = {} if self.refiner is None else {"style": self.refiner.variables}
        return {"encoder": self.encoder.variables, **judge, **style}

    def batch(self, examples: Gallery, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        museum, c = examples.museum, self.config
        balance_key, pair_key = jax.random.split(key)
        if c.balanced:
            indices = balance(museum, len(c.data.eras), indices, balance_key, mirror=c.mirror)
        chosen = pairing.choose(museum, indices, pair_key, c.data.pairing)
        pixels = jnp.asarray(museum.pictures)[chosen.picture]
        pixels = jnp.where(chosen.mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
        return Batch(
            to_values(pixels),
            jnp.asarray(examples.condition)[chosen.clip],
            jax.nn.one_hot(jnp.asarray(museum.clip_era)[chosen.clip], len(c.data.eras)),
        )

    def step(
        self, state: Gan, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[Gan, Metrics]:
        """Update the discriminator, then the generator, after scaling the conditions and adding noise to them."""
        noise_key, key = jax.random.split(key)
        condition = batch.condition
        if self.config.condition.noise:
            condition = condition + self.config.condition.noise * jax.random.normal(noise_key, condition.shape)
        return super().step(
            state, batch._replace(condition=live.get("condition", jnp.ones(())) * condition), frozen, live, key
        )

    def augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        """Augment real and generated pictures independently."""
        both = augment_pictures(key, jnp.concatenate([real, fake]), self.config.augment)
        return both[: len(real)], both[len(real) :]

    def compare(self, fake: Values, batch: Batch) -> Metrics:
        """Compute the spread of the generated pictures within eras, relative to that of real ones."""
        return {"spread": relative_spread(fake, batch.values, batch.group)}

    def evaluate(
        self, state: Gan, examples: Gallery, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Measure the pictures of held-out pairs and two generated pictures for each (see `evaluation.summarize`)."""
        museum, inference = examples.museum, self.inference
        clip, picture = jnp.asarray(museum.pairs)[indices].T
        condition = jnp.asarray(examples.condition)[clip]
        real = to_values(jnp.asarray(museum.pictures)[picture])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
        fake_keys, twin_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        generator, discriminator = self.generator_variables(state), self.discriminator_variables(state)
        fake, twin = (
            inference.generate(generator, inference.draw_latents(k), condition) for k in (fake_keys, twin_keys)
        )
        judge = None if self.judge is None else self.judge.inference
        measured = {
            "clip": clip,
            "composition": jnp.asarray(museum.composition)[clip],
            "picture": picture,
            "era": jnp.asarray(museum.clip_era)[clip],
            "centroid_hz": jnp.asarray(examples.centroid_hz)[clip],
            "real_score": inference.score(discriminator, real, condition),
            "fake_score": inference.score(discriminator, fake, condition),
        }
        for kind, values in (("real", real), ("fake", fake), ("twin", twin)):
            measured |= evaluation.measure(values, kind, judge, frozen.get("judge"))
        return measured

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute the metrics of `evaluation.summarize`, and the discriminator's AUC on the held-out pairs."""
        auc = discriminator_auc(measures["real_score"], measures["fake_score"])
        return {"eval/auc": auc} | evaluation.summarize(measures)

    def sample(self, state: Gan, examples: Gallery, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw a collage for each era, as in figure 8, and generated pictures beside real ones, as in figure 7.

        A collage has one row for each of six clips, with six pictures each. `pairs` shows, for two clips of each era,
        the real picture of the pair and a generated picture below it.
        """
        museum, eras = examples.museum, self.config.data.eras
        clips = np.stack([choose_clips(museum, era) for era in range(len(eras))])
        conditions = np.repeat(np.asarray(examples.condition)[clips], _CLIPS, axis=1)
        generator, inference = self.generator_variables(state), self.inference

        @jax.jit
        def paint(keys: Key[Array, " batch"], condition: Conditions) -> Values:
            return inference.generate(generator, inference.draw_latents(keys), condition)

        keys = jax.random.split(key, conditions.shape[0] * conditions.shape[1]).reshape(len(eras), -1)
        painted = [to_pixels(paint(*own)) for own in zip(keys, conditions, strict=True)]
        pair = np.searchsorted(museum.pairs[:, 0], clips[:, :_PAIRS].ravel())
        generated = [own[: _PAIRS * _CLIPS : _CLIPS] for own in painted]
        return Sample(
            {
                **{f"collage_{name}": collage(own, _CLIPS) for name, own in zip(eras, painted, strict=True)},
                "pairs": collage(np.concatenate([museum.pictures[museum.pairs[pair, 1]], *generated]), len(pair)),
            },
            {},
            1,
        )

    def parts(self, state: Gan, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: generator, encoder and any second stage, with their configs."""
        portable = replace(self.config, encoder="", judge="", style="")  # a bundle opens without these folders
        parts = {
            "generator": Part(self.generator_variables(state), asdict(portable)),
            "encoder": Part(frozen["encoder"], asdict(self.encoder.inference.config)),
        }
        if self.refiner is not None:
            parts["style"] = Part(frozen["style"], asdict(self.refiner.inference.config))
        return parts


def fade_in(config: ConditionConfig, step: int | Array, steps: int) -> Float[Array, ""]:
    """Compute the factor of the condition at step `step` of `steps`."""
    width = max((config.fade_to - config.fade_from) * steps, 1.0)
    return jnp.clip((step - config.fade_from * steps) / width, 0.0, 1.0)


def balance(
    museum: Museum, eras: int, indices: Int[Array, " batch"], key: Key[Array, ""], *, mirror: bool
) -> Int[Array, " batch"]:
    """Draw random pairs, cycling through the eras.

    Args:
      museum: the data set.
      eras: number of eras.
      indices: indices of pairs; only their number matters.
      key: random key.
      mirror: whether half of the pairs have their picture mirrored.
    """
    count = len(museum.pairs)
    era_of_pair = jnp.asarray(museum.clip_era)[jnp.asarray(museum.pairs)[:, 0]]
    bounds = jnp.searchsorted(era_of_pair, jnp.arange(eras + 1))

    def draw(i: Int[Array, ""]) -> Int[Array, ""]:
        pair_key, mirror_key = jax.random.split(jax.random.fold_in(key, i))
        pair = jax.random.randint(pair_key, (), bounds[i % eras], bounds[i % eras + 1])
        return pair + count * jax.random.bernoulli(mirror_key).astype(pair.dtype) if mirror else pair

    return jax.vmap(draw)(jnp.arange(len(indices)))


def choose_clips(museum: Museum, era: int) -> Int[np.ndarray, " clips"]:
    """Choose the clips of an era for a collage: its first clips, repeated if there are fewer than needed."""
    return np.resize(np.flatnonzero(museum.clip_era == era), _CLIPS)
