"""Training task of the encoder, and metrics of how well its embeddings separate the eras."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int, Int32, Key

from specjax.cli.errors import UserError
from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.mvnet import data, separation
from specjax.papers.mvnet.clip_augment import augment_clip
from specjax.papers.mvnet.dataset import Museum
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.triplets import draw_partners, mined_loss, triplet_loss
from specjax.plots import scatter


class Clips(NamedTuple):
    """Clips of music, sorted by era. For evaluation, the held-out clips are followed by all training clips.

    Attributes:
      mel: mel spectrogram of each clip, on the scale of the config.
      era: era of each clip.
      composition: identifier of the composition of each clip.
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
class EncoderTask(SingleNetworkTask):
    """Training task of the encoder.

    config: settings, with the eras and the statistics filled in.
    name: name of the task.
    """

    config: EncoderConfig
    name: str = "mvnet/encoder"

    @cached_property
    def inference(self) -> EncoderInference:
        """The network, with functions that embed clips."""
        return EncoderInference(self.config)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        counts = np.bincount(train.clip_era, minlength=len(self.config.data.eras))
        if counts.min() < 2:
            era = self.config.data.eras[int(counts.argmin())]
            raise UserError(f"the era {era} has {counts.min()} training clips, expected at least 2: add clips")
        known, unknown = gather(train), gather(held_out, held_out=True)
        both = Clips(*(np.concatenate(arrays) for arrays in zip(unknown, known, strict=True)))
        return Data(known, both, len(known.era), len(both.era))

    def batch(self, examples: Clips, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        mel, era = jnp.asarray(examples.mel), jnp.asarray(examples.era)
        triplet_key, augment_key = jax.random.split(key)
        chosen = indices
        if self.config.triplets.mining == "random":
            keys = jax.vmap(jax.random.fold_in, (None, 0))(triplet_key, jnp.arange(len(indices)))
            partners = draw_partners(keys, indices, era, len(self.config.data.eras))
            chosen = jnp.stack([indices, *partners], axis=1)
        return Batch(self._augment(augment_key, mel[chosen]), era[indices])

    def _augment(
        self, key: Key[Array, ""], mel: Float32[Array, "batch *triplet 128 256 3"]
    ) -> Float32[Array, "batch *triplet 128 256 3"]:
        """Augment each clip of a batch at random."""
        if not self.config.augment.changes_clips:
            return mel
        clips = mel.reshape(-1, *mel.shape[-3:])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(clips)))
        _, deviation_db = self.config.data.representation.bands(3)
        augment = partial(augment_clip, config=self.config.augment, deviation_db=jnp.asarray(deviation_db))
        return jax.vmap(augment)(keys, clips).reshape(mel.shape)

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        c = self.config.triplets
        if c.mining != "random":
            embeddings, batch_stats = self._embed(variables, batch.mel)
            return Loss(mined_loss(c, embeddings, batch.era), {}, batch_stats)
        # As in the paper, anchors, positives and negatives are normalized separately.
        stacked = jnp.swapaxes(batch.mel, 0, 1).reshape(-1, *batch.mel.shape[2:])
        embeddings, batch_stats = self._embed(variables, stacked, groups=3)
        return Loss(triplet_loss(c, *embeddings.reshape(3, -1, embeddings.shape[1])), {}, batch_stats)

    def _embed(
        self, variables: Variables, mel: Float32[Array, "batch 128 256 3"], groups: int = 1
    ) -> tuple[Float32[Array, "batch embedding"], Tree]:
        """Embed clips in training, each of the `groups` normalized separately; also return the new statistics."""
        embeddings, updates = self.inference.network.apply(
            variables, mel, training=True, groups=groups, mutable=["batch_stats"]
        )
        return embeddings, updates["batch_stats"]

    def evaluate(
        self, state: TrainState, examples: Clips, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        """Embed clips, both held-out and training ones."""
        chosen = Clips(*(jnp.asarray(array)[indices] for array in examples))
        embedding = self.inference.embed(self.inference_variables(state), jnp.asarray(chosen.mel))
        return {"embedding": embedding, **{name: getattr(chosen, name) for name in chosen._fields if name != "mel"}}

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Compute `separation.measure`. Without training clips, there are no `neighbor` metrics."""
        held_out = measures["held_out"].astype(bool)
        embedding, era, composition = (measures[name] for name in ("embedding", "era", "composition"))
        return separation.measure(
            separation.Labeled(embedding[held_out], era[held_out], composition[held_out]),
            separation.Labeled(embedding[~held_out], era[~held_out], composition[~held_out]),
        )

    def sample(self, state: TrainState, examples: Clips, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw two-dimensional maps of the embeddings of the held-out clips, as in figure 4."""
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


def gather(museum: Museum, *, held_out: bool = False) -> Clips:
    """Return the clips of a data set; all of them are marked as `held_out` or not."""
    return Clips(museum.mel, museum.clip_era, museum.composition, np.full(len(museum.clip_era), held_out))
