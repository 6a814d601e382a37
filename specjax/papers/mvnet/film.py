"""Films along a piece of music: pictures that follow the music and move on its beats.

Each beat has a target: the condition of the clip around it, and a latent vector that is correlated with that of the
previous beat. After a beat, the inputs of the generator move toward the beat's target, fast at first.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from specjax.cli import files, outputs
from specjax.cli.errors import UserError
from specjax.data import beats
from specjax.papers.mvnet.chunks import Blocks, Clip, split
from specjax.papers.mvnet.encoder import Variables
from specjax.papers.mvnet.inference import GanInference, Painter
from specjax.papers.mvnet.pictures import Values, to_pixels
from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE

FRAME_RATE = 24  # frames per second
_REPORT_FRAMES = 10 * FRAME_RATE  # frames between progress messages
_CORRELATION = 0.8  # correlation of the latent vectors of successive beats
_DEFAULT_BEAT_S = 0.5  # time between beats where none are found
_BLOCK = 32  # clips that are embedded, and frames that are painted, per call

Frame = UInt8[np.ndarray, "height width 3"]
Vector = Float[np.ndarray, " _"]
T = TypeVar("T")


class Beat(NamedTuple):
    """Time of a beat in the piece, and the clip around it."""

    time_s: float
    clip: Clip


class Target(NamedTuple):
    """Time of a beat, and the inputs of the generator that its picture is painted from."""

    time_s: float
    latent: Vector
    condition: Vector


def find_beats(blocks: Blocks) -> Iterator[Beat]:
    """Find the beats of a piece of at least 8.91 s. The first and the last beat are its start and its end.

    Beats are tracked in chunks of one minute. In a chunk in which none are found, they are placed half a second apart.
    """
    half = -(-CLIP_SAMPLES // 2)
    for chunk in split(blocks, half):
        found = beats.track(chunk.wave, SAMPLE_RATE).beat_s.astype(float) * SAMPLE_RATE + chunk.first
        if not len(found):
            found = np.arange(chunk.start, chunk.end, _DEFAULT_BEAT_S * SAMPLE_RATE)
        if chunk.start == 0:
            yield Beat(0.0, chunk.clip(0))
        for sample in found[(found >= max(chunk.start, 1)) & (found < chunk.end)]:
            yield Beat(float(sample) / SAMPLE_RATE, chunk.clip(int(sample) - half))
    yield Beat(chunk.end / SAMPLE_RATE, chunk.clip(chunk.end))


def paint_frames(painter: Painter, found: Iterable[Beat], seed: int, report: Callable[[str], None]) -> Iterator[Frame]:
    """Paint the frames of a film, `FRAME_RATE` per second, from the first beat to the last.

    Args:
      painter: generator and encoder, opened from a bundle.
      found: beats, in order.
      seed: seed of the latent vectors.
      report: progress callback, called with a message about every ten seconds of the film.

    Yields:
      Frames of 64 x 64 pixels.
    """
    number = 0
    for block in make_batches(interpolate(make_targets(painter, found, seed)), _BLOCK):
        latents, conditions = (np.stack(values) for values in zip(*block, strict=True))
        rows = np.arange(_BLOCK) % len(block)  # of constant size, to compile once
        values = _generate(painter.networks, painter.generator, latents[rows], conditions[rows])
        yield from to_pixels(values)[: len(block)]
        number += len(block)
        if number % _REPORT_FRAMES < len(block):
            report(f"{number // FRAME_RATE} s of the film done")


def make_targets(painter: Painter, found: Iterable[Beat], seed: int) -> Iterator[Target]:
    """Compute the conditions of beats, and draw their latent vectors, each of which is normally distributed."""
    key, number = jax.random.key(seed), 0
    latent: Vector | None = None
    for block in make_batches(found, _BLOCK):
        rows = np.arange(_BLOCK) % len(block)
        waves = np.stack([beat.clip for beat in block])[rows]
        conditions = np.asarray(painter.compute_conditions(waves))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, number + rows)
        drawn = np.asarray(painter.networks.draw_latents(keys))
        for i, beat in enumerate(block):
            if latent is None:
                latent = drawn[i]
            else:
                latent = np.float32(_CORRELATION) * latent + np.float32((1 - _CORRELATION**2) ** 0.5) * drawn[i]
            yield Target(beat.time_s, latent, conditions[i])
        number += len(block)


def interpolate(targets: Iterable[Target]) -> Iterator[tuple[Vector, Vector]]:
    """Compute the inputs of the generator for each frame, from the first target until just before the last.

    After each target's time, the inputs move from the previous target to this one. They have covered seven eighths of
    the distance when half of the time to the next target has passed.
    """
    number = 0
    before: Target | None = None
    for target, following in pairwise(targets):
        if before is None:
            before = target
        span = following.time_s - target.time_s
        while (elapsed := number / FRAME_RATE - target.time_s) < span:
            rest = (1 - elapsed / span) ** 3
            yield (
                target.latent + np.float32(rest) * (before.latent - target.latent),
                target.condition + np.float32(rest) * (before.condition - target.condition),
            )
            number += 1
        before = target


@partial(jax.jit, static_argnums=0)
def _generate(
    networks: GanInference,
    variables: Variables,
    latents: Float[Array, "frames latents"],
    conditions: Float[Array, "frames condition"],
) -> Values:
    return networks.generate(variables, latents, conditions)


def write_frames(folder: Path, frames: Iterable[Frame], size: int) -> int:
    """Write frames to a folder as `000001.png` and so on, scaled to `size` pixels. Return their number.

    Raises:
      UserError: a file cannot be written.
    """
    number = 0
    for number, frame in enumerate(frames, 1):
        outputs.write(folder / f"{number:06d}.png", files.png(scale(frame, size)))
    return number


def write_video(path: Path, frames: Iterable[Frame], size: int, music: Path) -> int:
    """Write frames, scaled to `size` pixels, and the music to an MP4 file with ffmpeg. Return the number of frames.

    Raises:
      UserError: ffmpeg fails, or the file cannot be written.
    """
    video = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(FRAME_RATE), "-i", "-"]
    encoding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", "-f", "mp4"]
    number = 0
    try:
        with outputs.atomic_file(path) as partial_file, tempfile.TemporaryFile() as log:
            command = ["ffmpeg", "-y", "-loglevel", "error", *video, "-i", str(music.absolute()), *encoding]
            with subprocess.Popen(
                [*command, str(partial_file.absolute())], stdin=subprocess.PIPE, stderr=log
            ) as process:
                assert process.stdin is not None
                try:
                    for frame in frames:
                        process.stdin.write(np.ascontiguousarray(scale(frame, size)).data)
                        number += 1
                    process.stdin.close()
                except BrokenPipeError:
                    pass  # ffmpeg has ended; its status and log say why
            if process.returncode:
                log.seek(0)
                reason = (log.read().decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
                raise UserError(f"ffmpeg could not write {path}: {reason}")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    return number


def scale(frame: Frame, size: int) -> Frame:
    """Scale a square picture to `size` x `size` pixels with a Lanczos filter."""
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.LANCZOS))


def make_batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Divide values into lists of `size` successive values; the last list may be shorter."""
    iterator = iter(values)
    while block := list(islice(iterator, size)):
        yield block
