"""Base class of tasks that train a single network with one optimizer.

A task adds the data, the network, the loss, the evaluation and the samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Key

from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, optimizer_values
from specjax.engine.task import Batch, Metrics, SingleModel, Tree
from specjax.engine.train_state import TrainState
from specjax.optim.optimizer import OptimizerConfig

Variables = dict[str, Any]  # collections of Flax variables: `params` and, with normalization layers, `batch_stats`


class Loss(NamedTuple):
    """Loss of a training batch, and other results of the forward pass.

    Attributes:
      value: number to minimize.
      metrics: further metrics to log, by name.
      batch_stats: new running statistics of the normalization layers; None if there are none.
    """

    value: Float[Array, ""]
    metrics: Metrics
    batch_stats: Tree = None


@runtime_checkable
class SingleNetworkConfig(Protocol):
    """Settings of a task with one network.

    optimizer: optimizer, learning rate schedule and moving average of the parameters.
    """

    @property
    def optimizer(self) -> OptimizerConfig: ...


@runtime_checkable
class Network(Protocol):
    """Network as training needs it, apart from its loss."""

    def init(self, key: Key[Array, ""]) -> Variables: ...


class SingleNetworkTask(SingleModel, ABC):
    """Base class of tasks that train one network: initial state, live values, updates, and variables for inference.

    The training state is a single `TrainState`.

    config: settings, among them those of the optimizer.
    """

    config: SingleNetworkConfig

    @property
    @abstractmethod
    def inference(self) -> Network:
        """The network, with functions that use it."""

    @abstractmethod
    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        """Compute the loss of a batch in training. It is differentiated with respect to `variables["params"]`.

        Args:
          variables: variables of the network; `batch_stats` is an empty dict if it has no normalization layers.
          batch: inputs of the update.
          live: current live values, by name.
          key: random key, for example of dropout.
        """

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs, by name.

        They are the learning rate `lr` and, if a moving average of the parameters is kept, its decay `ema_decay`.
        """
        return optimizer_values(self.config.optimizer, steps)

    def init(self, key: Key[Array, ""]) -> TrainState:
        variables, optimizer = self.inference.init(key), self.config.optimizer
        return train_state.create(
            variables["params"], optimizer.transform(), variables.get("batch_stats", {}), ema=optimizer.ema_decay > 0
        )

    def step(
        self, state: TrainState, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        """Take one optimizer step on the loss.

        Metrics are `loss`, those of the loss, the norms of `train_state.update`, and those of the optimizer.
        """

        def objective(params: Tree) -> tuple[Float[Array, ""], Loss]:
            loss = self.loss({"params": params, "batch_stats": state.batch_stats}, batch, live, key)
            return loss.value, loss

        gradients, loss = jax.grad(objective, has_aux=True)(state.params)
        optimizer = self.config.optimizer
        state, norms = train_state.update(
            state,
            gradients,
            optimizer.transform(live["lr"]),
            loss.value,
            batch_stats=loss.batch_stats,
            ema_decay=live.get("ema_decay"),
        )
        return state, {"loss": loss.value, **loss.metrics, **norms, **optimizer.metrics(state.opt_state)}

    def inference_variables(self, state: TrainState) -> Variables:
        """Return the variables to evaluate and export.

        The parameters are those of `OptimizerConfig.eval_params`: their moving average if one is kept. `batch_stats` is
        left out if the network has no normalization layers.
        """
        params = self.config.optimizer.eval_params(state.params, state.opt_state, state.ema_params)
        return {"params": params} | ({"batch_stats": state.batch_stats} if state.batch_stats else {})
