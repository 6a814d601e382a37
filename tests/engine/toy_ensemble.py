"""A toy ensemble: four lines on a leading axis, each fitted to points of its own."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P

from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.task import Data, Part, Sample, Shardings
from specjax.optim.schedules import ScheduleSpec

MODELS, WIDTH = 4, 3
TRANSFORM = optax.adam(1.0)


class Points(NamedTuple):
    x: np.ndarray  # (models, points, width)
    y: np.ndarray  # (models, points)


@dataclass(frozen=True)
class ToyEnsemble:
    """Fits y = w.x + b for each model. From update `poison_after` on, the loss of model `poisoned` is not a number."""

    poisoned: int = -1
    poison_after: int = 10**9
    name: str = "toy/ensemble"
    models: int = MODELS
    shardings: Shardings = Shardings(
        state=P("ensemble"), examples=P("ensemble"), batch=P("ensemble", "data"), eval_indices=P("data")
    )
    headline: tuple[str, ...] = ("loss",)

    def live_values(self, steps):
        return {"lr": LiveValue(ScheduleSpec("cosine", 0.05).build(steps), number_parser(0.0), scales=True)}

    def load(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((MODELS, 50, WIDTH)).astype(np.float32)
        slopes = np.arange(1, MODELS * WIDTH + 1).reshape(MODELS, WIDTH) / 4
        y = (np.einsum("mnw,mw->mn", x, slopes) + 0.5).astype(np.float32)
        return Data(Points(x[:, :37], y[:, :37]), Points(x[:, 37:], y[:, 37:]), 37, 13)

    def frozen(self):
        return {}

    def init(self, key):
        def one(key):
            return train_state.create({"w": jax.random.normal(key, (WIDTH,)), "b": jnp.zeros(())}, TRANSFORM)

        return jax.vmap(one)(jax.random.split(key, MODELS))

    def batch(self, examples, indices, key):
        return Points(examples.x[:, indices], examples.y[:, indices])

    def step(self, state, batch, frozen, live, key):
        def one(state, x, y, model):
            def objective(params):
                late = (state.opt_state[0].count >= self.poison_after) & (model == self.poisoned)
                error = x @ params["w"] + params["b"] - y
                return jnp.mean(error**2) + jnp.where(late, jnp.nan, 0.0) * jnp.sum(params["w"])

            loss, gradients = jax.value_and_grad(objective)(state.params)
            state, _ = train_state.update(state, gradients, optax.adam(live["lr"]), loss)
            return state, {"loss": loss}

        return jax.vmap(one)(state, batch.x, batch.y, jnp.arange(MODELS))

    def alarms(self, metrics):
        return ()

    def evaluate(self, state, examples, indices, frozen, key):
        predicted = jnp.einsum("mnw,mw->nm", examples.x[:, indices], state.params["w"]) + state.params["b"][None, :]
        return {"squared_error": (predicted - examples.y[:, indices].T) ** 2}

    def summarize(self, measures):
        by_model = measures["squared_error"].mean(axis=0)
        return {f"eval/mse_{model}": float(value) for model, value in enumerate(by_model)}

    def sample(self, state, examples, frozen, key):
        return Sample({}, {}, 8000)

    def parts(self, state, frozen):
        return {"lines": Part(state.params, {"models": MODELS})}
