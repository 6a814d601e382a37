"""Inference with a trained U-Net: predict spectrograms from digits, then decode chords and synthesize sounds."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.bundle import Bundle
from specjax.image.augment import random_affine
from specjax.nn.norm import fold_batch_norm
from specjax.papers.chord import conditioning, metrics, sound, theory
from specjax.papers.chord.config import ChordConfig
from specjax.papers.chord.data import DigitsConfig, load, read_digit
from specjax.papers.chord.model import UNet
from specjax.papers.chord.sound import SoundConfig
from specjax.plots import render
from specjax.signal import oscillators

Digit = UInt8[np.ndarray, "28 28"]
COPIES = 32  # number of changed copies of a digit from which the confidence is estimated
MIN_CONFIDENCE = 0.9  # digits like those of the training have about 0.99

_log = logging.getLogger("specjax")


@dataclass(frozen=True)
class ChordInference:
    """Methods that use a U-Net to predict spectrograms, and that decode chords and synthesize sound from them.

    The network's parameters are not stored here: methods that need them take them as an argument.

    config: architecture of the network, and settings of its data and spectrograms.
    """

    config: ChordConfig

    def network(self, columns: int | None = None) -> UNet:
        """Build the U-Net that predicts spectrograms with `columns` columns; None means all, `conditioning.size`."""
        size = self.config.conditioning.size
        return UNet(self.config.model, size, columns or size)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Initialize the variables of the network: `params`, and `batch_stats` if it has batch normalization."""
        quality = jnp.zeros((1,), jnp.int32) if self.config.model.qualities else None
        streams = {"params": key, "dropout": key}
        return dict(self.network().init(streams, jnp.zeros((1, 28, 28)), quality, training=True))

    def predict(
        self,
        params: Any,
        digit: Float[Array, "batch 28 28"],
        quality: Int[Array, " batch"],
        columns: int | None = None,
    ) -> Float[Array, "batch size columns"]:
        """Predict the spectrograms of a batch of digits.

        Args:
          params: parameters of the network with batch normalization folded in, as `open_unet` returns them.
          digit: images in [0, 1].
          quality: index of each chord's quality; ignored if the network is not conditioned on the quality.
          columns: number of columns of the spectrograms; None means all, `conditioning.size`.
        """
        conditioned_on = quality if self.config.model.qualities else None
        spectrograms = self.network(columns).apply({"params": params}, digit, conditioned_on)
        assert isinstance(spectrograms, jax.Array)
        return spectrograms

    def chord_name(self, label: int, quality: int) -> str:
        """Return the name of a chord, such as `A#0_major`, from its label and quality index."""
        return f"{theory.note_name(label)}_{self.config.qualities[quality]}"

    @cached_property
    def operators(self) -> conditioning.Operators:
        """Matrices that compute the target spectrogram of a digit at full resolution (see `conditioning.operators`)."""
        c = self.config
        return conditioning.operators(c.conditioning, c.data.labels, c.qualities)

    @cached_property
    def templates(self) -> Float[np.ndarray, "labels qualities size"]:
        """Ideal row profiles, one for each label and chord quality.

        The row profile of a spectrogram is its mean over time: one value per row. The ideal profile of a chord has
        peaks at the rows of its partials, weighted and blurred as in the training targets. It is scaled to mean 0 and
        norm 1. `read_chord` finds the ideal profile that is most similar to that of a prediction.
        """
        return metrics.profile_templates(self.operators.spread)

    def read_chord(self, spectrogram: Float[Array, "size size"]) -> tuple[int, int]:
        """Decode the chord of a spectrogram.

        The mean of each row over time, a vector of length `size`, is correlated with the ideal vector of every chord
        (`templates`). The chord with the highest correlation is chosen.

        Returns:
          The label of the chord, and the index of its chord quality in `config.qualities`.
        """
        label, quality = _read_chord(spectrogram, jnp.asarray(self.templates))
        return int(label), int(quality)

    def confidence(
        self,
        params: Any,
        digit: Float[Array, "28 28"],
        quality: Int[Array, ""],
        chord: tuple[Int[Array, ""], Int[Array, ""]],
    ) -> Float[Array, ""]:
        """Estimate how sure it is that a digit stands for a chord, 0 to 1.

        The digit is copied, and the copies are shifted, rotated, scaled and sheared at random, so little that a person
        would not read another digit. The result is the mean over the copies of the correlation of the predicted row
        profile with the ideal one of the chord, or of 0 if another chord has a higher correlation. It is low for
        pictures that are not digits, and for a network that was trained too little.

        Args:
          params: see `predict`.
          digit: image in [0, 1].
          quality: index of the chord's quality, see `predict`.
          chord: label and quality index of the chord, as `read_chord` returns them.
        """
        keys = jax.random.split(jax.random.key(0), COPIES)
        copies = jax.vmap(lambda key: random_affine(key, digit))(keys)
        size = self.config.conditioning.size
        columns = next(n for n in range(conditioning.DIGIT_SIZE, size + 1) if size % n == 0)
        spectrograms = self.predict(params, copies, jnp.full(COPIES, quality), columns)
        profiles = jnp.mean(spectrograms, axis=2)
        correlations = jax.vmap(metrics.chord_correlations, (0, None))(profiles, jnp.asarray(self.templates))
        of_chord = correlations[:, chord[0], chord[1]]
        return jnp.mean(jnp.where(of_chord == jnp.max(correlations, axis=(1, 2)), jnp.maximum(of_chord, 0.0), 0.0))

    def sound(self, spectrogram: Float[Array, "size size"], config: SoundConfig) -> Float[np.ndarray, " samples"]:
        """Synthesize the sound of a spectrogram, scaled to peak 1.

        Each row of the spectrogram is the amplitude over time of a sine. The frequency of row r is r Hz plus
        `config.offset_hz`. If `config.exact` is true, the chord is decoded by `read_chord`. Rows within 6 rows of a
        partial of this chord then get the exact frequency of the nearest partial. All frequencies are raised by
        `config.octave` octaves. Partials at or above half the sample rate are silent.

        Args:
          spectrogram: predicted spectrogram; clipped to [0, 1].
          config: settings of the synthesis.

        Raises:
          UserError: a note of the chord is at or above half the sample rate.
        """
        label, quality = self.read_chord(spectrogram)
        self._check_notes(label, quality, config)
        options = self.config.conditioning
        tuning = sound.tuning(options.size, (label,), self.config.qualities, options.partials, options.base_hz, config)
        # Rows at or above half the sample rate are silenced, since they would alias.
        audible = tuning.frequencies_hz[quality] < config.sample_rate / 2
        increments = oscillators.phase_increment(tuning.frequencies_hz[quality] * audible, config.sample_rate)
        phase_row = jnp.asarray(tuning.phase_row[quality])
        amplitudes = jnp.where(jnp.asarray(audible)[:, None], spectrogram, 0.0)
        return np.asarray(_wave(amplitudes, jnp.asarray(increments), phase_row, config))

    def _check_notes(self, label: int, quality: int, config: SoundConfig) -> None:
        """Check that all notes of a chord are below half the sample rate.

        Raises:
          UserError: a note is not.
        """
        name = self.config.qualities[quality]
        notes_hz = theory.exact_frequencies_hz(label, name, self.config.conditioning.base_hz) * 2.0**config.octave
        if lost := [f"{hz:.0f} Hz" for hz in notes_hz if 2 * hz >= config.sample_rate]:
            root = theory.note_name(label + theory.SEMITONES * config.octave)
            raise UserError(
                f"{len(lost)} of {len(notes_hz)} notes of {root} {name} ({', '.join(lost)}) are at or above half of "
                f"sample_rate={config.sample_rate} Hz, so they cannot sound: raise it, or lower the octave"
            )


