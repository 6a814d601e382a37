"""Training task of the transformer: it learns to predict each block of frames from the blocks before it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.melody import data, evaluation, pieces
from specjax.papers.melody.evaluation import OpenJudge
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import FRAMES
from specjax.papers.melody.transformer.config import TransformerConfig
from specjax.papers.melody.transformer.inference import TransformerInference


class Batch(NamedTuple):
    """Inputs of one update: the blocks of the clips, and their genres as one-hot labels."""

    blocks: Float[Array, "batch blocks coefficients"]
    genre: Float[Array, "batch genres"]


@dataclass(frozen=True)
class TransformerTask(SingleNetworkTask):
    """Training task of the transformer, by maximum likelihood.

    config: settings, with the genres and statistics filled in.
    name: name of the task.
    """

    config: TransformerConfig
    name: str = "melody/transformer"

    @cached_property
    def inference(self) -> TransformerInference:
        """The network, with functions that measure the likelihood of clips and generate pieces."""
        return TransformerInference(self.config)

    @cached_property
    def judge(self) -> OpenJudge | None:
        """The judge that the config names; None without one."""
        return evaluation.load_judge(self.config.judge, self.config.data.genres)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        return Data(train, held_out, int(train.clips.sum()), int(held_out.clips.max()))

    def frozen(self) -> Tree:
        """Return the variables of the judge, if there is one."""
        return {} if self.judge is None else {"judge": self.judge.variables}

    def batch(self, examples: Music, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        """Gather clips. Each is shifted by a random number of frames, so that blocks begin at any frame."""
        c = self.config
        genre, clip = data.locate(examples, indices)
        values = c.representation.encode(jnp.asarray(examples.mel)[genre, clip])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        spare = FRAMES % c.block_frames
        start = jax.vmap(lambda key: jax.random.randint(key, (), 0, spare + 1))(keys)
        values = jax.vmap(lambda x, start: jax.lax.dynamic_slice_in_dim(x, start, FRAMES - spare, axis=1))(
            values, start
        )
        return Batch(self.inference.encode(values), jax.nn.one_hot(genre, len(c.data.genres)))

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        return Loss(-jnp.mean(self.inference.log_likelihood(variables, batch.blocks, batch.genre)), {})

    def evaluate(
        self, state: TrainState, examples: Music, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Measure the likelihood of the held-out clips with these indices, in every genre, and as many generated ones.

        Returns:
          `loss`, the negative log-likelihood in nats per value, and the measures of `evaluation.measure_clips`, with
          the leading axes (batch, genres).
        """
        c, inference, variables = self.config, self.inference, self.inference_variables(state)
        judge = None if self.judge is None else self.judge.inference

        def measure(genre: int, keys: Key[Array, " batch"], real: Float[Array, "batch mels frames"]) -> Metrics:
            genres = len(c.data.genres)
            shares = jnp.broadcast_to(jax.nn.one_hot(genre, genres)[None], (len(keys), genres))
            blocks = inference.encode(c.representation.encode(real))
            fake = inference.generate_power(variables, keys, shares)
            return {
                "loss": -inference.log_likelihood(variables, blocks, shares),
                **evaluation.measure_clips(real, fake, judge, frozen.get("judge")),
            }

        return evaluation.map_genres(measure, examples.mel, examples.clips, indices, key)

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute the mean loss, in nats per value, and the metrics of `evaluation.summarize`."""
        loss = np.mean(measures["loss"][measures["valid"].astype(bool)])
        return {"eval/loss": float(loss), **evaluation.summarize(measures)}

    def sample(self, state: TrainState, examples: Music, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Generate clips of each genre, and make the sound of the first of each."""
        return pieces.sample_genres(self.inference, self.inference_variables(state), key)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and the config."""
        return {"transformer": Part(self.inference_variables(state), asdict(self.config))}
