"""Training task of the chord paper: a U-Net learns to turn 28x28 digits into spectrograms of their chords."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.arrays.batching import map_examples
from specjax.engine.live.value import LiveValue, label_mask_parser, number_parser
from specjax.engine.single_network import Loss, SingleNetworkTask, Variables
from specjax.engine.task import Data, Metrics, Part, Sample, Tree
from specjax.engine.train_state import TrainState
from specjax.image import augment, strokes
from specjax.measure.classification import worst_class_mean
from specjax.nn.norm import fold_batch_norm
from specjax.optim.schedules import Schedule, ScheduleSpec
from specjax.papers.chord import conditioning, data
from specjax.papers.chord.config import ChordConfig
from specjax.papers.chord.contact_sheet import contact_sheet
from specjax.papers.chord.data import Digits
from specjax.papers.chord.evaluation import Evaluation
from specjax.papers.chord.inference import ChordInference
from specjax.papers.chord.losses import LOSSES, NAMES, label_loss, weighted_sum


class Batch(NamedTuple):
    """Inputs of one update.

    digit: images in [0, 1].
    label: labels of the digits.
    quality: chord qualities, as indices into `ChordConfig.qualities`.
    target: target spectrograms in [0, 1].
    """

    digit: Float[Array, "batch 28 28"]
    label: Int[Array, " batch"]
    quality: Int[Array, " batch"]
    target: Float[Array, "batch size columns"]


@dataclass(frozen=True)
class ChordTask(SingleNetworkTask):
    """Training task of the U-Net that predicts spectrograms of chords from digits.

    config: settings of the data, the network, the losses and the optimizer.
    name: name of the task.
    """

    config: ChordConfig
    name: str = "chord/unet"

    def live_values(self, steps: int) -> dict[str, LiveValue]:
        """Return the values that may be changed while training runs, by name.

        They are the learning rate `lr`, the loss weights `loss.NAME`, the mask `curriculum` of labels to train on, and,
        if a moving average of the parameters is kept, its decay `ema_decay`.

        Args:
          steps: number of updates of the training. A schedule whose own length is not set ends at this step.
        """
        c = self.config
        return {
            **super().live_values(steps),
            **{f"loss.{name}": _build_weight(c.loss[name], steps) for name in self._losses},
            "curriculum": LiveValue(
                _build_mask_schedule(c.curriculum, c.data.labels), label_mask_parser(c.data.labels)
            ),
        }

    @property
    def _losses(self) -> tuple[str, ...]:
        """Names of the losses that this network can be trained with; `label` needs the digit classifier."""
        return NAMES if self.config.model.labels else tuple(LOSSES)

    @cached_property
    def inference(self) -> ChordInference:
        """The network, with functions that decode its spectrograms to chords and synthesize their sound."""
        return ChordInference(self.config)

    @cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self.inference)

    @cached_property
    def _operators(self) -> conditioning.Operators:
        """Matrices that turn digits into training spectrograms with `config.columns` columns (0 means all)."""
        c = self.config
        columns = c.columns or c.conditioning.size
        return conditioning.operators(c.conditioning, c.data.labels, c.qualities, columns)

    def load(self) -> Data:
        train, held_out = data.load(self.config.data)
        return Data(train, held_out, len(train.label), len(held_out.label))

    def batch(self, examples: Digits, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        digit = examples.image[indices].astype(jnp.float32) / 255.0
        label = examples.label[indices]

        split = jax.vmap(lambda k: jax.random.split(k, 4), out_axes=1)
        affine_keys, quality_keys, noise_keys, stroke_keys = split(keys)
        bounds = self.config.augment
        if bounds.max_stroke:
            digit = jax.vmap(partial(strokes.random_stroke_width, max_change=bounds.max_stroke))(stroke_keys, digit)
        if any(bounds.affine.values()):
            digit = jax.vmap(partial(augment.random_affine, **bounds.affine))(affine_keys, digit)
        quality = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(self.config.qualities)))(quality_keys)
        target = conditioning.targets(self._operators, self.config.conditioning, digit, label, quality, noise_keys)
        return Batch(digit, label, quality, target)

    def loss(self, variables: Variables, batch: Batch, live: Mapping[str, Array], key: Key[Array, ""]) -> Loss:
        config = self.config
        weights = {name: live[f"loss.{name}"] for name in self._losses if f"loss.{name}" in live}
        varying = [name for name in weights if config.loss[name].kind != "constant"]
        importance = live["curriculum"][batch.label]
        prediction, collected = self.inference.network(batch.target.shape[2]).apply(
            variables,
            batch.digit,
            batch.quality if config.model.qualities else None,
            training=True,
            rngs={"dropout": key},
            mutable=["intermediates", "batch_stats"],
        )
        logits = collected["intermediates"]["label"][0] if config.model.labels else jnp.zeros((len(batch.digit), 0))
        losses = {name: partial(f, prediction, batch.target, config.loss_options) for name, f in LOSSES.items()}
        losses |= {"label": partial(label_loss, logits, batch.label)}
        total, terms = weighted_sum(losses, weights, importance, varying)
        metrics = {"learning_rate": live["lr"]} | {f"loss.{name}": value for name, value in terms.items()}
        return Loss(total, metrics, collected.get("batch_stats"))

    def inference_params(self, state: TrainState) -> Any:
        """Compute the parameters for inference, with batch normalization folded into the convolutions.

        They are those of `inference_variables`: the moving average if one is kept.
        """
        return fold_batch_norm(self.inference_variables(state)["params"], state.batch_stats)

    def evaluate(
        self, state: TrainState, examples: Digits, indices: Int[Array, " batch"], frozen: Tree, key: Key[Array, ""]
    ) -> Metrics:
        image, label = examples.image[indices], examples.label[indices]
        digit = image.astype(jnp.float32) / 255.0
        # The quality is a hash of the image: about equally frequent, and independent of the order of the examples.
        quality = jnp.sum(image.astype(jnp.int32), axis=(1, 2)) % len(self.config.qualities)
        predictions = self.inference.predict(self.inference_params(state), digit, quality)
        return map_examples(self._evaluation.measure)(predictions, digit, label, quality)

    def summarize(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        label = measures["label"]
        summary = {f"eval/{name}": float(np.mean(values)) for name, values in measures.items() if name != "label"}
        return summary | {
            "eval/exact_notes_worst_label": worst_class_mean(measures["exact_notes"], label),
            "eval/examples": float(len(label)),
        }

    def sample(self, state: TrainState, examples: Digits, frozen: Tree, key: Key[Array, ""]) -> Sample:
        """Predict the spectrogram of one held-out digit for each label, and make a picture and sounds of them.

        Args:
          state: training state, whose parameters make the predictions.
          examples: all held-out digits.
          frozen: not used.
          key: not used.
        """
        inference, config = self.inference, self.config
        chosen = [int(np.flatnonzero(examples.label == label)[0]) for label in np.unique(examples.label)]
        digit = jnp.asarray(examples.image[chosen], jnp.float32) / 255.0
        label = jnp.asarray(examples.label[chosen])
        quality = jnp.arange(len(chosen), dtype=jnp.int32) % len(config.qualities)
        keys = jax.random.split(jax.random.key(0), len(chosen))
        make_targets = jax.jit(partial(conditioning.targets, inference.operators, config.conditioning))
        targets = make_targets(digit, label, quality, keys)
        predictions = jax.jit(inference.predict)(self.inference_params(state), digit, quality)
        names = [inference.chord_name(int(y), int(q)) for y, q in zip(label, quality, strict=True)]
        sounds = {
            f"{int(y)}_{name}": inference.sound(prediction, config.sound)
            for y, name, prediction in zip(label, names, predictions, strict=True)
        }
        sheet = contact_sheet(np.asarray(digit), np.asarray(targets), np.asarray(predictions), names)
        return Sample({"contact_sheet": sheet}, sounds, config.sound.sample_rate)

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle: the inference parameters of the U-Net, and its config."""
        return {"unet": Part(self.inference_params(state), asdict(self.config))}


def _build_weight(spec: ScheduleSpec, steps: int) -> LiveValue:
    return LiveValue(spec.build(steps), number_parser(0.0), dormant=spec == ScheduleSpec(value=0.0))


def _build_mask_schedule(curriculum: tuple[tuple[int, tuple[int, ...]], ...], labels: int) -> Schedule:
    """Build a function from the training step to a `(labels,)` mask: 1 for labels that are trained on, otherwise 0.

    Args:
      curriculum: pairs of a step and the labels that are trained on from this step on, ordered by step. The first step
        is 0. Empty means all labels at all steps.
      labels: number of labels.
    """
    if not curriculum:
        return lambda step: jnp.ones((labels,))
    starts = jnp.array([step for step, _ in curriculum], jnp.float32)  # the engine passes steps as floats
    masks = np.zeros((len(curriculum), labels), np.float32)
    for i, (_, counted) in enumerate(curriculum):
        masks[i, list(counted)] = 1.0
    return lambda step: jnp.asarray(masks)[jnp.searchsorted(starts, step, side="right") - 1]