class ChordSound(NamedTuple):
    """Chord synthesized from one digit.

    name: name of the digit, used for file names.
    label: name of the class whose chord was decoded from the spectrogram, such as `4`.
    confidence: how sure the label is, 0 to 1, see `ChordInference.confidence`.
    chord: name of the chord as it sounds, such as `C#4 major`.
    wave: sound of the chord, with peak 1.
    picture: image of the spectrogram with axes.
    """

    name: str
    label: str
    confidence: float
    chord: str
    wave: Float[np.ndarray, " samples"]
    picture: render.Rgb


def open_unet(opened: Bundle, where: str) -> tuple[ChordInference, Any]:
    """Prepare a bundle of the task `chord/unet` for inference, see `bundle.open_part`.

    Returns:
      The description of the network, and its parameters.

    Raises:
      UserError: the bundle has another part than `unet`, invalid settings, or tensors that do not fit.
    """

    def init(inference: ChordInference, key: Key[Array, ""]) -> Any:
        variables = inference.init(key)
        return fold_batch_norm(variables["params"], variables.get("batch_stats", {}))

    return bundle.open_part(opened, where, "unet", ChordConfig, ChordInference, init)


def builtin_digits(digits: Sequence[int]) -> dict[str, Digit]:
    """Load one held-out image of each of the given digits, 0 to 9, from scikit-learn's handwritten digits.

    Returns:
      Images by name, such as `digit_4`.
    """
    _, held_out = load(DigitsConfig())
    return {f"digit_{d}": held_out.image[int(np.flatnonzero(held_out.label == d)[0])] for d in digits}


