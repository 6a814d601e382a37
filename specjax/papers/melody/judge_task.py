"""Training task of the judge, which learns to name the genre of a clip of real music."""

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
from specjax.signal import augment


class Batch(NamedTuple):
    """Inputs of one update: augmented values of the clips, and the shares of the genres in them."""

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
        genre, clip = data.locate(examples, indices)
        values = c.representation.encode(jnp.asarray(examples.mel)[genre, clip])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        augment_keys, mixup_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        values = jax.vmap(
            lambda key, x: augment_clip(key, x, c.representation, c.max_gain_db, c.time_masks, c.mel_masks)
        )(augment_keys, values)
        shares = jax.nn.one_hot(genre, len(c.data.genres))
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
        verdict = self.inference.judge(self.inference_variables(state), jnp.asarray(examples.mel)[genre, clip])
        return {"genre": genre, **measure_predictions(verdict.logits, genre)}

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute accuracies in [0, 1], the cross-entropy in nats, and the number of held-out clips."""
        figures = summarize_predictions(measures["guess"], measures["cross_entropy"], measures["genre"], "genre")
        return {**figures, "eval/clips": float(len(measures["genre"]))}

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"judge": Part(self.inference_variables(state), asdict(self.config))}
