"""Optimizers as data: what a config writes down, the optax transform it stands for, and the guarded step along it."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax
from jaxtyping import Array, Float

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
            raise ValueError("optimizer.plateau: patience and cooldown must not be negative, window at least 1")
        if not 0 < self.factor < 1 or not 0 <= self.least <= 1 or self.tolerance < 0:
            raise ValueError("optimizer.plateau: factor must lie between 0 and 1, least in [0, 1], tolerance from 0 up")


@dataclass(frozen=True)
class OptimizerConfig:
    """Gradients clipped to a global norm of `clip` (0: not), decoupled weight decay, and what makes steps of them.

    kind: `adam` (Kingma and Ba 2015), or `schedule_free` (Defazio et al. 2024): Adam without momentum at a point
      between its iterate and the running mean of iterates, `b1` of the way to the mean. The mean is what is judged,
      and the learning rate needs no decay.
    ema_decay: of the moving average of parameters that is judged and exported; 0 uses the parameters.
    """

    kind: Literal["adam", "schedule_free"] = "adam"
    learning_rate: ScheduleSpec = ScheduleSpec(value=1e-4)
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    clip: float = 0.0
    weight_decay: float = 0.0
    ema_decay: float = 0.0
    plateau: PlateauConfig = PlateauConfig()

    def __post_init__(self) -> None:
        if self.kind not in ("adam", "schedule_free"):
            raise ValueError(f"optimizer.kind={self.kind!r} is unknown: choose adam or schedule_free")
        for name in ("b1", "b2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimizer.{name}={getattr(self, name)} must lie in [0, 1)")
        if min(self.clip, self.weight_decay) < 0 or self.learning_rate.value < 0:
            raise ValueError("optimizer.clip, weight_decay and learning_rate must not be negative")
        if self.kind == "schedule_free" and (self.ema_decay or not self.b1):
            raise ValueError("optimizer.kind=schedule_free keeps a mean of its own: set ema_decay=0, and b1 above 0")

    def eval_params(self, params: Tree, opt_state: optax.OptState, ema_params: Tree) -> Tree:
        """Parameters to evaluate and export: the moving average where one is kept, else the trained ones.

        `schedule_free` evaluates the running mean of its iterates, which it keeps in its own state.
        """
        if self.kind == "schedule_free":
            return optax.contrib.schedule_free_eval_params(opt_state, params)
        return params if ema_params is None else ema_params

    def metrics(self, opt_state: optax.OptState) -> dict[str, Float[Array, ""]]:
        """`lr_scale`, the factor that `plateau` has reduced the learning rate by, if it is on."""
        return {"lr_scale": optax.tree.get(opt_state, "scale")} if self.plateau.patience else {}

    def transform(self, learning_rate: float | Float[Array, ""] = 0.0) -> optax.GradientTransformationExtraArgs:
        """The optax transform at `learning_rate`, which leaves nothing in the optimizer state."""
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
