"""Training task of the encoder, and figures of how well its embeddings tell the eras of unknown compositions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int, Int32, Key

from specjax.cli.errors import UserError
from specjax.engine import train_state
from specjax.engine.live.value import LiveValue, optimizer_values
from specjax.engine.task import Data, Metrics, Part, Sample, SingleModel, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.mvnet import data, separation
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference, Variables
from specjax.papers.mvnet.triplets import draw_partners, mined_loss, triplet_loss
from specjax.papers.mvnet.works import Museum
from specjax.plots import scatter


class Clips(NamedTuple):
    """Clips of music, sorted by era. Those to be evaluated are followed by those of the training, their neighbors.

    Attributes:
      mel: mel spectrogram of each clip, on the scale of the config.
      era: era of each clip.
      composition: number of the composition of each clip.
      held_out: whether each clip is held out.
    """

    mel: Float32[np.ndarray, "clips 128 256 3"] | Float32[Array, "clips 128 256 3"]
    era: Int32[np.ndarray, " clips"] | Int32[Array, " clips"]
    composition: Int32[np.ndarray, " clips"] | Int32[Array, " clips"]
    held_out: Bool[np.ndarray, " clips"] | Bool[Array, " clips"]


class Batch(NamedTuple):
    """Inputs of one update.

    Attributes:
      mel: spectrograms of the clips. For random triplets, those of the anchors, the positives and the negatives.
      era: era of the clips, or of the anchors.
    """

    mel: Float32[Array, "batch *triplet 128 256 3"]
    era: Int32[Array, " batch"]


@dataclass(frozen=True)
class EncoderTask(SingleModel):
    """Training task of the encoder. The training state is a single `TrainState`.

    config: settings, with the eras and the statistics filled in.
    name: name of the task.
    """

    config: EncoderConfig
    name: str = "mvnet/encoder"

    @cached_property
    def inference(self) -> EncoderInference:
        """The network, with functions that embed clips."""
        return EncoderInference(self.config)

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs: the learning rate `lr`."""
        return optimizer_values(self.config.optimizer, steps)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        counts = np.bincount(train.clip_era, minlength=len(self.config.data.eras))
        if counts.min() < 2:
            era = self.config.data.eras[int(counts.argmin())]
            raise UserError(f"the era {era} has {counts.min()} training clips, expected at least 2: add clips")
        known, unknown = gather(train), gather(held_out, held_out=True)
        both = Clips(*(np.concatenate(arrays) for arrays in zip(unknown, known, strict=True)))
        return Data(known, both, len(known.era), len(both.era))

    def init(self, key: Key[Array, ""]) -> TrainState:
        variables, optimizer = self.inference.init(key), self.config.optimizer
        return train_state.create(
            variables["params"], optimizer.transform(), variables["batch_stats"], ema=optimizer.ema_decay > 0
        )

    def batch(self, examples: Clips, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mel, era = jnp.asarray(examples.mel), jnp.asarray(examples.era)
        if self.config.triplets.mining != "random":
            return Batch(mel[indices], era[indices])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        partners = draw_partners(keys, indices, era, len(self.config.data.eras))
        return Batch(mel[jnp.stack([indices, *partners], axis=1)], era[indices])

    def step(
        self, state: TrainState, batch: Batch, frozen: Tree, live: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[TrainState, Metrics]:
        c = self.config.triplets

        def embed(params: Tree, mel: Array, groups: int) -> tuple[Array, Tree]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            embeddings, updates = self.inference.network.apply(
                variables, mel, training=True, groups=groups, mutable=["batch_stats"]
            )
            return embeddings, updates["batch_stats"]

        def objective(params: Tree) -> tuple[Array, Tree]:
            if c.mining != "random":
                embeddings, batch_stats = embed(params, batch.mel, 1)
                return mined_loss(c, embeddings, batch.era), batch_stats
            # As in the paper, anchors, positives and negatives are normalized separately.
            stacked = jnp.swapaxes(batch.mel, 0, 1).reshape(-1, *batch.mel.shape[2:])
            embeddings, batch_stats = embed(params, stacked, 3)
            return triplet_loss(c, *embeddings.reshape(3, -1, embeddings.shape[1])), batch_stats

        (loss, batch_stats), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        state, norms = train_state.update(
            state,
            gradients,
            self.config.optimizer.transform(live["lr"]),
            loss,
            batch_stats=batch_stats,
            ema_decay=live.get("ema_decay"),
        )
        return state, {"loss": loss, **norms}

    def evaluate(
        self, state: TrainState, examples: Clips, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Embed clips, both held-out and training ones."""
        chosen = Clips(*(jnp.asarray(array)[indices] for array in examples))
        embedding = self.inference.embed(self.inference_variables(state), jnp.asarray(chosen.mel))
        return {"embedding": embedding, **{name: getattr(chosen, name) for name in chosen._fields if name != "mel"}}

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute `separation.measure`. Without training clips, only the figures that need none are returned."""
        held_out = measures["held_out"].astype(bool)
        embedding, era, composition = (measures[name] for name in ("embedding", "era", "composition"))
        return separation.measure(
            separation.Labeled(embedding[held_out], era[held_out], composition[held_out]),
            separation.Labeled(embedding[~held_out], era[~held_out], composition[~held_out]),
        )

    def sample(self, state: TrainState, examples: Clips, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw a map of the embeddings of the held-out clips in two dimensions, as in figure 4."""
        chosen = np.flatnonzero(examples.held_out)
        embeddings = np.asarray(self.inference.embed_in_batches(self.inference_variables(state), examples.mel[chosen]))
        era, names = np.asarray(examples.era)[chosen], self.config.data.eras
        pictures = {
            f"map_{name}": scatter.plot(points, era, names, f"embeddings, {name}")
            for name, points in separation.project(embeddings).items()
        }
        return Sample(pictures, {}, 1)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the variables of the network, and its config."""
        return {"encoder": Part(self.inference_variables(state), asdict(self.config))}

    def inference_variables(self, state: TrainState) -> Variables:
        """Return the variables of the network to embed with: the moving average of the parameters if one is kept."""
        params = self.config.optimizer.eval_params(state.params, state.opt_state, state.ema_params)
        return {"params": params, "batch_stats": state.batch_stats}


def gather(museum: Museum, *, held_out: bool = False) -> Clips:
    """Gather the clips of a museum."""
    return Clips(museum.mel, museum.clip_era, museum.composition, np.full(len(museum.clip_era), held_out))
