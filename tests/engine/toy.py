"""Smallest task: fits a line to points. It compiles quickly and uses every part of the engine."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.task import Data, Part, Sample, SingleModel
from specjax.engine.train_state import TrainState

TRANSFORM = optax.adam(1.0)


class Points(NamedTuple):
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class ToyTask(SingleModel):
    """Fits y = w.x + b. From step `poison_after` on the loss is not a number."""

    width: int = 3
    poison_after: int = 10**9
    rate: float = 0.05
    name: str = "toy/line"

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        number = number_parser(0.0)
        return {
            "rate": LiveValue(optax.linear_schedule(self.rate, 0.0, 100), number, scales=True),
            "decay": LiveValue(optax.constant_schedule(0.0), number, dormant=True),
        }

    def load(self) -> Data:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((50, self.width)).astype(np.float32)
        y = (x @ np.arange(1, self.width + 1) + 0.5).astype(np.float32)
        return Data(Points(x[:37], y[:37]), Points(x[37:], y[37:]), 37, 13)

    def init(self, key: jax.Array) -> TrainState:
        params = {"w": jax.random.normal(key, (self.width,)), "b": jnp.zeros(())}
        return train_state.create(params, TRANSFORM, ema=True)

    def batch(self, examples: Points, indices: jax.Array, key: jax.Array) -> Points:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        noise = 0.01 * jax.vmap(jax.random.normal)(keys)
        return Points(examples.x[indices], examples.y[indices] + noise)

    def step(self, state, batch, frozen, live, key):
        def objective(params):
            error = batch.x @ params["w"] + params["b"] - batch.y
            decay = jnp.sum(params["w"] ** 2) * live["decay"] if "decay" in live else 0.0
            poison = jnp.where(state.opt_state[0].count >= self.poison_after, jnp.nan, 0.0)
            return jnp.mean(error**2) + decay + poison * jnp.sum(params["w"])

        loss, gradients = jax.value_and_grad(objective)(state.params)
        state, norms = train_state.update(state, gradients, optax.adam(live["rate"]), loss, ema_decay=jnp.float32(0.9))
        return state, {"loss": loss, **norms}

    def evaluate(self, state, examples: Points, indices, frozen, key):
        error = examples.x[indices] @ state.params["w"] + state.params["b"] - examples.y[indices]
        return {"squared_error": error**2, "one": jnp.ones_like(error)}

    def summarize(self, measures):
        return {
            "eval/mse": float(measures["squared_error"].mean()),
            "eval/count": float(measures["one"].sum()),
        }

    def sample(self, state, examples: Points, frozen, key) -> Sample:
        return Sample({"gray": np.full((4, 4, 3), 128, np.uint8)}, {"silence": np.zeros(64, np.float32)}, 8000)

    def parts(self, state, frozen) -> dict[str, Part]:
        return {"line": Part(state.params, {"width": self.width})}
