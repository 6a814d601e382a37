"""Training task of the judge: classification of real pictures by era."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Int32, Key

from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Tree
from specjax.engine.train_state import TrainState
from specjax.measure.classification import measure_predictions, summarize_predictions
from specjax.papers.mvnet import data
from specjax.papers.mvnet.augment import augment_pictures
from specjax.papers.mvnet.data import Paintings
from specjax.papers.mvnet.judge import JudgeConfig, JudgeInference
from specjax.papers.mvnet.pictures import to_values

_COMBINED = 64  # pictures from which the moments of a noise picture are computed


class Batch(NamedTuple):
    """Inputs of one update: augmented pictures as values, and their eras."""

    values: Float[Array, "batch 64 64 3"]
    era: Int32[Array, " batch"]


@dataclass(frozen=True)
class JudgeTask(SingleNetworkTask):
    """Training task of the judge.

    config: settings, with the eras filled in.
    name: name of the task.
    """

    config: JudgeConfig
    name: str = "mvnet/judge"
    headline: tuple[str, ...] = ("loss", "accuracy")

    @cached_property
    def inference(self) -> JudgeInference:
        """The network, with functions that judge pictures."""
        return JudgeInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load_paintings(self.config.data)
        return Data(train, held_out, len(train.era), len(held_out.era))

    def batch(self, examples: Paintings, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mirror_key, augment_key, noise_key = jax.random.split(key, 3)
        values, era = to_values(jnp.asarray(examples.pixels)[indices]), jnp.asarray(examples.era)[indices]
        if count := round(self.config.noise * len(indices)):
            values = jnp.concatenate(
                [values[:-count], draw_noise(jax.random.split(noise_key, count), examples, era[-count:])]
            )
            era = era.at[-count:].set(len(self.config.data.eras))
        mirrored = jax.vmap(lambda i: jax.random.bernoulli(jax.random.fold_in(mirror_key, i)))(jnp.arange(len(indices)))
        values = jnp.where(mirrored[:, None, None, None], values[:, :, ::-1], values)
        return Batch(augment_pictures(augment_key, values, self.config.augment), era)

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        verdict, updates = self.inference.network.apply(
            variables, batch.values, training=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(verdict.logits, batch.era))
        right = jnp.argmax(verdict.logits, axis=1) == batch.era
        return Loss(loss, {"accuracy": jnp.mean(right)}, updates["batch_stats"])

    def evaluate(
        self, state: TrainState, examples: Paintings, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        era = jnp.asarray(examples.era)[indices]
        variables = self.inference_variables(state)
        verdict = self.inference.judge(variables, to_values(jnp.asarray(examples.pixels)[indices]))
        measured = {"era": era, **measure_predictions(verdict.logits, era)}
        if self.config.noise:
            noise = draw_noise(jax.vmap(jax.random.fold_in, (None, 0))(key, indices), examples, era)
            measured["noise_recognized"] = self.inference.is_noise(self.inference.judge(variables, noise))
        return measured

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute accuracies in [0, 1], the cross-entropy in nats, and the number of held-out pictures.

        `eval/noise` is the fraction of noise pictures that are classified as noise, if there is a noise class.
        """
        metrics = summarize_predictions(measures["guess"], measures["cross_entropy"], measures["era"], "era")
        if "noise_recognized" in measures:
            metrics["eval/noise"] = float(np.mean(measures["noise_recognized"]))
        return {**metrics, "eval/pictures": float(len(measures["era"]))}

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"judge": Part(self.inference_variables(state), asdict(self.config))}


def draw_noise(
    keys: Key[Array, " batch"], paintings: Paintings, era: Int32[Array, " batch"]
) -> Float[Array, "batch 64 64 3"]:
    """Draw normally distributed pictures with the mean and the covariance of a few random pictures of an era.

    Args:
      keys: random key of each picture to draw.
      paintings: pictures, sorted by era.
      era: era of each picture to draw.
    """
    pixels, eras = jnp.asarray(paintings.pixels), jnp.asarray(paintings.era)

    def draw(key: Key[Array, ""], era: Int32[Array, ""]) -> Float[Array, "64 64 3"]:
        choice_key, weight_key = jax.random.split(key)
        first, end = jnp.searchsorted(eras, jnp.stack([era, era + 1]))
        values = to_values(pixels[jax.random.randint(choice_key, (_COMBINED,), first, end)])
        mean, weights = jnp.mean(values, axis=0), jax.random.normal(weight_key, (_COMBINED,))
        drawn = mean + jnp.tensordot(weights, values - mean[None], 1) / np.float32(np.sqrt(_COMBINED))
        return jnp.clip(drawn, -1.0, 1.0)

    return jax.vmap(draw)(keys, era)
