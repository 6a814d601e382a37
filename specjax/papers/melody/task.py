"""Training tasks of the melody paper: a generator against a discriminator, and that of mel spectrograms."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.batching import map_models
from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, number_parser, optimizer_values
from specjax.engine.task import Data, Metrics, Part, Sample, Shardings, Tree
from specjax.engine.train_state import TrainState
from specjax.measure.auc import discriminator_auc
from specjax.nn.adversarial import LOSSES, PenalizedScores, penalize_difference, penalize_gradient
from specjax.papers.melody import data, evaluation, metrics, pieces
from specjax.papers.melody.augment import augment_clip
from specjax.papers.melody.config import GanConfig
from specjax.papers.melody.data import Music
from specjax.papers.melody.images import ImagesConfig
from specjax.papers.melody.inference import GanInference, Variables
from specjax.papers.melody.wave.config import WaveConfig

Values = Float[Array, "batch ..."]  # clips on the scale of the representation, waves, or pictures

Scores = Float[Array, " batch"]


class Gan(NamedTuple):
    """Training state of both networks. In an ensemble, all arrays have a leading axis of genres."""

    generator: TrainState
    discriminator: TrainState


class Batch(NamedTuple):
    """Real clips, waves or pictures of one update. In an ensemble, both arrays have a leading axis of genres.

    Attributes:
      values: values on the scale of the networks.
      genre: share of each genre that a network knows: one-hot labels.
    """

    values: Float[Array, "..."]
    genre: Float[Array, "*models batch genres"]


@runtime_checkable
class Networks(Protocol):
    """What an update needs of both networks: see `GanInference`, which has these methods for clips.

    `genre` is the share of each genre that a network knows. `key` is for discriminators that are random in training.
    """

    def init(self, key: Key[Array, ""]) -> tuple[Variables, Variables]: ...

    def draw_latents(self, keys: Key[Array, " batch"]) -> Any: ...

    def generate_in_training(
        self, variables: Variables, latents: Any, genre: Float[Array, "batch genres"]
    ) -> tuple[Values, Variables]: ...

    def score_in_training(
        self, variables: Variables, values: Values, genre: Float[Array, "batch genres"], key: Key[Array, ""]
    ) -> tuple[Scores, Variables]: ...


class AdversarialTask(ABC):
    """Base class of tasks that train a generator against a discriminator: initial state and updates.

    An update is one of the discriminator, then one of the generator, on separate fake examples. A subclass adds the
    data, the networks, the evaluation and the samples.

    config: settings of both networks' losses and optimizers.
    """

    config: GanConfig | ImagesConfig | WaveConfig
    headline: tuple[str, ...] = ("generator.loss", "discriminator.loss", "auc")

    @property
    @abstractmethod
    def inference(self) -> Networks:
        """Both networks, with functions that generate and score examples."""

    @abstractmethod
    def compare(self, fake: Values, real: Values) -> Metrics:
        """Compare a batch of generated examples with a batch of real ones."""

    def augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        """Augment real and generated examples before the discriminator sees them. By default, they stay as they are."""
        return real, fake

    @property
    def models(self) -> int:
        return len(self.config.data.genres) if self.config.ensemble else 1

    @property
    def shardings(self) -> Shardings:
        if not self.config.ensemble:
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
        if not self.config.ensemble:
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
        )

    def step(
        self, state: Gan, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[Gan, Metrics]:
        if not self.config.ensemble:
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
        return Gan(generator, discriminator), critic_metrics | generator_metrics

    def _update_discriminator(
        self, state: Gan, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        c, genre = self.config, batch.genre
        latent_key, augment_key, penalty_key, real_key, fake_key = jax.random.split(key, 5)
        latents = self.inference.draw_latents(jax.random.split(latent_key, len(genre)))
        fake, _ = self.inference.generate_in_training(_variables(state.generator), latents, genre)
        real, fake = self.augment(augment_key, batch.values, fake)

        def objective(params: Tree) -> tuple[Array, tuple[Array, Array, Array, Tree]]:
            def score(values: Values, genre: Array, stats: Tree, key: Array) -> tuple[Scores, Tree]:
                return self.inference.score_in_training({"params": params, "batch_stats": stats}, values, genre, key)

            if c.penalty.kind == "none":
                # Real and fake clips in separate batches, because the paper's networks normalize by those.
                real_scores, stats = score(real, genre, state.discriminator.batch_stats, real_key)
                fake_scores, stats = score(fake, genre, stats, fake_key)
                penalty = jnp.zeros(())
            else:
                stats = state.discriminator.batch_stats
                scored = self._penalize(
                    lambda x: score(x, jnp.concatenate([genre, genre]), stats, real_key)[0], real, fake, penalty_key
                )
                real_scores, fake_scores = scored.real, scored.fake
                penalty = 0.5 * (scored.r1 + scored.r2)
            loss = LOSSES[c.loss].discriminator(real_scores, fake_scores)
            if c.penalty.kind != "none":
                loss = loss + live["penalty"] * penalty
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
            "auc": metrics.pairwise_auc(real_scores, fake_scores),
            "gradient_penalty": penalty,
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
        c, genre = self.config, batch.genre
        latent_key, augment_key, real_key, fake_key = jax.random.split(key, 4)
        latents = self.inference.draw_latents(jax.random.split(latent_key, len(genre)))
        discriminator, adversarial = _variables(state.discriminator), LOSSES[c.loss]

        def objective(params: Tree) -> tuple[Array, tuple[Values, Tree]]:
            variables = {"params": params, "batch_stats": state.generator.batch_stats}
            values, stats = self.inference.generate_in_training(variables, latents, genre)
            real, fake = self.augment(augment_key, batch.values, values)
            fake_scores, _ = self.inference.score_in_training(discriminator, fake, genre, fake_key)
            # XLA leaves this out if the loss does not depend on it.
            real_scores, _ = self.inference.score_in_training(discriminator, real, genre, real_key)
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
        measured = {"generator.loss": loss, **self.compare(values, batch.values)}
        return generator, measured | {f"generator.{name}": norm for name, norm in norms.items()}

    def alarms(self, metrics_: Mapping[str, float]) -> tuple[str, ...]:
        """Return warnings if the discriminator has won, or if the generator has collapsed or is silent."""
        return metrics.alarms(metrics_)

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute the AUC of the discriminator and the figures of `evaluation.summarize` of the whole held-out set."""
        valid = measures["valid"].astype(bool)
        auc = discriminator_auc(measures["real_score"][valid], measures["fake_score"][valid])
        return {"eval/auc": auc, **evaluation.summarize(measures)}

    def generator_variables(self, state: Gan) -> Variables:
        """Return the variables of the generator to generate with: the moving average if one is kept."""
        network = state.generator
        params = self.config.generator.eval_params(network.params, network.opt_state, network.ema_params)
        return {"params": params} | ({"batch_stats": network.batch_stats} if network.batch_stats else {})

    def discriminator_variables(self, state: Gan) -> Variables:
        """Return the variables of the discriminator."""
        return _variables(state.discriminator)


