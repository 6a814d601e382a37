"""Training task of the judge: classification of clips of real music by genre."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Tree
from specjax.engine.train_state import TrainState
from specjax.measure.classification import measure_predictions, summarize_predictions
from specjax.papers.melody import data
from specjax.papers.melody.augment import augment_clip
from specjax.papers.melody.judge import JudgeConfig, JudgeInference
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.noise import draw_noise
from specjax.signal import augment

_COMBINED = 8  # clips from which the moments of a noise clip are computed


class Batch(NamedTuple):
    """Inputs of one update: augmented clips, and their targets (probabilities of the classes, mixed by mixup)."""

    values: Float[Array, "batch mels frames"]
    genre: Float[Array, "batch genres"]


@dataclass(frozen=True)
class JudgeTask(SingleNetworkTask):
    """Training task of the judge.

    config: settings, with the genres and statistics filled in.
    name: name of the task.
    """

    config: JudgeConfig
    name: str = "melody/judge"
    headline: tuple[str, ...] = ("loss", "accuracy")

    @cached_property
    def inference(self) -> JudgeInference:
        """The network, with functions that judge clips."""
        return JudgeInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        return Data(train, held_out, int(train.clips.sum()), int(held_out.clips.sum()))

    def batch(self, examples: Music, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        c = self.config
        noise_key, key = jax.random.split(key)
        genre, clip = data.locate(examples, indices)
        values = c.representation.encode(jnp.asarray(examples.mel)[genre, clip])
        if count := round(c.noise * len(indices)):
            noise = self._draw_noise(jax.random.split(noise_key, count), examples, genre[-count:])
            values = jnp.concatenate([values[:-count], noise])
            genre = genre.at[-count:].set(len(c.data.genres))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        augment_keys, mixup_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        values = jax.vmap(
            lambda key, x: augment_clip(key, x, c.representation, c.max_gain_db, c.time_masks, c.mel_masks)
        )(augment_keys, values)
        shares = jax.nn.one_hot(genre, c.classes)
        if not c.mixup:
            return Batch(values, shares)
        share = jax.vmap(lambda key: jax.random.beta(key, c.mixup, c.mixup))(mixup_keys)
        # The order of a batch is random, so its neighbors are random partners.
        partner = jnp.roll(jnp.arange(len(indices)), 1)
        return Batch(augment.mixup(share, partner, values), augment.mixup(share, partner, shares))

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        verdict, updates = self.inference.network.apply(
            variables, batch.values, training=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        loss = jnp.mean(optax.softmax_cross_entropy(verdict.logits, batch.genre))
        right = jnp.argmax(verdict.logits, axis=1) == jnp.argmax(batch.genre, axis=1)
        return Loss(loss, {"accuracy": jnp.mean(right)}, updates["batch_stats"])

    def evaluate(
        self, state: TrainState, examples: Music, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        genre, clip = data.locate(examples, indices)
        variables, c = self.inference_variables(state), self.config
        verdict = self.inference.judge(variables, jnp.asarray(examples.mel)[genre, clip])
        measured = {"genre": genre, **measure_predictions(verdict.logits, genre)}
        if c.noise:
            noise = self._draw_noise(jax.vmap(jax.random.fold_in, (None, 0))(key, indices), examples, genre)
            verdict = self.inference.judge(variables, c.representation.decode(noise))
            measured["noise_recognized"] = self.inference.is_noise(verdict)
        return measured

    def _draw_noise(
        self, keys: Key[Array, " batch"], music: Music, genre: Int[Array, " batch"]
    ) -> Float[Array, "batch mels frames"]:
        """Draw noise with the moments of a few random clips of a genre, on the scale of the judge.

        Args:
          keys: random key of each clip to draw.
          music: the clips.
          genre: genre of each clip to draw.
        """

        def draw(key: Key[Array, ""], genre: Int[Array, ""]) -> Float[Array, "mels frames"]:
            choice_key, noise_key = jax.random.split(key)
            clips = jax.random.randint(choice_key, (_COMBINED,), 0, jnp.asarray(music.clips)[genre])
            values = self.config.representation.encode(jnp.asarray(music.mel)[genre, clips])
            return draw_noise(values, noise_key[None])[0]

        return jax.lax.map(lambda each: draw(*each), (keys, genre))

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute accuracies in [0, 1], the cross-entropy in nats, and the number of held-out clips.

        `eval/noise` is the fraction of noise clips that are classified as noise, if there is a noise class.
        """
        metrics = summarize_predictions(measures["guess"], measures["cross_entropy"], measures["genre"], "genre")
        if "noise_recognized" in measures:
            metrics["eval/noise"] = float(np.mean(measures["noise_recognized"]))
        return {**metrics, "eval/clips": float(len(measures["genre"]))}

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"judge": Part(self.inference_variables(state), asdict(self.config))}
