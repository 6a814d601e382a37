"""The chord wing as a task: digits in, chords out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from specjax.batching import over_examples
from specjax.chord import conditioning, metrics, synth, theory
from specjax.chord.config import ChordConfig
from specjax.chord.loss import LOSSES, NAMES, reading, weighted_sum
from specjax.chord.model import UNet
from specjax.chord.sheet import contact_sheet
from specjax.data import digits
from specjax.data.digits import Digits
from specjax.engine.task import Metrics, Part, Sample
from specjax.image import augment
from specjax.image.similarity import ms_ssim
from specjax.nn.norm import folded
from specjax.optim.guard import Guarded
from specjax.optim.knobs import Knob, mask_of, number_from
from specjax.optim.schedules import Schedule, ScheduleSpec
from specjax.signal import oscillators

# Pitch is measured on a slow version of the sound: within one second notes 6 Hz apart blur into one another.
PITCH_SOUND = synth.SoundConfig(sample_rate=4032, duration_s=8.0)


class Batch(NamedTuple):
    """What one update sees."""

    digit: Float[Array, "batch 28 28"]
    label: Int[Array, " batch"]
    quality: Int[Array, " batch"]
    target: Float[Array, "batch size columns"]


@dataclass(frozen=True)
class ChordTask:
    """The six verbs over a `ChordConfig`. The state is a `Guarded`; its average is what is judged."""

    config: ChordConfig
    name: str = "chord"

    @cached_property
    def knobs(self) -> dict[str, Knob]:
        """Learning rate, loss weights and curriculum mask, and how slowly the average forgets."""
        c = self.config
        weights = {f"loss.{name}": _weight(c.weights[name]) for name in self._losses}
        # Early on a long average would mostly remember the random start.
        average_decay = Knob(
            lambda step: jnp.minimum(c.optimiser.average_decay, (1 + step) / (10 + step)), number_from(0.0, below=1.0)
        )
        return {
            "lr": Knob(c.optimiser.learning_rate.build(), number_from(0.0), scales=True),
            **weights,
            "curriculum": Knob(_mask_schedule(c.curriculum, c.data.labels), mask_of(c.data.labels)),
            "average_decay": average_decay,
        }

    @property
    def _losses(self) -> tuple[str, ...]:
        """Losses that this network can be trained by."""
        return NAMES if self.config.model.labels else tuple(LOSSES)

    @cached_property
    def operators(self) -> conditioning.Operators:
        """Of whole targets, which pictures are judged by."""
        return self._operators(self.config.conditioning.size)

    @cached_property
    def compared(self) -> conditioning.Operators:
        """Of the targets that losses compare."""
        return self._operators(self.config.columns or self.config.conditioning.size)

    def _operators(self, columns: int) -> conditioning.Operators:
        c = self.config
        return conditioning.operators(c.conditioning, c.data.labels, c.qualities, columns)

    def load(self) -> tuple[Digits, Digits]:
        return digits.load(self.config.data)

    def init(self, key: Key[Array, ""]) -> Guarded:
        quality = jnp.zeros((1,), jnp.int32) if self.config.model.qualities else None
        streams = {"params": key, "dropout": key}
        variables = self._model().init(streams, jnp.zeros((1, 28, 28)), quality, training=True)
        return self.config.optimiser.start(variables["params"], variables.get("batch_stats", {}))

    def batch(self, examples: Digits, indices: Int[Array, " batch"], key: Key[Array, ""]) -> Batch:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(indices)))
        digit = examples.image[indices].astype(jnp.float32) / 255.0
        label = examples.label[indices]

        augment_keys, quality_keys, noise_keys = jax.vmap(lambda k: jax.random.split(k, 3), out_axes=1)(keys)
        bounds = asdict(self.config.augment)
        if any(bounds.values()):
            digit = jax.vmap(partial(augment.random_affine, **bounds))(augment_keys, digit)
        quality = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(self.config.qualities)))(quality_keys)
        target = conditioning.targets(self.compared, self.config.conditioning, digit, label, quality, noise_keys)
        return Batch(digit, label, quality, target)

    def step(
        self, state: Guarded, batch: Batch, knobs: Mapping[str, Array], key: Key[Array, ""]
    ) -> tuple[Guarded, Metrics]:
        weights = {name: knobs[f"loss.{name}"] for name in self._losses if f"loss.{name}" in knobs}
        varying = [name for name in weights if self.config.weights[name].kind != "constant"]
        importance = knobs["curriculum"][batch.label]

        def objective(params: Any) -> tuple[Float[Array, ""], tuple[Metrics, Any]]:
            variables = {"params": params, "batch_stats": state.statistics}
            told = batch.quality if self.config.model.qualities else None
            picture, seen = self._model(batch.target.shape[2]).apply(
                variables, batch.digit, told, training=True, rngs={"dropout": key}, mutable=["reading", "batch_stats"]
            )
            logits = seen["reading"]["label"][0] if self.config.model.labels else jnp.zeros((len(batch.digit), 0))
            of_picture = {name: partial(f, picture, batch.target, self.config.loss) for name, f in LOSSES.items()}
            losses = {**of_picture, "label": partial(reading, logits, batch.label)}
            total, terms = weighted_sum(losses, weights, importance, varying)
            return total, (terms, seen.get("batch_stats", {}))

        (total, (terms, statistics)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        state, norms = self.config.optimiser.update(
            state, gradients, knobs["lr"], knobs["average_decay"], total, statistics
        )
        named = {f"loss/{name}": value for name, value in terms.items()}
        return state, {"loss": total, "learning_rate": knobs["lr"], **named, **norms}

    def _model(self, columns: int | None = None) -> UNet:
        size = self.config.conditioning.size
        return UNet(self.config.model, size, columns or size)

    def paint(
        self,
        params: Any,
        digit: Float[Array, "batch 28 28"],
        quality: Int[Array, " batch"],
        columns: int | None = None,
    ) -> Float[Array, "batch size columns"]:
        """Spectrograms of a batch of digits; whole ones, unless `columns` says how many."""
        told = quality if self.config.model.qualities else None
        pictures = self._model(columns).apply({"params": params}, digit, told)
        assert isinstance(pictures, jax.Array)
        return pictures

    def painter(self, state: Guarded) -> Any:
        """Parameters to paint by: averages, normalisations folded into the convolutions."""
        return folded(state.average, state.statistics)

    def evaluate(self, state: Guarded, examples: Digits) -> Metrics:
        digit = jnp.asarray(examples.image, jnp.float32) / 255.0
        # Every quality is met equally often, whatever the order of the examples.
        place = jnp.sum(jnp.asarray(examples.image, jnp.int32), axis=(1, 2))
        quality = place % len(self.config.qualities)
        pictures = self.paint(self.painter(state), digit, quality)
        return over_examples(self._measure)(pictures, digit, jnp.asarray(examples.label), quality)

    def summarise(self, measures: Mapping[str, np.ndarray]) -> dict[str, float]:
        label = measures["label"]
        summary = {f"eval/{k}": float(np.mean(v)) for k, v in measures.items() if k != "label"}
        by_label = [measures["exact_notes"][label == value].mean() for value in np.unique(label)]
        return summary | {
            "eval/exact_notes_worst_label": float(min(by_label)),
            "eval/examples": float(len(label)),
        }

    def _measure(
        self,
        picture: Float[Array, "size size"],
        digit: Float[Array, "28 28"],
        label: Int[Array, ""],
        quality: Int[Array, ""],
    ) -> Metrics:
        reference = conditioning.target(self.operators, self.config.conditioning, digit, label, quality, None)
        tables = jax.tree.map(jnp.asarray, self._tables)
        chord = label * len(self.config.qualities) + quality
        partials, notes = tables.partials[chord], tables.notes[chord]
        profile = metrics.row_profile(picture)
        named_label, named_quality = metrics.decode_chord(profile, tables.templates)
        heard_as = named_label * len(self.config.qualities) + named_quality
        wave = synth.wave(picture, tables.increments[heard_as], tables.phase_rows[heard_as], PITCH_SOUND)
        return {
            "label": label,
            "exact_notes": metrics.exact_notes(profile, notes).astype(jnp.float32),
            "row_f1": metrics.row_f1(profile, metrics.row_profile(reference)),
            "off_chord_db": metrics.off_chord_db(picture, partials),
            "pitch_error_cents": metrics.pitch_error_cents(wave, tables.exact_hz[chord], PITCH_SOUND.sample_rate),
            "r_squared": metrics.r_squared(picture, reference),
            "brightest": jnp.max(picture),
            "ms_ssim": ms_ssim(picture, reference),
            "envelope_correlation": metrics.envelope_correlation(
                picture, partials, digit, jnp.asarray(self.operators.upscale)
            ),
            "label_named": (named_label == label).astype(jnp.float32),
            "quality_named": (named_quality == quality).astype(jnp.float32),
        }

    def sample(self, state: Guarded, examples: Digits) -> Sample:
        """One held-out digit of each label: a contact sheet, and the sound of what was painted."""
        shown = [int(np.flatnonzero(examples.label == label)[0]) for label in np.unique(examples.label)]
        digit = jnp.asarray(examples.image[shown], jnp.float32) / 255.0
        label = jnp.asarray(examples.label[shown])
        quality = jnp.arange(len(shown), dtype=jnp.int32) % len(self.config.qualities)
        keys = jax.random.split(jax.random.key(0), len(shown))
        make = jax.jit(partial(conditioning.targets, self.operators, self.config.conditioning))
        targets = make(digit, label, quality, keys)
        pictures = jax.jit(self.paint)(self.painter(state), digit, quality)
        names = [self.chord_name(int(y), int(q)) for y, q in zip(label, quality, strict=True)]
        sounds = {f"{int(y)}_{name}": self.sound(picture, self.config.sound)
                  for y, name, picture in zip(label, names, pictures, strict=True)}  # fmt: skip
        sheet = contact_sheet(np.asarray(digit), np.asarray(targets), np.asarray(pictures), names)
        return Sample({"contact_sheet": sheet}, sounds, self.config.sound.sample_rate)

    def chord_name(self, label: int, quality: int) -> str:
        """Name of a chord such as `A#0_major`."""
        return f"{theory.note_name(label)}_{self.config.qualities[quality]}"

    def read_chord(self, picture: Float[Array, "size size"]) -> tuple[int, int]:
        """Label and quality index named by the picture's own rows."""
        label, quality = _read_chord(picture, jnp.asarray(self._tables.templates))
        return int(label), int(quality)

    def sound(self, picture: Float[Array, "size size"], config: synth.SoundConfig) -> Float[np.ndarray, " samples"]:
        """Sound of a painted chord, tuned by what the picture shows."""
        label, quality = self.read_chord(picture)
        c = self.config
        tuning = synth.tuning(
            c.conditioning.size,
            (label,),
            c.qualities,
            c.conditioning.partials,
            c.conditioning.base_hz,
            config,
        )
        # Rows whose frequency the sample rate cannot carry are left out rather than folded back.
        carried = tuning.frequencies_hz[quality] < config.sample_rate / 2
        increments = oscillators.phase_increment(tuning.frequencies_hz[quality] * carried, config.sample_rate)
        phase_row = jnp.asarray(tuning.phase_row[quality])
        heard = jnp.where(jnp.asarray(carried)[:, None], picture, 0.0)
        return np.asarray(_wave(heard, jnp.asarray(increments), phase_row, config))

    def parts(self, state: Guarded) -> dict[str, Part]:
        """The averaged U-Net, and the configuration it paints by."""
        return {"unet": Part(self.painter(state), asdict(self.config))}

    @cached_property
    def _tables(self) -> "_Tables":
        c, spread = self.config, self.operators.spread
        labels = spread.shape[0]
        chords = [(label, quality) for label in range(labels) for quality in c.qualities]
        of = c.conditioning
        partials = [theory.partial_rows(y, q, of.partials, of.size, of.base_hz) for y, q in chords]
        tuning = synth.tuning(
            of.size,
            range(labels),
            c.qualities,
            of.partials,
            of.base_hz,
            synth.SoundConfig(exact=c.sound.exact),
        )
        return _Tables(
            templates=metrics.profile_templates(spread),
            partials=_padded(partials).astype(np.int32),
            notes=_padded([theory.chord_rows(y, q, of.base_hz) for y, q in chords]).astype(np.int32),
            exact_hz=_padded([theory.exact_frequencies_hz(y, q, of.base_hz) for y, q in chords]).astype(np.float32),
            increments=oscillators.phase_increment(tuning.frequencies_hz, PITCH_SOUND.sample_rate),
            phase_rows=tuning.phase_row.astype(np.int32),
        )


