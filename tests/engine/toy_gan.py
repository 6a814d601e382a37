"""A toy GAN: a generator imitates the embeddings that a frozen encoder gives, against a critic.

It has everything that a real one has: two networks with an optimizer each, separate batches for the two, an encoder
opened from a bundle, data of two lengths, figures of the whole set from embeddings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from specjax.engine import bundle, train_state
from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.task import Data, Part, Sample, SingleModel
from specjax.engine.train_state import TrainState
from specjax.optim.schedules import ScheduleSpec

SIZE, LATENT, EMBEDDING = 6, 3, 2
TRANSFORM = optax.adam(1.0)
ENCODER_SHAPES = {"kernel": jax.ShapeDtypeStruct((SIZE, EMBEDDING), np.float32)}


def save_encoder(folder: Path, seed: int = 7) -> Path:
    """A bundle that holds a frozen encoder."""
    kernel = np.random.default_rng(seed).standard_normal((SIZE, EMBEDDING)).astype(np.float32)
    bundle.save(folder, "toy/encoder", {"encoder": Part({"kernel": kernel}, {"size": SIZE})}, {})
    return folder


class Gan(NamedTuple):
    """State: both networks."""

    generator: TrainState
    critic: TrainState


class Examples(NamedTuple):
    """Two sets of different lengths."""

    clips: np.ndarray
    pictures: np.ndarray


class Batches(NamedTuple):
    """Separate batches for the two networks."""

    for_critic: Float[Array, "batch size"]
    critic_noise: Float[Array, "batch latent"]
    generator_noise: Float[Array, "batch latent"]


@dataclass(frozen=True)
class ToyGan(SingleModel):
    """Least-squares GAN. From update `poison_after` on, the loss of the network `poisoned` is not a number."""

    encoder: str
    poisoned: str = ""
    poison_after: int = 10**9
    name: str = "toy/gan"
    headline: tuple[str, ...] = ("generator.loss", "critic.loss")

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        schedule = ScheduleSpec("linear", 0.02, 0.0).build(steps)
        return {
            "generator.lr": LiveValue(schedule, number_parser(0.0), scales=True),
            "critic.lr": LiveValue(schedule, number_parser(0.0), scales=True),
        }

    def load(self) -> Data:
        rng = np.random.default_rng(0)
        clips = rng.standard_normal((21, SIZE)).astype(np.float32)
        pictures = (1 + 0.5 * rng.standard_normal((34, SIZE))).astype(np.float32)
        held_out = Examples(clips[15:], pictures[24:])
        return Data(Examples(clips[:15], pictures[:24]), held_out, 24, 10)

    def frozen(self):
        opened = bundle.load(Path(self.encoder))
        return {"encoder": bundle.unflatten(opened.parts["encoder"], ENCODER_SHAPES, self.encoder)}

    def init(self, key):
        generator_key, critic_key = jax.random.split(key)
        generator = {"kernel": 0.3 * jax.random.normal(generator_key, (LATENT, SIZE)), "bias": jnp.zeros(SIZE)}
        critic = {"kernel": 0.3 * jax.random.normal(critic_key, (SIZE,)), "bias": jnp.zeros(())}
        return Gan(
            train_state.create(generator, TRANSFORM, ema=True),  # an average where it was asked for
            train_state.create(critic, TRANSFORM),
        )

    def batch(self, examples, indices, key):
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i)))(jnp.arange(len(indices)))
        noise = jax.vmap(jax.vmap(lambda k: jax.random.normal(k, (LATENT,))))(keys)
        clips = examples.clips[indices % len(examples.clips)]
        return Batches(examples.pictures[indices] + 0.1 * clips, noise[:, 0], noise[:, 1])

    def step(self, state, batch, frozen, live, key):
        def generate(params, noise):
            return noise @ params["kernel"] + params["bias"][None, :]

        def score(params, x):
            embedding = x @ frozen["encoder"]["kernel"]
            return x @ params["kernel"] + params["bias"] + 0.1 * jnp.sum(embedding, axis=-1)

        def poison(name):
            late = getattr(state, name).opt_state[0].count >= self.poison_after
            return jnp.where(late & (name == self.poisoned), jnp.nan, 0.0)

        def critic_loss(params):
            fake = generate(state.generator.params, batch.critic_noise)
            loss = jnp.mean((score(params, batch.for_critic) - 1) ** 2) + jnp.mean(score(params, fake) ** 2)
            return loss + poison("critic") * jnp.sum(params["kernel"])

        def generator_loss(params):
            fake = generate(params, batch.generator_noise)
            loss = jnp.mean((score(state.critic.params, fake) - 1) ** 2)
            return loss + poison("generator") * jnp.sum(params["kernel"])

        losses, networks = {}, {}
        for name, loss in (("generator", generator_loss), ("critic", critic_loss)):
            network = getattr(state, name)
            value, gradients = jax.value_and_grad(loss)(network.params)
            ema_decay = None if network.ema_params is None else jnp.float32(0.9)
            networks[name], _ = train_state.update(
                network, gradients, optax.adam(live[f"{name}.lr"]), value, ema_decay=ema_decay
            )
            losses[f"{name}.loss"] = value
        fake = generate(state.generator.params, batch.generator_noise)
        return Gan(**networks), {**losses, "feature_means": jnp.mean(fake, axis=0)}

    def evaluate(self, state, examples, indices, frozen, key):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
        noise = jax.vmap(lambda k: jax.random.normal(k, (LATENT,)))(keys)
        params = state.generator.ema_params
        fake, real = noise @ params["kernel"] + params["bias"][None, :], examples.pictures[indices]
        return {name: x @ frozen["encoder"]["kernel"] for name, x in (("real", real), ("fake", fake))}

    def summarize(self, measures):
        """A distance between whole sets of embeddings: no mean over examples gives it."""
        gap = np.linalg.norm(measures["real"].mean(axis=0) - measures["fake"].mean(axis=0))
        return {"eval/embedding_gap": float(gap), "eval/examples": float(len(measures["real"]))}

    def sample(self, state, examples, frozen, key):
        return Sample({}, {}, 8000)

    def parts(self, state, frozen):
        return {
            "generator": Part(state.generator.ema_params, {"latent": LATENT}),
            "encoder": Part(frozen["encoder"], {"size": SIZE}),
        }
