"""Pieces of music from a trained generator: durations, loops, sound, and plots of their mel spectrograms."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax.cli.errors import UserError
from specjax.engine.task import Sample
from specjax.papers.melody.representation import FRAMES, SAMPLE_RATE, TRANSFORM, Representation, mel_power
from specjax.papers.melody.tracks import MusicConfig
from specjax.plots import render
from specjax.signal.inversion import Inversion

GENERATORS = (
    "melody/gan",
    "melody/transformer",
    "melody/wave",
)  # tasks whose bundles are a `Generator` and its variables
MAX_DURATION_S = 600.0
_BEATS_PER_BAR = 4
_OVERLAP = 64  # frames of context on both sides of a loop during inversion
_FADE = 4096  # samples of the crossfade from the end of a loop to its beginning
_WIDTH = 216  # width of a clip in a grid, in pixels

_SAMPLES = 4  # clips of each genre in the grid that is drawn during training
_QUICK = Inversion(iterations=16, mel_steps=0)  # for sounds during training

MelPower = Float[Array, "pieces mels frames"]
Waves = Float[Array, "pieces samples"]
MakeWave = Callable[[int], Float[np.ndarray, " samples"]]


@runtime_checkable
class GeneratorConfig(Protocol):
    """Settings that all generators of mel spectrograms have."""

    @property
    def data(self) -> MusicConfig:
        """Music that the generator was trained on, with the names of the genres."""
        ...

    @property
    def representation(self) -> Representation:
        """Scale of the values, with its statistics."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Model that generates mel spectrograms, without its variables, as `specjax synth melody` needs it.

    It is hashable.
    """

    @property
    def config(self) -> GeneratorConfig:
        """Settings."""
        ...

    @property
    def column_frames(self) -> int:
        """Number of frames that are generated together; the number of frames of a loop is a multiple of it."""
        ...

    @property
    def any_length(self) -> bool:
        """Whether it can generate pieces of any duration, not only clips of 10 s."""
        ...

    @property
    def loops(self) -> bool:
        """Whether it can generate loops, whose end leads into their beginning."""
        ...

    @property
    def mixes_genres(self) -> bool:
        """Whether one network generates all genres and mixtures of them."""
        ...

    def generate_power(
        self,
        variables: Any,
        keys: Key[Array, " pieces"],
        genre: Float[Array, "pieces genres"],
        frames: int = FRAMES,
        *,
        loop: bool = False,
    ) -> MelPower:
        """Generate the mel power of pieces, see `generate`."""
        ...


@runtime_checkable
class SoundGenerator(Generator, Protocol):
    """Model that generates waves; mel spectrograms are computed from them only for plots and metrics."""

    def generate_waves(
        self,
        variables: Any,
        keys: Key[Array, " pieces"],
        genre: Float[Array, "pieces genres"],
        frames: int = FRAMES,
        *,
        loop: bool = False,
    ) -> Waves:
        """Generate the waves of pieces whose mel spectrograms have `frames` frames, see `generate`."""
        ...


def check_request(generator: Generator, where: str, frames: int, *, loop: bool, morph: bool) -> None:
    """Check that a model can generate the requested pieces.

    Args:
      generator: the model.
      where: folder of the exported model, for error messages.
      frames: requested number of frames.
      loop: whether loops are requested.
      morph: whether mixtures of genres are requested.

    Raises:
      UserError: the model generates no loops, no pieces of this length, or no mixtures.
    """
    if loop and not generator.loops:
        raise UserError(f"{where} writes no loops: omit --loop, or use a bundle of --config=gan")
    if frames > FRAMES and not generator.any_length:
        raise UserError(f"{where} writes at most 10 s: use a shorter --duration, or a bundle of --config=gan")
    if morph and not generator.mixes_genres:
        raise UserError(f"{where} has a network for each genre, which cannot be mixed: use one of --config=gan")


def count_frames(duration_s: float) -> int:
    """Return the number of frames of a piece of a given duration."""
    return TRANSFORM.frames(round(duration_s * SAMPLE_RATE))


def count_loop_frames(duration_s: float, column_frames: int, tempo_bpm: float = 0.0) -> int:
    """Return the number of frames of a loop of about `duration_s` seconds: whole columns and, with a tempo, whole bars.

    Args:
      duration_s: requested duration in seconds.
      column_frames: number of frames that the generator makes from one local latent vector.
      tempo_bpm: common tempo of the music in beats per minute; 0 if there is none.

    Returns:
      A multiple of `column_frames`. With a tempo it is that of whole bars of four beats, rounded to whole columns; at
      107.67 BPM, a bar of 96 frames is exactly six columns of 16.
    """
    frames = duration_s * SAMPLE_RATE / TRANSFORM.hop_length
    if tempo_bpm:
        bar = _BEATS_PER_BAR * 60 / tempo_bpm * SAMPLE_RATE / TRANSFORM.hop_length
        frames = max(round(frames / bar), 1) * bar
    return max(round(frames / column_frames), 1) * column_frames


def genre_shares(genres: Sequence[str], wanted: Sequence[str], count: int) -> Float[np.ndarray, "pieces genres"]:
    """Return one-hot rows: `count` rows for each of the `wanted` genres.

    Raises:
      UserError: a genre is unknown.
    """
    if unknown := [name for name in wanted if name not in genres]:
        raise UserError(f"genre {unknown[0]!r} is unknown: choose from {', '.join(genres)}")
    rows = np.eye(len(genres), dtype=np.float32)[[genres.index(name) for name in wanted]]
    return np.repeat(rows, count, axis=0)


def morph_shares(genres: Sequence[str], ends: Sequence[str], count: int) -> Float[np.ndarray, "pieces genres"]:
    """Return the weights of the genres in `count` pieces that lead from one genre to another in equal steps.

    Raises:
      UserError: a genre is unknown.
    """
    first, last = genre_shares(genres, ends, 1)
    weight = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    return (1 - weight) * first + weight * last


@partial(jax.jit, static_argnames=("inference", "frames", "loop"))
def generate(
    inference: Generator,
    variables: Any,
    keys: Key[Array, " pieces"],
    shares: Float[Array, "pieces genres"],
    frames: int = FRAMES,
    loop: bool = False,
) -> MelPower:
    """Generate the mel power of pieces, one for each key.

    Args:
      inference: the model.
      variables: variables of its networks.
      keys: random keys of the pieces.
      shares: share of each genre in each piece.
      frames: number of frames; of a loop, a multiple of `column_frames`.
      loop: whether the last frame of a piece continues into its first one.
    """
    return inference.generate_power(variables, keys, shares, frames, loop=loop)


@partial(jax.jit, static_argnames=("inference", "frames", "loop"))
def _generate_sounds(
    inference: SoundGenerator,
    variables: Any,
    keys: Key[Array, " pieces"],
    shares: Float[Array, "pieces genres"],
    frames: int,
    loop: bool,
) -> tuple[MelPower, Waves]:
    waves = inference.generate_waves(variables, keys, shares, frames, loop=loop)
    return mel_power(waves)[..., :frames], waves


def compose(
    inference: Generator,
    variables: Any,
    keys: Key[Array, " pieces"],
    shares: Float[Array, "pieces genres"],
    frames: int = FRAMES,
    *,
    loop: bool = False,
    settings: Inversion = Inversion(),
) -> tuple[Float[np.ndarray, "pieces mels frames"], MakeWave]:
    """Generate pieces, one for each key.

    Args:
      inference: the model; the others up to `loop` are those of `generate`.
      settings: method of phase reconstruction, if the model generates mel spectrograms.

    Returns:
      The mel power of the pieces, and a function that takes the index of a piece and returns its wave.
    """
    if isinstance(inference, SoundGenerator):
        power, waves = jax.device_get(_generate_sounds(inference, variables, keys, shares, frames, loop))
        return power, lambda i: waves[i]
    power = np.asarray(generate(inference, variables, keys, shares, frames, loop))
    representation = inference.config.representation
    return power, lambda i: to_waves(jnp.asarray(power[i : i + 1]), representation, loop=loop, settings=settings)[0]


def sample_genres(inference: Generator, variables: Any, key: Key[Array, ""]) -> Sample:
    """Generate clips of each genre, and the sound of the first of each, to show the progress of training."""
    genres, representation = inference.config.data.genres, inference.config.representation
    shares = jnp.asarray(genre_shares(genres, genres, _SAMPLES))
    power, make_wave = compose(inference, variables, jax.random.split(key, len(shares)), shares, settings=_QUICK)
    picture = draw_grid(power.reshape(len(genres), _SAMPLES, *power.shape[1:]), genres, representation)
    sounds = {name: np.clip(make_wave(i * _SAMPLES), -1, 1) for i, name in enumerate(genres)}
    return Sample({"generated": picture}, sounds, SAMPLE_RATE)


def to_waves(
    mel_power: MelPower, representation: Representation, *, loop: bool = False, settings: Inversion = Inversion()
) -> Float[np.ndarray, "pieces samples"]:
    """Reconstruct the sound of pieces, at `SAMPLE_RATE`.

    Args:
      mel_power: mel power of the pieces.
      representation: scale on which the sound is reconstructed.
      loop: whether the end of each sound leads into its beginning. Such a sound has `frames * hop_length` samples.
      settings: method of the reconstruction.
    """
    values = representation.encode(mel_power)
    if not loop:
        return np.asarray(representation.to_wave(values, settings))
    frames = values.shape[-1]
    repeated = values[..., np.arange(-_OVERLAP, frames + _OVERLAP) % frames]
    waves = np.asarray(representation.to_wave(repeated, settings))
    start, length = _OVERLAP * TRANSFORM.hop_length, frames * TRANSFORM.hop_length
    whole, after = waves[:, start : start + length].copy(), waves[:, start + length : start + length + _FADE]
    # The frames after the end repeat the beginning. Only there do both have the same phases at the seam.
    weight = np.linspace(0, 1, _FADE, endpoint=False, dtype=np.float32) if length > _FADE else np.ones(0, np.float32)
    whole[:, : len(weight)] = weight * whole[:, : len(weight)] + (1 - weight) * after[:, : len(weight)]
    return whole


def draw_grid(
    mel_power: Float[np.ndarray, "rows pieces mels frames"],
    titles: Sequence[str],
    representation: Representation,
) -> render.Rgb:
    """Draw mel spectrograms in a grid, with the lowest band of each at its bottom.

    The colors cover the dynamic range of the representation, below the maximum power of the training clips.

    Args:
      mel_power: mel power of the pieces of each row.
      titles: title of each row.
      representation: scale, with its statistics.
    """
    rows = [[render.apply_colormap(_levels(piece, representation)) for piece in pieces] for pieces in mel_power]
    return render.tile(rows, [str(i) for i in range(1, mel_power.shape[1] + 1)], list(titles))


def draw_piece(mel_power: Float[np.ndarray, "mels frames"], representation: Representation, title: str) -> render.Rgb:
    """Draw the mel spectrogram of a piece, 108 pixels wide for each 5 s."""
    width = max(_WIDTH * mel_power.shape[1] // FRAMES, 1)
    return render.tile([[render.apply_colormap(_levels(mel_power, representation, width))]], [title])


def _levels(
    mel_power: Float[np.ndarray, "mels frames"], representation: Representation, width: int = _WIDTH
) -> Float[np.ndarray, "mels width"]:
    """Return levels in [0, 1], with the lowest band in the last row and `width` of the frames."""
    statistics, range_db = representation.statistics, representation.range_db
    assert statistics is not None
    relative = mel_power[::-1, np.arange(width) * mel_power.shape[1] // width] / statistics.peak_power
    return 10 * np.log10(relative + 10 ** (-range_db / 10)) / range_db + 1
