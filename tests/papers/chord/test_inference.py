"""How sure a reading is, and what is said of it: with networks whose predictions are known."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.chord import inference
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.config import ChordConfig
from specjax.papers.chord.data import DigitsConfig
from specjax.papers.chord.inference import ChordInference
from specjax.papers.chord.model import UNetConfig
from specjax.papers.chord.sound import SoundConfig

CONFIG = ChordConfig(conditioning=Conditioning(size=112), data=DigitsConfig(labels=3))
DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:24, 12:16] = 255
SOUND = SoundConfig(sample_rate=8000, duration_s=0.1, octave=3)


@dataclass(frozen=True)
class Painter(ChordInference):
    """Stands for a network that paints ideal chords: of one label only, or of a label that any change of the digit
    changes."""

    steady: bool = True
    noise: float = 0.0
    played: int = 0

    def predict(self, params, digit, quality, columns=None):
        ink = jnp.sum(digit @ (1.0 + jnp.arange(28.0)), axis=1)
        label = jnp.int32(jnp.full(len(digit), 1.0) if self.steady else ink) % 3
        profile = jnp.asarray(self.templates)[label, self.played]
        rows = jnp.asarray(np.random.default_rng(0).normal(0, self.noise, profile.shape[-1]), jnp.float32)
        return jnp.repeat((profile + rows[None])[..., None], columns or self.config.conditioning.size, axis=-1)


def synthesize(network, digit=DIGIT, quality=None):
    return next(inference.synthesize(network, {}, {"one": digit}, quality, SOUND))


def test_reading_that_small_changes_of_the_digit_do_not_change_is_sure(caplog):
    chord = synthesize(Painter(CONFIG))
    assert (chord.label, chord.chord) == ("1", "A#3 major")
    assert chord.confidence == pytest.approx(1.0, abs=1e-5)
    assert not caplog.records


@pytest.mark.parametrize("network", [Painter(CONFIG, steady=False), Painter(CONFIG, noise=0.3)])
def test_reading_that_changes_or_unclear_chord_is_told(network, caplog):
    chord = synthesize(network)
    assert chord.confidence < 0.6
    assert f"one: read as {chord.label} with a confidence of {100 * chord.confidence:.0f}%, expected" in caplog.text


def test_confidence_is_the_correlation_of_the_row_profile():
    network = Painter(CONFIG, noise=0.05)
    profile = network.predict({}, jnp.asarray(DIGIT[None] / 255, jnp.float32), jnp.zeros(1, jnp.int32))[0].mean(axis=1)
    expected = np.corrcoef(profile, network.templates[1, 0])[0, 1]
    assert synthesize(network).confidence == pytest.approx(expected, abs=1e-4)


def test_blank_spectrogram_has_no_confidence():
    network = Painter(CONFIG)
    blank = replace(network, noise=0.0)
    object.__setattr__(blank, "templates", np.zeros_like(network.templates))
    assert synthesize(blank).confidence == 0


def test_chord_of_another_quality_than_asked_is_told(caplog):
    config = replace(CONFIG, qualities=("major", "minor"), model=UNetConfig(qualities=2))
    chord = synthesize(Painter(config, played=1), quality="major")
    assert chord.chord == "A#3 minor"
    assert "one: the network plays A#3 minor, not the major of --quality" in caplog.text
