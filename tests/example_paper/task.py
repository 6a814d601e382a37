"""Training task of the example paper: points in, values of a line out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from example_paper.config import LineConfig
from example_paper.inference import init_params, predict
from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.task import Data, Metrics, Part, Sample, SingleModel, Tree
from specjax.engine.train_state import TrainState


class Points(NamedTuple):
    """Points of shape (n, width) and their values of shape (n,)."""

    x: jax.Array | np.ndarray
    y: jax.Array | np.ndarray


@dataclass(frozen=True)
class LineTask(SingleModel):
    """Fits y = w.x + b. The state is one `TrainState`."""

    config: LineConfig
    name: str = "example/line"

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        schedule = self.config.optimizer.learning_rate.build(steps)
        return {"lr": LiveValue(schedule, number_parser(0.0), scales=True)}

    def load(self) -> Data:
        config, rng = self.config, np.random.default_rng(0)
        count = config.points + config.points // 4
        x = rng.standard_normal((count, config.width)).astype(np.float32)
        y = x @ np.arange(1, config.width + 1, dtype=np.float32) + np.float32(0.5)
        points = Points(x, y)
        train, held_out = (
            Points(*(part[rows] for part in points)) for rows in np.split(np.arange(count), [config.points])
        )
        return Data(train, held_out, len(train.y), len(held_out.y))

    def init(self, key: jax.Array) -> TrainState:
        optimizer = self.config.optimizer
        return train_state.create(init_params(self.config, key), optimizer.transform(), ema=optimizer.ema_decay > 0)

    def batch(self, examples: Points, indices: jax.Array, key: jax.Array) -> Points:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        noise = 0.01 * jax.vmap(jax.random.normal)(keys)
        return Points(examples.x[indices], examples.y[indices] + noise)

    def step(
        self, state: TrainState, batch: Points, frozen: Tree, live: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        def objective(params: Tree) -> jax.Array:
            return jnp.mean((predict(params, batch.x) - batch.y) ** 2)

        loss, gradients = jax.value_and_grad(objective)(state.params)
        optimizer = self.config.optimizer
        ema_decay = jnp.float32(optimizer.ema_decay) if optimizer.ema_decay else None
        state, norms = train_state.update(state, gradients, optimizer.transform(live["lr"]), loss, ema_decay=ema_decay)
        return state, {"loss": loss, **norms}

    def evaluate(
        self, state: TrainState, examples: Points, indices: jax.Array, frozen: Tree, key: jax.Array
    ) -> Metrics:
        error = predict(self._eval_params(state), examples.x[indices]) - examples.y[indices]
        return {"squared_error": error**2}

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {"eval/mse": float(measures["squared_error"].mean())}

    def sample(self, state: TrainState, examples: Points, frozen: Tree, key: jax.Array) -> Sample:
        return Sample(pictures={}, sounds={}, sample_rate=8000)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        return {"line": Part(self._eval_params(state), asdict(self.config))}

    def _eval_params(self, state: TrainState) -> Tree:
        return self.config.optimizer.eval_params(state.params, state.opt_state, state.ema_params)