def read_digits(paths: Sequence[Path], fit: bool) -> dict[str, Digit]:
    """Read images of digits from files.

    Args:
      paths: image files.
      fit: convert images of any size or polarity to 28x28 with bright ink on black. If false, they must have this
        format.

    Returns:
      Images by file name without suffix.

    Raises:
      UserError: a picture cannot be read or is not a digit, or two have the same name.
    """
    digits: dict[str, Digit] = {}
    for path in paths:
        if path.stem in digits:
            raise UserError(
                f"two pictures are named {path.stem}, so their outputs would overwrite each other: rename one"
            )
        digits[path.stem] = read_digit(path, fit)
    return digits


def synthesize(
    inference: ChordInference, params: Any, digits: Mapping[str, Digit], quality: str | None, sound: SoundConfig
) -> Iterator[ChordSound]:
    """Predict the spectrogram of each digit's chord, and synthesize its sound.

    Args:
      inference: inference functions of the network.
      params: parameters of the network.
      digits: images by name.
      quality: name of the chord quality; None takes the first one that the network was trained on.
      sound: settings of the sound synthesis.

    A warning is logged for a confidence below `MIN_CONFIDENCE`, and for a chord of another quality than `quality`.

    Yields:
      Name, label, chord, sound and picture of each digit.

    Raises:
      UserError: the network was not trained on `quality`.
    """
    stack = np.stack(list(digits.values())).astype(np.float32) / np.float32(255)
    qualities = inference.config.qualities
    asked = jnp.int32(_quality_index(quality, qualities))
    spectrograms = jax.jit(inference.predict)(params, jnp.asarray(stack), jnp.full((len(digits),), asked))
    confidence = jax.jit(inference.confidence)
    for name, digit, spectrogram in zip(digits, stack, np.asarray(spectrograms), strict=True):
        label, quality_index = inference.read_chord(jnp.asarray(spectrogram))
        sure = float(confidence(params, jnp.asarray(digit), asked, (jnp.int32(label), jnp.int32(quality_index))))
        class_name = inference.config.data.classes[label] if inference.config.data.classes else str(label)
        chord = f"{theory.note_name(label + theory.SEMITONES * sound.octave)} {qualities[quality_index]}"
        if sure < MIN_CONFIDENCE:
            _log.warning(
                "%s: read as %s with a confidence of %.0f%%, expected at least %.0f%%: it may not be a digit, or the "
                "network needs more training", name, class_name, 100 * sure, 100 * MIN_CONFIDENCE
            )  # fmt: skip
        if quality_index != int(asked):
            _log.warning("%s: the network plays %s, not the %s of --quality", name, chord, qualities[int(asked)])
        picture = render.spectrogram(
            spectrogram,
            duration_s=sound.duration_s,
            row_hz=2.0**sound.octave,
            rows=(0, max(inference.config.conditioning.size // 10, 28)),
            title=f"{name}: {chord}",
        )
        yield ChordSound(name, class_name, sure, chord, inference.sound(jnp.asarray(spectrogram), sound), picture)


def _quality_index(quality: str | None, qualities: Sequence[str]) -> int:
    if quality is None:
        return 0
    if quality not in qualities:
        raise UserError(f"--quality={quality!r} is unknown: this bundle plays {', '.join(qualities)}")
    return qualities.index(quality)


_wave = jax.jit(sound.wave, static_argnums=3)


@jax.jit
def _read_chord(spectrogram: Array, templates: Array) -> tuple[Int[Array, ""], Int[Array, ""]]:
    return metrics.decode_chord(metrics.row_profile(spectrogram), templates)
