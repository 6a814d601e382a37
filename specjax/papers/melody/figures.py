"""Figures 5 to 12 of the paper, from finished runs: spectrograms, waves and losses of one genre.

Figures 5, 6 and 8 show a real clip, the others results of the paper's second and third approach. For runs of other
approaches, the same plots are drawn under names without a figure number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from specjax import papers
from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.engine.report.reader import Curve, read_curve
from specjax.papers.melody import pictures, pieces, recordings
from specjax.papers.melody.representation import MELS_HZ, SAMPLE_RATE, TRANSFORM, mel_power
from specjax.papers.melody.task import MusicGanTask
from specjax.plots import curves, sound

_IMAGES = "images"  # the approach without sound
_TASKS = (*pieces.GENERATORS, f"melody/{_IMAGES}")
_LOWEST_DB = -80.0
_NUMBERS = {
    "real_spectrogram": 5,
    "real_picture": 6,
    "tanh_spectrogram": 7,
    "real_wave": 8,
    "tanh_wave": 9,
    "tanh_losses": 10,
    "relu_spectrogram": 11,
    "relu_wave": 12,
}

Wave = Float[np.ndarray, " samples"]
Mel = Float[np.ndarray, "mels frames"]


class FinishedRun(NamedTuple):
    """A finished run from which figures are drawn.

    Attributes:
      workdir: folder of the run.
      task: its task.
      variables: variables of its newest checkpoint to generate with, as host arrays.
      losses: the loss, or those of both networks of a GAN, by name; in an ensemble, those of the genre.
    """

    workdir: Path
    task: Any
    variables: Any
    losses: dict[str, Curve]


def open_runs(workdirs: Sequence[Path], genre: str) -> dict[str, FinishedRun]:
    """Load runs by the name of their approach: `images`, `tanh`, `relu`, `residual`, `wave` or `transformer`.

    Raises:
      UserError: a folder has no run with a checkpoint and losses, or its run is one of another task, has the same
        approach as an earlier one, or was not trained on the genre; or no run generates sound.
    """
    runs: dict[str, FinishedRun] = {}
    for workdir in workdirs:
        run = _open_run(workdir, genre)
        approach = getattr(run.task.config, "approach", run.task.name.removeprefix("melody/"))
        if approach in runs:
            raise UserError(f"{workdir} and {runs[approach].workdir} are both of approach {approach!r}: leave one out")
        runs[approach] = run
    if set(runs) == {_IMAGES}:
        raise UserError(f"{workdirs[0]} generates pictures without sound: name a run of a generator of music as well")
    return runs


def file_names(approaches: Iterable[str]) -> list[str]:
    """Return the names of the files that `draw` makes of runs of these approaches."""
    kinds = {"real": ("spectrogram", "wave", "picture"), _IMAGES: ("picture", "losses")}
    sources = ("real", *approaches)
    return [_name(source, kind) for source in sources for kind in kinds.get(source, ("spectrogram", "wave", "losses"))]


def draw(runs: Mapping[str, FinishedRun], genre: str, seed: int) -> Iterator[tuple[str, bytes]]:
    """Draw all figures.

    Args:
      runs: the runs by their approach. The real clip is from the data of the first one that generates sound; the real
        picture is from the data of `images` or, without such a run, drawn from the clip.
      genre: genre of the clips and pictures that are shown.
      seed: random seed of the generated clips.

    Yields:
      The name of each file, and its content as PNG.

    Raises:
      UserError: the data source of a run cannot be read.
    """
    key = jax.random.key(seed)
    music = next(run.task.config.data for approach, run in runs.items() if approach != _IMAGES)
    wave = recordings.read_example(music, genre)
    mel = np.asarray(mel_power(jnp.asarray(wave, jnp.float32)))
    yield from _draw_clip("real", genre, mel, wave)
    picture = pictures.draw_picture(mel)
    if _IMAGES in runs:
        picture = pictures.read_example(runs[_IMAGES].task.config.data, genre)
    yield _name("real", "picture"), files.png(picture)
    for approach, run in runs.items():
        if approach == _IMAGES:
            number = jnp.array([run.task.config.data.genres.index(genre)])
            pixels = run.task.inference.draw(run.variables, key[None], number)
            yield _name(approach, "picture"), files.png(np.asarray(pixels[0]))
        else:
            yield from _draw_clip(approach, genre, *_generate(run, genre, key))
        title = f"Losses of approach {approach}{f', {genre}' if run.task.models > 1 else ''}"
        yield _name(approach, "losses"), files.png(curves.plot(run.losses, title, "linear"))


def _open_run(workdir: Path, genre: str) -> FinishedRun:
    _, task, run, _ = papers.open_run(workdir)
    if task.name not in _TASKS:
        raise UserError(f"{workdir} is a run of {task.name}, expected one of {', '.join(_TASKS)}: leave it out")
    (part,) = task.parts(jax.device_get(run.state), {}).values()
    return FinishedRun(workdir, task, part.tensors, _read_losses(workdir, task, genre))


def _read_losses(workdir: Path, task: Any, genre: str) -> dict[str, Curve]:
    number = int(pieces.genre_shares(task.config.data.genres, [genre], 1).argmax())  # raises if the genre is unknown
    if not isinstance(task, MusicGanTask):
        return {"loss": read_curve(workdir, "train/loss")}
    entry = f"/{number}" if task.config.ensemble else ""
    return {name: read_curve(workdir, f"train/{name}.loss{entry}") for name in ("generator", "discriminator")}


def _name(source: str, kind: str) -> str:
    number = _NUMBERS.get(f"{source}_{kind}")
    return f"figure_{number}_{source}_{kind}.png" if number else f"{source}_{kind}.png"


def _generate(run: FinishedRun, genre: str, key: Key[Array, ""]) -> tuple[Mel, Wave]:
    """Generate the mel power of a clip, and its sound."""
    shares = jnp.asarray(pieces.genre_shares(run.task.config.data.genres, [genre], 1))
    power, make_wave = pieces.compose(run.task.inference, run.variables, key[None], shares)
    return power[0], make_wave(0)


def _draw_clip(source: str, genre: str, mel: Mel, wave: Wave) -> Iterator[tuple[str, bytes]]:
    """Draw the mel spectrogram of a clip, with levels relative to its maximum, and its wave."""
    title = f"{genre}, {'real' if source == 'real' else f'generated, approach {source}'}"
    relative = mel / max(mel.max(), np.finfo(np.float32).tiny)
    level_db = 10 * np.log10(np.maximum(relative, 10 ** (0.1 * _LOWEST_DB)))
    time_s = np.arange(mel.shape[1]) * TRANSFORM.hop_length / SAMPLE_RATE
    yield (
        _name(source, "spectrogram"),
        sound.spectrogram(level_db[None], MELS_HZ, time_s, f"{title}: mel spectrogram", lowest_db=_LOWEST_DB),
    )
    yield _name(source, "wave"), sound.wave(wave, SAMPLE_RATE, f"{title}: wave, peak {np.abs(wave).max():.2g}")
