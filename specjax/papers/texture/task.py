"""Training task of the texture paper: classification of sounds by their spectrograms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from specjax.engine.live.value import LiveValue, number_parser
from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.engine.train_state import TrainState
from specjax.measure.classification import worst_class_mean
from specjax.measure.intervals import share_interval
from specjax.papers.texture import data
from specjax.papers.texture.classify import ClassifierInference
from specjax.papers.texture.config import ClassifierConfig
from specjax.papers.texture.data import Sounds
from specjax.plots import render
from specjax.signal import augment


class Batch(NamedTuple):
    """Inputs of one update.

    levels: augmented spectrograms.
    label: probabilities of the classes: one-hot labels, smoothed and mixed.
    centroid: probabilities of the classes of the spectral centroid.
    """

    levels: Float[Array, "batch rows frames"]
    label: Float[Array, "batch classes"]
    centroid: Float[Array, "batch centroid_classes"]


@dataclass(frozen=True)
class ClassifierTask(SingleNetworkTask):
    """Training task of the classifier.

    config: settings, with the names of the classes filled in.
    name: name of the task.
    """

    config: ClassifierConfig
    name: str = "texture/classifier"
    headline: tuple[str, ...] = ("loss", "accuracy")

    @cached_property
    def inference(self) -> ClassifierInference:
        """The network, with functions that predict classes."""
        return ClassifierInference(self.config)

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs, by name.

        They are the learning rate `lr`, the weight `second_task` and, if a moving average of the parameters is kept,
        its decay `ema_decay`.
        """
        c = self.config
        values = super().live_values(steps)
        if c.model.centroid_classes:
            values["second_task"] = LiveValue(optax.constant_schedule(c.second_task), number_parser(0.0))
        return values

    def load(self) -> Data:
        c = self.config
        train, held_out = data.load(c.data, c.representation, c.model.centroid_classes)
        return Data(train, held_out, len(train.label), len(held_out.label))

    def batch(self, examples: Sounds, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        c = self.config
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        augment_keys, mixup_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        levels = jax.vmap(self._augment)(augment_keys, jnp.asarray(examples.levels)[indices])
        label = jax.nn.one_hot(jnp.asarray(examples.label)[indices], len(c.data.classes))
        label = optax.smooth_labels(label, c.label_smoothing)
        centroid = jax.nn.one_hot(jnp.asarray(examples.centroid_class)[indices], c.model.centroid_classes)
        if not c.augment.mixup:
            return Batch(levels, label, centroid)
        share = jax.vmap(self._draw_share)(mixup_keys)
        # Batches are shuffled, so adjacent examples are random partners.
        partner = jnp.roll(jnp.arange(len(indices)), 1)
        return Batch(*(augment.mixup(share, partner, x) for x in (levels, label, centroid)))

    def _draw_share(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """Draw the mixup weight of an example, at least 1/2, so that its partner never has the larger weight."""
        a = self.config.augment
        share_key, choice_key = jax.random.split(key)
        share = jax.random.beta(share_key, a.mixup, a.mixup)
        mixed = jax.random.uniform(choice_key) < a.mixup_share
        return jnp.where(mixed, jnp.maximum(share, 1.0 - share), 1.0)

    def _augment(self, key: Key[Array, ""], levels: Float[Array, "rows frames"]) -> Float[Array, "rows frames"]:
        a, representation = self.config.augment, self.config.representation
        rows, frames = levels.shape
        row_key, time_key, gain_key, rows_key, frames_key = jax.random.split(key, 5)
        if a.max_row_shift:
            levels = augment.random_row_shift(row_key, levels, max_rows=a.max_row_shift)
        if a.time_shift:
            levels = augment.random_time_shift(time_key, levels)
        if a.max_gain_db or a.max_tilt_db:
            gain, tilt = a.max_gain_db / representation.range_db, a.max_tilt_db / representation.range_db
            levels = augment.random_gain(gain_key, levels, max_change=gain, max_tilt=tilt)
        if a.frequency_masks:
            width = round(a.frequency_mask_share * rows)
            levels = augment.random_masks(rows_key, levels, count=a.frequency_masks, max_width=width, axis=0)
        if a.time_masks:
            width = min(round(a.time_mask_s * representation.sample_rate / representation.hop_length), frames)
            levels = augment.random_masks(frames_key, levels, count=a.time_masks, max_width=width, axis=1)
        return levels

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        logits, updates = self.inference.network.apply(
            variables, batch.levels, training=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        terms = {"label": jnp.mean(self._cross_entropy(logits.label, batch.label))}
        total = terms["label"]
        if self.config.model.centroid_classes:
            terms["centroid"] = jnp.mean(optax.softmax_cross_entropy(logits.centroid, batch.centroid))
            total += live["second_task"] * terms["centroid"]
        hits = jnp.argmax(logits.label, axis=1) == jnp.argmax(batch.label, axis=1)
        metrics = {"learning_rate": live["lr"], "accuracy": jnp.mean(hits)}
        metrics |= {f"loss.{name}": value for name, value in terms.items()}
        return Loss(total, metrics, updates.get("batch_stats"))

    def _cross_entropy(self, logits: Float[Array, "n classes"], label: Float[Array, "n classes"]) -> Float[Array, " n"]:
        if self.config.loss == "sigmoid":
            return jnp.sum(optax.sigmoid_binary_cross_entropy(logits, label), axis=1)
        return optax.softmax_cross_entropy(logits, label)

    def evaluate(
        self, state: TrainState, examples: Sounds, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        label = jnp.asarray(examples.label)[indices]
        logits = self.inference.predict(self.inference_variables(state), jnp.asarray(examples.levels)[indices])
        own = jnp.take_along_axis(logits.label, label[:, None], axis=1)
        rank = jnp.sum(~(logits.label < own), axis=1) - 1  # ties and NaN count as wrong
        one_hot = jax.nn.one_hot(label, logits.label.shape[1])
        measures = {
            "accuracy": (rank == 0).astype(jnp.float32),
            "top_5": (rank < 5).astype(jnp.float32),
            "cross_entropy": self._cross_entropy(logits.label, one_hot),
            "label": label,
        }
        if self.config.model.centroid_classes:
            centroid = jnp.asarray(examples.centroid_class)[indices]
            measures["centroid_accuracy"] = (jnp.argmax(logits.centroid, axis=1) == centroid).astype(jnp.float32)
        return measures

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        label, hits = measures["label"], measures["accuracy"]
        low, high = share_interval(int(hits.sum()), len(hits))
        summary = {f"eval/{name}": float(np.mean(values)) for name, values in measures.items() if name != "label"}
        return summary | {
            "eval/accuracy_low": low,
            "eval/accuracy_high": high,
            "eval/accuracy_worst_class": worst_class_mean(hits, label),
            "eval/examples": float(len(label)),
        }

    def sample(self, state: TrainState, examples: Sounds, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Draw the spectrogram of one held-out sound of each class, with the predicted class."""
        chosen = [int(np.flatnonzero(examples.label == label)[0]) for label in np.unique(examples.label)]
        levels = examples.levels[chosen]
        logits = jax.jit(self.inference.predict)(self.inference_variables(state), jnp.asarray(levels))
        names = self.config.data.classes
        pictures = [[render.apply_colormap(_fit(x, 96, 160))] for x in levels]
        guesses = [names[int(i)] for i in jnp.argmax(logits.label, axis=1)]
        titles = [f"{names[examples.label[i]]}\n-> {guess}" for i, guess in zip(chosen, guesses, strict=True)]
        return Sample({"held_out": render.tile(pictures, ["held-out sounds"], titles)}, {}, 1)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the inference variables of the network, and its config."""
        return {"classifier": Part(self.inference_variables(state), asdict(self.config))}


def _fit(picture: Float[np.ndarray, "rows frames"], height: int, width: int) -> Float[np.ndarray, "height width"]:
    """Resize a picture by nearest neighbors."""
    rows, frames = picture.shape
    return picture[np.arange(height) * rows // height][:, np.arange(width) * frames // width]