@dataclass(frozen=True)
class GanTask(AdversarialTask):
    """Training task of the GAN that writes mel spectrograms.

    config: settings, with the genres and the statistics filled in.
    name: name of the task.
    """

    config: GanConfig
    name: str = "melody/gan"

    @cached_property
    def inference(self) -> GanInference:
        """Both networks, with functions that generate and score clips."""
        return GanInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        count = int(train.clips.max() if self.config.ensemble else train.clips.sum())
        return Data(train, held_out, count, int(held_out.clips.max()))

    def frozen(self) -> Tree:
        """Return the variables of the judge, if there is one."""
        return {} if self.inference.judge is None else {"judge": self.inference.judge.variables}

    def batch(self, examples: Music, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mel = jnp.asarray(examples.mel)
        if self.config.ensemble:
            clip = indices[None] % jnp.asarray(examples.clips)[:, None]
            values = jax.vmap(lambda mel, clip: mel[clip])(mel, clip)
            shares = jnp.ones((*clip.shape, 1))
        else:
            genre, clip = data.locate(examples, indices)
            values, shares = mel[genre, clip], jax.nn.one_hot(genre, self.inference.genres)
        return Batch(self.config.representation.encode(values), shares)

    def augment(self, key: Key[Array, ""], real: Values, fake: Values) -> tuple[Values, Values]:
        """Augment real and fake clips independently, if this is enabled."""
        a = self.config.augment
        if not a.enabled:
            return real, fake
        keys = jax.random.split(key, (2, len(real)))
        augment_batch = jax.vmap(
            lambda key, x: augment_clip(key, x, self.config.representation, a.max_gain_db, a.time_masks, a.mel_masks)
        )
        return augment_batch(keys[0], real), augment_batch(keys[1], fake)

    def compare(self, fake: Values, real: Values) -> Metrics:
        """Compare levels and spread of a batch of generated clips with those of real ones."""
        decode = self.config.representation.decode
        return metrics.level_and_spread(decode(fake), decode(real))

    def evaluate(
        self, state: Gan, examples: Music, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Generate a clip for every held-out clip with these indices, in every genre, and measure both.

        Returns:
          `score`, which the discriminator gives, and the measures of `evaluation.measure_clips`, with the leading axes
          (batch, genres).
        """
        representation, inference = self.config.representation, self.inference
        variables = self.generator_variables(state), self.discriminator_variables(state)
        judge = None if inference.judge is None else inference.judge.inference

        def measure(genre: int, keys: Key[Array, " batch"], real: Values) -> Metrics:
            if self.config.ensemble:
                (generator, discriminator), share = jax.tree.map(operator.itemgetter(genre), variables), jnp.ones(1)
            else:
                (generator, discriminator), share = variables, jax.nn.one_hot(genre, inference.genres)
            shares = jnp.broadcast_to(share[None], (len(keys), inference.genres))
            fake = inference.generate(generator, inference.draw_latents(keys), shares)
            return {
                "real_score": inference.score(discriminator, representation.encode(real), shares),
                "fake_score": inference.score(discriminator, fake, shares),
                **evaluation.measure_clips(real, representation.decode(fake), judge, frozen.get("judge")),
            }

        return evaluation.map_genres(measure, examples.mel, examples.clips, indices, key)

    def sample(self, state: Gan, examples: Music, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw clips of each genre, and make the sound of the first of each."""
        return pieces.sample_genres(self.inference, self.generator_variables(state), key)

    def parts(self, state: Gan, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the generator's variables, and the config."""
        return {"generator": Part(self.generator_variables(state), asdict(self.config))}


def _variables(state: TrainState) -> dict[str, Any]:
    return {"params": state.params, "batch_stats": state.batch_stats}
