"""Optimisers as data: what a config writes down, the optax transform it stands for, and the guarded step along it."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax
from jaxtyping import Array, Float

from specjax.optim import guard
from specjax.optim.guard import Guarded
from specjax.optim.schedules import ScheduleSpec

Tree = Any


@dataclass(frozen=True)
class PlateauConfig:
    """Learning rate reduced where the loss no longer falls, on top of its schedule.

    patience: measurements without a new best before a reduction; 0 switches it off.
    window: updates whose mean loss is one measurement.
    factor: of a reduction. least: the product of reductions stays above it.
    cooldown: measurements after a reduction that count for nothing.
    """

    patience: int = 0
    window: int = 100
    factor: float = 0.5
    least: float = 0.01
    cooldown: int = 0
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.patience, self.cooldown) < 0 or self.window < 1:
            raise ValueError("optimiser.plateau: patience and cooldown must not be negative, window at least 1")
        if not 0 < self.factor < 1 or not 0 <= self.least <= 1 or self.tolerance < 0:
            raise ValueError("optimiser.plateau: factor must lie between 0 and 1, least in [0, 1], tolerance from 0 up")


@dataclass(frozen=True)
class OptimiserConfig:
    """Gradients clipped to a global norm of `clip` (0: not), decoupled weight decay, and what makes steps of them.

    kind: `adam` (Kingma and Ba 2015), or `schedule_free` (Defazio et al. 2024): Adam without momentum at a point
      between its iterate and the running mean of iterates, `b1` of the way to the mean. The mean is what is judged,
      and the learning rate needs no decay.
    average_decay: of the moving average of parameters that is judged and exported; 0 uses the parameters.
    """

    kind: Literal["adam", "schedule_free"] = "adam"
    learning_rate: ScheduleSpec = ScheduleSpec(value=1e-4)
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    clip: float = 0.0
    weight_decay: float = 0.0
    average_decay: float = 0.0
    plateau: PlateauConfig = PlateauConfig()

    def __post_init__(self) -> None:
        if self.kind not in ("adam", "schedule_free"):
            raise ValueError(f"optimiser.kind={self.kind!r} is unknown: choose adam or schedule_free")
        for name in ("b1", "b2", "average_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimiser.{name}={getattr(self, name)} must lie in [0, 1)")
        if min(self.clip, self.weight_decay) < 0 or self.learning_rate.value < 0:
            raise ValueError("optimiser.clip, weight_decay and learning_rate must not be negative")
        if self.kind == "schedule_free" and (self.average_decay or not self.b1):
            raise ValueError(
                "optimiser.kind=schedule_free keeps a mean of its own: set average_decay=0, and b1 above 0"
            )

    def start(self, params: Tree, statistics: Tree = None) -> Guarded:
        """Fresh state around `params`."""
        return guard.start(params, self._transform(0.0), statistics)

    def update(
        self,
        state: Guarded,
        gradients: Tree,
        learning_rate: Float[Array, ""],
        average_decay: Float[Array, ""],
        loss: Float[Array, ""],
        statistics: Tree = None,
    ) -> tuple[Guarded, dict[str, Float[Array, ""]]]:
        """One guarded step at `learning_rate`, and its norms; `lr_scale` too, where a plateau scales the rate."""
        state, metrics = guard.update(state, gradients, self._transform(learning_rate), average_decay, loss, statistics)
        if self.kind == "schedule_free":
            state = state._replace(average=optax.contrib.schedule_free_eval_params(state.optimiser, state.params))
        if self.plateau.patience:
            metrics["lr_scale"] = optax.tree.get(state.optimiser, "scale")
        return state, metrics

    def _transform(self, learning_rate: float | Float[Array, ""]) -> optax.GradientTransformationExtraArgs:
        stages: list[optax.GradientTransformation] = []
        if self.clip:
            stages.append(optax.clip_by_global_norm(self.clip))
        stages.append(optax.scale_by_adam(0.0 if self.kind == "schedule_free" else self.b1, self.b2, self.epsilon))
        if self.weight_decay:
            stages.append(optax.add_decayed_weights(self.weight_decay))
        if self.plateau.patience:
            stages.append(_reduce_on_plateau(self.plateau))
        chain = _against(optax.with_extra_args_support(optax.chain(*stages)), learning_rate)
        if self.kind == "schedule_free":
            return optax.contrib.schedule_free(chain, learning_rate, self.b1)
        return chain


def _against(
    directions: optax.GradientTransformationExtraArgs, learning_rate: float | Float[Array, ""]
) -> optax.GradientTransformationExtraArgs:
    """Steps of `learning_rate` against the directions. A rate has no state, and leaves none in checkpoints."""

    def update(gradients: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        found, state = directions.update(gradients, state, params, **extra)
        return jax.tree.map(lambda d: -learning_rate * d, found), state

    return optax.GradientTransformationExtraArgs(directions.init, update)


def _reduce_on_plateau(config: PlateauConfig) -> optax.GradientTransformationExtraArgs:
    return optax.contrib.reduce_on_plateau(
        factor=config.factor,
        patience=config.patience,
        rtol=config.tolerance,
        cooldown=config.cooldown,
        accumulation_size=config.window,
        min_scale=config.least,
    )
