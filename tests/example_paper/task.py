"""Training task of the example paper: points in, values of a line out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from example_paper.config import LineConfig
from example_paper.inference import LineInference
from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Tree
from specjax.engine.train_state import TrainState


class Points(NamedTuple):
    """Points of shape (n, width) and their values of shape (n,)."""

    x: jax.Array | np.ndarray
    y: jax.Array | np.ndarray


@dataclass(frozen=True)
class LineTask(SingleNetworkTask):
    """Fits y = w.x + b."""

    config: LineConfig
    name: str = "example/line"

    @cached_property
    def inference(self) -> LineInference:
        return LineInference(self.config)

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

    def batch(self, examples: Points, indices: jax.Array, key: jax.Array) -> Points:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        noise = 0.01 * jax.vmap(jax.random.normal)(keys)
        return Points(examples.x[indices], examples.y[indices] + noise)

    def loss(self, variables: Variables, batch: Points, live: Mapping[str, jax.Array], key: jax.Array) -> Loss:
        return Loss(jnp.mean((self.inference.predict(variables, batch.x) - batch.y) ** 2), metrics={})

    def evaluate(
        self, state: TrainState, examples: Points, indices: jax.Array, frozen: Tree, key: jax.Array
    ) -> Metrics:
        values = self.inference.predict(self.inference_variables(state), examples.x[indices])
        return {"squared_error": (values - examples.y[indices]) ** 2}

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {"eval/mse": float(measures["squared_error"].mean())}

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        return {"line": Part(self.inference_variables(state), asdict(self.config))}
