"""Training task of the judge, which learns to name the era of a real picture."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Int32, Key, UInt8

from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, optimizer_values
from specjax.engine.task import Data, Metrics, Part, Sample, SingleModel, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.mvnet import data
from specjax.papers.mvnet.augment import augment_pictures
from specjax.papers.mvnet.judge import JudgeConfig, JudgeInference
from specjax.papers.mvnet.pictures import to_values


class Pictures(NamedTuple):
    """Pictures and their eras."""

    pixels: UInt8[np.ndarray, "pictures 64 64 3"] | UInt8[Array, "pictures 64 64 3"]
    era: Int32[np.ndarray, " pictures"] | Int32[Array, " pictures"]


class Batch(NamedTuple):
    """Inputs of one update: augmented pictures as values, and their eras."""

    values: Float[Array, "batch 64 64 3"]
    era: Int32[Array, " batch"]


@dataclass(frozen=True)
class JudgeTask(SingleModel):
    """Training task of the judge. The training state is a single `TrainState`.

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

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs: the learning rate `lr`."""
        return optimizer_values(self.config.optimizer, steps)

    def load(self) -> Data:
        train, held_out = (Pictures(m.pictures, m.picture_era) for m in data.load(self.config.data))
        return Data(train, held_out, len(train.era), len(held_out.era))

    def init(self, key: Key[Array, ""]) -> TrainState:
        variables, optimizer = self.inference.init(key), self.config.optimizer
        return train_state.create(
            variables["params"], optimizer.transform(), variables["batch_stats"], ema=optimizer.ema_decay > 0
        )

    def batch(self, examples: Pictures, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mirror_key, augment_key = jax.random.split(key)
        values = to_values(jnp.asarray(examples.pixels)[indices])
        mirrored = jax.vmap(lambda i: jax.random.bernoulli(jax.random.fold_in(mirror_key, i)))(jnp.arange(len(indices)))
        values = jnp.where(mirrored[:, None, None, None], values[:, :, ::-1], values)
        return Batch(augment_pictures(augment_key, values, self.config.augment), jnp.asarray(examples.era)[indices])

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
            loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(verdict.logits, batch.era))
            return loss, (verdict.logits, updates["batch_stats"])

        (loss, (logits, batch_stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        state, norms = train_state.update(
            state,
            gradients,
            self.config.optimizer.transform(live["lr"]),
            loss,
            batch_stats=batch_stats,
            ema_decay=live.get("ema_decay"),
        )
        right = jnp.argmax(logits, axis=1) == batch.era
        return state, {"loss": loss, "accuracy": jnp.mean(right.astype(jnp.float32)), **norms}

    def evaluate(
        self, state: TrainState, examples: Pictures, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        era = jnp.asarray(examples.era)[indices]
        verdict = self.inference.judge(self._variables(state), to_values(jnp.asarray(examples.pixels)[indices]))
        return {
            "era": era,
            "guess": jnp.argmax(verdict.logits, axis=1),
            "cross_entropy": optax.softmax_cross_entropy_with_integer_labels(verdict.logits, era),
        }

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute accuracies in [0, 1], the cross-entropy in nats, and the number of held-out pictures."""
        right = measures["guess"] == measures["era"]
        return {
            "eval/accuracy": float(right.mean()),
            "eval/accuracy_worst_era": float(
                min(right[measures["era"] == era].mean() for era in np.unique(measures["era"]))
            ),
            "eval/cross_entropy": float(measures["cross_entropy"].mean()),
            "eval/pictures": float(len(right)),
        }

    def sample(self, state: TrainState, examples: Pictures, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Make no pictures: the judge produces none."""
        return Sample({}, {}, 1)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"judge": Part(self._variables(state), asdict(self.config))}

    def _variables(self, state: TrainState) -> dict[str, Any]:
        params = self.config.optimizer.eval_params(state.params, state.opt_state, state.ema_params)
        return {"params": params, "batch_stats": state.batch_stats}
