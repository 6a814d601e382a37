"""Training task of the judge, which learns to name the genre of a clip of real music."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, optimizer_values
from specjax.engine.task import Data, Metrics, Part, Sample, SingleModel, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.melody import data
from specjax.papers.melody.augment import augment_clip
from specjax.papers.melody.data import Music
from specjax.papers.melody.judge import JudgeConfig, JudgeInference
from specjax.signal import augment


class Batch(NamedTuple):
    """Inputs of one update: augmented values of the clips, and the shares of the genres in them."""

    values: Float[Array, "batch mels frames"]
    genre: Float[Array, "batch genres"]


@dataclass(frozen=True)
class JudgeTask(SingleModel):
    """Training task of the judge. The training state is a single `TrainState`.

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

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs: the learning rate `lr`."""
        return optimizer_values(self.config.optimizer, steps)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        return Data(train, held_out, int(train.clips.sum()), int(held_out.clips.sum()))

    def init(self, key: Key[Array, ""]) -> TrainState:
        variables = self.inference.init(key)
        optimizer = self.config.optimizer
        return train_state.create(variables["params"], optimizer.transform(), variables["batch_stats"])

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

    def step(
        self, state: TrainState, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        def objective(params: Tree) -> tuple[Array, tuple[Array, Tree]]:
            verdict, updates = self.inference.network.apply(
                {"params": params, "batch_stats": state.batch_stats},
                batch.values,
                training=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            loss = jnp.mean(optax.softmax_cross_entropy(verdict.logits, batch.genre))
            return loss, (verdict.logits, updates["batch_stats"])

        (loss, (logits, batch_stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        state, norms = train_state.update(
            state, gradients, self.config.optimizer.transform(live["lr"]), loss, batch_stats=batch_stats
        )
        right = jnp.argmax(logits, axis=1) == jnp.argmax(batch.genre, axis=1)
        return state, {"loss": loss, "accuracy": jnp.mean(right.astype(jnp.float32)), **norms}

    def evaluate(
        self, state: TrainState, examples: Music, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        genre, clip = data.locate(examples, indices)
        verdict = self.inference.judge(self._variables(state), jnp.asarray(examples.mel)[genre, clip])
        return {
            "genre": genre,
            "guess": jnp.argmax(verdict.logits, axis=1),
            "cross_entropy": optax.softmax_cross_entropy_with_integer_labels(verdict.logits, genre),
        }

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute accuracies in [0, 1], the cross-entropy in nats, and the number of held-out clips."""
        right = measures["guess"] == measures["genre"]
        by_genre = [right[measures["genre"] == genre].mean() for genre in np.unique(measures["genre"])]
        return {
            "eval/accuracy": float(right.mean()),
            "eval/accuracy_worst_genre": float(min(by_genre)),
            "eval/cross_entropy": float(measures["cross_entropy"].mean()),
            "eval/clips": float(len(right)),
        }

    def sample(self, state: TrainState, examples: Music, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Make no pictures: the judge produces none."""
        return Sample({}, {}, 1)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"judge": Part(self._variables(state), asdict(self.config))}

    def _variables(self, state: TrainState) -> dict[str, Any]:
        return {"params": state.params, "batch_stats": state.batch_stats}
