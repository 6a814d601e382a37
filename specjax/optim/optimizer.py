"""Config dataclasses of the optimizer, and the optax gradient transformation that is built from them."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax
from jaxtyping import Array, Float

from specjax.optim.schedules import ScheduleSpec

Tree = Any


@dataclass(frozen=True)
class PlateauConfig:
    """Settings for reducing the learning rate when the loss stops falling (`optax.contrib.reduce_on_plateau`).

    The learning rate of the schedule is multiplied by a scale that starts at 1. The training loss is averaged over
    windows of `window` updates. An average is an improvement if it is below `1 - tolerance` times the previous
    improvement. After `patience` windows without an improvement, the scale is multiplied by `factor`.

    patience: number of windows without an improvement before the scale is reduced; 0 disables reductions.
    window: number of updates per window.
    factor: number that multiplies the scale at each reduction, above 0 and below 1.
    least: smallest scale, 0 to 1.
    cooldown: number of windows after a reduction that do not count toward `patience`.
    tolerance: relative decrease of the average that counts as an improvement, above 0 and at most 1.
    """

    patience: int = 0
    window: int = 100
    factor: float = 0.5
    least: float = 0.01
    cooldown: int = 0
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.patience, self.cooldown) < 0 or self.window < 1:
            raise ValueError(
                f"optimizer.plateau: patience={self.patience}, cooldown={self.cooldown}, window={self.window} is out "
                "of range: patience and cooldown must be at least 0, window at least 1"
            )
        if not 0 < self.factor < 1 or not 0 <= self.least <= 1 or not 0 < self.tolerance <= 1:
            raise ValueError(
                f"optimizer.plateau: factor={self.factor}, least={self.least}, tolerance={self.tolerance} is out of "
                "range: factor must lie in (0, 1), least in [0, 1], and tolerance in (0, 1]"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """Settings of the optimizer that trains a network.

    kind: `adam` (Kingma and Ba 2015) or `schedule_free` (Defazio et al. 2024, `optax.contrib.schedule_free`). With
      `schedule_free`, Adam without momentum updates the parameters z, and x is a weighted mean of all z so far.
      Gradients are computed at `(1 - b1) z + b1 x`. Evaluation and export use x. The learning rate needs no decay.
    learning_rate: schedule of the learning rate.
    b1, b2, epsilon: constants of Adam, as in `optax.adam`. With `schedule_free`, `b1` is the weight of x, and there
      is no momentum.
    clip: largest global norm of the gradients; larger gradients are scaled down to it. 0 disables clipping.
    weight_decay: coefficient of the decoupled weight decay, as in `optax.adamw`.
    ema_decay: decay per update of the exponential moving average of the parameters. The average is used for evaluation
      and export. 0 disables it.
    plateau: settings for reducing the learning rate when the loss stops falling.
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
            raise ValueError(
                f"optimizer: clip={self.clip}, weight_decay={self.weight_decay}, "
                f"learning_rate.value={self.learning_rate.value} is out of range: none may be negative"
            )
        if self.kind == "schedule_free" and (self.ema_decay or not self.b1):
            raise ValueError(
                f"optimizer.kind=schedule_free with ema_decay={self.ema_decay} and b1={self.b1}: it keeps its own "
                "average, set ema_decay=0 and b1 above 0"
            )

    def eval_params(self, params: Tree, opt_state: optax.OptState, ema_params: Tree) -> Tree:
        """Return the parameters to use for evaluation and export.

        Args:
          params: parameters that are trained.
          opt_state: optimizer state.
          ema_params: exponential moving average of the parameters; None if it is disabled.

        Returns:
          For `schedule_free`, the running mean of the iterates. Else `ema_params`, or `params` if it is None.
        """
        if self.kind == "schedule_free":
            return optax.contrib.schedule_free_eval_params(opt_state, params)
        return params if ema_params is None else ema_params

    def metrics(self, opt_state: optax.OptState) -> dict[str, Float[Array, ""]]:
        """Return the metrics of the optimizer to log.

        Returns:
          If `plateau` is enabled, a dict with the key `lr_scale`: the current factor of the learning rate due to all
          reductions so far, at most 1. Else an empty dict.
        """
        return {"lr_scale": optax.tree.get(opt_state, "scale")} if self.plateau.patience else {}

    def transform(self, learning_rate: float | Float[Array, ""] = 0.0) -> optax.GradientTransformationExtraArgs:
        """Build the optax gradient transformation for updates with a given learning rate.

        Transformations with different learning rates can share one optimizer state. So each update can build a new
        transformation with the current learning rate.

        Args:
          learning_rate: learning rate of the updates; may be a traced array. It has no effect on `init`.
        """
        stages: list[optax.GradientTransformation] = []
        if self.clip:
            stages.append(optax.clip_by_global_norm(self.clip))
        stages.append(optax.scale_by_adam(0.0 if self.kind == "schedule_free" else self.b1, self.b2, self.epsilon))
        if self.weight_decay:
            stages.append(optax.add_decayed_weights(self.weight_decay))
        if self.plateau.patience:
            stages.append(_reduce_on_plateau(self.plateau))
        chain = _scale_by_learning_rate(optax.with_extra_args_support(optax.chain(*stages)), learning_rate)
        if self.kind == "schedule_free":
            return optax.contrib.schedule_free(chain, learning_rate, self.b1)
        return chain


def _scale_by_learning_rate(
    directions: optax.GradientTransformationExtraArgs, learning_rate: float | Float[Array, ""]
) -> optax.GradientTransformationExtraArgs:
    """Multiply the updates of the transformation `directions` by `-learning_rate`.

    The state is that of `directions`; it does not contain the learning rate.
    """

    def update(gradients: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        updates, state = directions.update(gradients, state, params, **extra)
        return jax.tree.map(lambda d: -learning_rate * d, updates), state

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
