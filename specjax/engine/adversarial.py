"""Base class of tasks that train a generator against a discriminator (a GAN).

One update is a step of the discriminator, followed by a step of the generator, on separate generated examples. A task
adds the data, the networks, the evaluation and the samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Key

from specjax.arrays.batching import map_models
from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, number_parser, optimizer_values
from specjax.engine.task import Metrics, Shardings, Tree
from specjax.engine.train_state import TrainState
from specjax.measure.auc import pairwise_auc
from specjax.nn.adversarial import (
    LOSSES,
    LossName,
    PenalizedScores,
    PenaltyConfig,
    penalize_difference,
    penalize_gradient,
)
from specjax.optim.optimizer import OptimizerConfig

# Thresholds of the warnings. The values of a healthy training run are far from them.
WON_AUC = 0.99
COLLAPSED_SPREAD = 0.2

Variables = dict[str, Any]
Values = Float[Array, "batch ..."]  # examples on the scale of the networks: spectrograms, waves, or pictures
Condition = Float[Array, "batch features"]
Scores = Float[Array, " batch"]


class Gan(NamedTuple):
    """Training state of a GAN. In an ensemble, all arrays have a leading axis of models.

    Attributes:
      generator, discriminator: states of both networks.
      penalty_scale: factor of the weight of the gradient penalty, see `PenaltyConfig.adapt`.
    """

    generator: TrainState
    discriminator: TrainState
    penalty_scale: Float[Array, "..."]


class Batch(NamedTuple):
    """Real examples of one update. In an ensemble, all arrays have a leading axis of models.

    Attributes:
      values: values on the scale of the networks.
      condition: what the networks are conditioned on, such as the weights of the classes for each example.
      group: one-hot labels that are used by `compare` only, not by the networks; None if a task needs none.
    """

    values: Float[Array, "..."]
    condition: Float[Array, "*models batch features"]
    group: Float[Array, "batch groups"] | None = None


@runtime_checkable
class AdversarialConfig(Protocol):
    """Settings of the updates of both networks.

    loss: name of the adversarial loss.
    penalty: gradient penalty of the discriminator.
    generator, discriminator: optimizers, learning rate schedules, and moving averages of the parameters.
    """

    @property
    def loss(self) -> LossName: ...

    @property
    def penalty(self) -> PenaltyConfig: ...

    @property
    def generator(self) -> OptimizerConfig: ...

    @property
    def discriminator(self) -> OptimizerConfig: ...


@runtime_checkable
class Networks(Protocol):
    """Generator and discriminator, as an update needs them.

    `condition` is what the networks are conditioned on. The key of `score_in_training` is for discriminators that
    are random in training. Both functions that end in `_in_training` also return the updated statistics of the
    normalization layers; an empty dict if there are none.
    """

    def init(self, key: Key[Array, ""]) -> tuple[Variables, Variables]: ...

    def draw_latents(self, keys: Key[Array, " batch"]) -> Any: ...

    def generate_in_training(
        self, variables: Variables, latents: Any, condition: Condition, /
    ) -> tuple[Values, Variables]: ...

    def score_in_training(
        self, variables: Variables, values: Values, condition: Condition, key: Key[Array, ""], /
    ) -> tuple[Scores, Variables]: ...


class AdversarialTask(ABC):
    """Base class of tasks that train a generator against a discriminator: initial state, updates and alarms.

    config: settings of the losses and optimizers of both networks.
    """

    config: AdversarialConfig
    headline: tuple[str, ...] = ("generator.loss", "discriminator.loss", "auc")

    @property
    @abstractmethod
    def inference(self) -> Networks:
        """Both networks, with functions that generate and score examples."""

    @abstractmethod
    def compare(self, fake: Values, batch: Batch) -> Metrics:
        """Compare a batch of generated examples with the batch of real ones, which has the same conditions.

        The result holds `spread`, the differences between the generated examples relative to those between real ones
        (see `measure.spread`).
        """

    def augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        """Augment real and generated examples, and convert them to what the discriminator sees.

        By default, they stay as they are.
        """
        return real, fake

    @property
    def ensemble(self) -> bool:
        """Whether several pairs of networks are trained, along the leading axis of the state; False by default."""
        return False

    @property
    def models(self) -> int:
        """Number of pairs of networks."""
        return 1

    @property
    def shardings(self) -> Shardings:
        if not self.ensemble:
            return Shardings()
        return Shardings(state=P("ensemble"), examples=P("ensemble"), batch=P("ensemble", "data"))

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs, by name.

        They are the learning rates `generator.lr` and `discriminator.lr`, the weight `penalty` of the gradient penalty,
        and the decay `generator.ema_decay` of the generator's moving average, if there are any.
        """
        c = self.config
        values = {
            **optimizer_values(c.generator, steps, "generator"),
            **optimizer_values(c.discriminator, steps, "discriminator"),
        }
        if c.penalty.kind != "none":
            values["penalty"] = LiveValue(c.penalty.weight.build(steps), number_parser(0.0))
        return values

    def init(self, key: Key[Array, ""]) -> Gan:
        if not self.ensemble:
            return self._init_one(key)
        return jax.vmap(self._init_one)(jax.random.split(key, self.models))

    def _init_one(self, key: Key[Array, ""]) -> Gan:
        c = self.config
        generator, discriminator = self.inference.init(key)
        return Gan(
            train_state.create(
                generator["params"],
                c.generator.transform(),
                generator.get("batch_stats", {}),
                ema=c.generator.ema_decay > 0,
            ),
            train_state.create(
                discriminator["params"], c.discriminator.transform(), discriminator.get("batch_stats", {})
            ),
            jnp.ones(()),
        )

    def step(
        self, state: Gan, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[Gan, Metrics]:
        if not self.ensemble:
            return self._step_one(state, batch, live, key)
        keys = jax.random.split(key, self.models)
        return map_models(lambda state, batch, key: self._step_one(state, batch, live, key), state, batch, keys)

    def _step_one(
        self, state: Gan, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[Gan, Metrics]:
        """Update the discriminator, then the generator of one GAN."""
        critic_key, generator_key = jax.random.split(key)
        discriminator, critic_metrics = self._update_discriminator(state, batch, live, critic_key)
        state = state._replace(discriminator=discriminator)
        generator, generator_metrics = self._update_generator(state, batch, live, generator_key)
        scale = self.config.penalty.adapt_scale(state.penalty_scale, critic_metrics["auc"])
        return Gan(generator, discriminator, scale), critic_metrics | generator_metrics

    def _update_discriminator(
        self, state: Gan, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        c, condition = self.config, batch.condition
        latent_key, augment_key, penalty_key, real_key, fake_key = jax.random.split(key, 5)
        latents = self.inference.draw_latents(jax.random.split(latent_key, len(condition)))
        fake, _ = self.inference.generate_in_training(_variables(state.generator), latents, condition)
        real, fake = self.augment(augment_key, batch.values, fake)

        def objective(params: Tree) -> tuple[Array, tuple[Array, Array, Array, Tree]]:
            def score(values: Values, condition: Condition, stats: Tree, key: Array) -> tuple[Scores, Tree]:
                return self.inference.score_in_training(
                    {"params": params, "batch_stats": stats}, values, condition, key
                )

            if c.penalty.kind == "none":
                # Real and fake examples in separate batches, because the paper's networks normalize by those.
                real_scores, stats = score(real, condition, state.discriminator.batch_stats, real_key)
                fake_scores, stats = score(fake, condition, stats, fake_key)
                penalty = jnp.zeros(())
            else:
                stats = state.discriminator.batch_stats
                scored = self._penalize(
                    lambda x: score(x, jnp.concatenate([condition, condition]), stats, real_key)[0],
                    real,
                    fake,
                    penalty_key,
                )
                real_scores, fake_scores = scored.real, scored.fake
                penalty = 0.5 * (scored.r1 + scored.r2)
            loss = LOSSES[c.loss].discriminator(real_scores, fake_scores)
            if c.penalty.kind != "none":
                loss = loss + live["penalty"] * state.penalty_scale * penalty
            return loss, (real_scores, fake_scores, penalty, stats)

        (loss, (real_scores, fake_scores, penalty, stats)), gradients = jax.value_and_grad(objective, has_aux=True)(
            state.discriminator.params
        )
        discriminator, norms = train_state.update(
            state.discriminator,
            gradients,
            c.discriminator.transform(live["discriminator.lr"]),
            loss,
            batch_stats=stats,
        )
        measured = {
            "discriminator.loss": loss,
            "auc": pairwise_auc(real_scores, fake_scores),
            "gradient_penalty": penalty,
            **({"penalty_scale": state.penalty_scale} if c.penalty.adapt else {}),
        }
        return discriminator, measured | {f"discriminator.{name}": norm for name, norm in norms.items()}

    def _penalize(
        self, score: Callable[[Values], Scores], real: Values, fake: Values, key: Key[Array, ""]
    ) -> PenalizedScores:
        if self.config.penalty.kind == "gradient":
            return penalize_gradient(score, real, fake)
        return penalize_difference(score, real, fake, key)

    def _update_generator(
        self, state: Gan, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        c, condition = self.config, batch.condition
        latent_key, augment_key, real_key, fake_key = jax.random.split(key, 4)
        latents = self.inference.draw_latents(jax.random.split(latent_key, len(condition)))
        discriminator, adversarial = _variables(state.discriminator), LOSSES[c.loss]

        def objective(params: Tree) -> tuple[Array, tuple[Values, Tree]]:
            variables = {"params": params, "batch_stats": state.generator.batch_stats}
            values, stats = self.inference.generate_in_training(variables, latents, condition)
            real, fake = self.augment(augment_key, batch.values, values)
            fake_scores, _ = self.inference.score_in_training(discriminator, fake, condition, fake_key)
            # XLA leaves this out if the loss does not depend on it.
            real_scores, _ = self.inference.score_in_training(discriminator, real, condition, real_key)
            return adversarial.generator(real_scores, fake_scores), (values, stats)

        (loss, (values, stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.generator.params)
        generator, norms = train_state.update(
            state.generator,
            gradients,
            c.generator.transform(live["generator.lr"]),
            loss,
            batch_stats=stats,
            ema_decay=live.get("generator.ema_decay"),
        )
        measured = {"generator.loss": loss, **self.compare(values, batch)}
        return generator, measured | {f"generator.{name}": norm for name, norm in norms.items()}

    def alarms(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Return warnings if the discriminator has won, or if the generator has collapsed."""
        lines = []
        if metrics["auc"] >= WON_AUC:
            lines.append(
                f"the discriminator has won (it ranks {WON_AUC:.0%} or more of the pairs right): raise the live value "
                "penalty, or lower discriminator.lr"
            )
        if metrics["spread"] < COLLAPSED_SPREAD:
            lines.append(
                f"the generator has collapsed (its examples differ less than {COLLAPSED_SPREAD:.0%} as much as real "
                "ones): raise the live value penalty, or lower both learning rates"
            )
        return tuple(lines)

    def generator_variables(self, state: Gan) -> Variables:
        """Return the variables of the generator to generate with: the moving average if one is kept."""
        network = state.generator
        params = self.config.generator.eval_params(network.params, network.opt_state, network.ema_params)
        return {"params": params} | ({"batch_stats": network.batch_stats} if network.batch_stats else {})

    def discriminator_variables(self, state: Gan) -> Variables:
        """Return the variables of the discriminator."""
        return _variables(state.discriminator)


def _variables(state: TrainState) -> Variables:
    return {"params": state.params, "batch_stats": state.batch_stats}