class _Tables(NamedTuple):
    """What metrics look up; by chord, numbered label by label, unused places -1."""

    templates: np.ndarray
    partials: np.ndarray
    notes: np.ndarray
    exact_hz: np.ndarray
    increments: np.ndarray
    phase_rows: np.ndarray


_wave = jax.jit(synth.wave, static_argnums=3)


@jax.jit
def _read_chord(picture: Array, templates: Array) -> tuple[Int[Array, ""], Int[Array, ""]]:
    return metrics.decode_chord(metrics.row_profile(picture), templates)


def _weight(spec: ScheduleSpec) -> Knob:
    return Knob(spec.build(), number_from(0.0), dormant=spec == ScheduleSpec(value=0.0))


def _mask_schedule(curriculum: tuple[tuple[int, tuple[int, ...]], ...], labels: int) -> Schedule:
    """Step -> which labels count (1) or not (0)."""
    if not curriculum:
        return lambda step: jnp.ones((labels,))
    begins = jnp.array([step for step, _ in curriculum], jnp.float32)  # steps come as floats
    masks = np.zeros((len(curriculum), labels), np.float32)
    for i, (_, shown) in enumerate(curriculum):
        masks[i, list(shown)] = 1.0
    return lambda step: jnp.asarray(masks)[jnp.searchsorted(begins, step, side="right") - 1]


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of unequal length as one array, filled up with -1."""
    full = np.full((len(rows), max(map(len, rows))), -1.0)
    for i, row in enumerate(rows):
        full[i, : len(row)] = row
    return full
