"""Rows of the table of generators: trained generators and controls."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.papers.melody import band, pieces, seams
from specjax.papers.melody.representation import CLIP_SAMPLES, FILTERS, SAMPLE_RATE, TRANSFORM, Representation
from specjax.papers.melody.studies.controls import Clips, RealMusic
from specjax.papers.melody.studies.sounds import INVERSION
from specjax.signal.mel import mel_from_wave

REAL, COPIES, NOISE = "real", "copies", "moment-matched noise"
PIECE_S = 60.0
LOOP_S = 10.0
RECORDINGS = 3  # synthetic recordings of each genre; the first of them is the row of real music
_BLOCK = 10  # clips that are generated per call

Recordings = Float32[np.ndarray, "genres recordings samples"]
Ranks = dict[str, list[float]]


class Row(NamedTuple):
    """Row of the table, whose clips are generated when first needed.

    Attributes:
      identity: key of saved results; different for different clips.
      clips: makes the clips.
      ranks: ranks the joints of pieces of 60 s and of loops (see `seams`), if the row has any.
    """

    identity: str
    clips: Callable[[], Clips]
    ranks: Callable[[], Ranks]


def list_rows(
    bundles: Mapping[str, Path], genres: tuple[str, ...], real: RealMusic, representation: Representation
) -> dict[str, Row]:
    """List the control rows and a row for each bundle.

    Args:
      bundles: folders of generators, by name.
      genres: names of the genres that they must generate.
      real: real clips.
      representation: scale on which the moments of the noise are computed.

    Raises:
      UserError: a bundle is missing, damaged, or writes no music or other genres; it has the name of a control.
    """
    rows = {
        REAL: Row(REAL, lambda: real.others, lambda: rank_recordings(record())),
        COPIES: Row(COPIES, real.copies, lambda: rank_joined(record())),
        NOISE: Row(NOISE, lambda: real.noise(representation), lambda: {}),
    }
    for name, folder in bundles.items():
        if name in rows:
            raise UserError(f"--bundles names {name!r}, which is a control row: choose another name")
        rows[name] = _open_generator(folder, genres, real)
    return rows


def _open_generator(folder: Path, genres: tuple[str, ...], real: RealMusic) -> Row:
    from specjax import papers

    generator, variables = papers.open_bundle(folder, pieces.GENERATORS)
    variables = jax.device_put(variables)
    if generator.config.data.genres != genres:
        raise UserError(
            f"{folder} writes the genres {', '.join(generator.config.data.genres)}, expected {', '.join(genres)} as "
            "judged: name a judge and generators of the same genres"
        )
    return Row(
        bundle.digest(folder),
        lambda: _generate_clips(generator, variables, real.count),
        lambda: _rank_generated(generator, variables),
    )


def _generate_clips(generator: pieces.Generator, variables: Any, count: int) -> Clips:
    genres = len(generator.config.data.genres)
    shares = np.repeat(np.eye(genres, dtype=np.float32), count, axis=0)
    keys = jax.random.split(jax.random.key(0), len(shares))
    parts = []
    for start in range(0, len(shares), _BLOCK):
        block = np.arange(start, start + _BLOCK) % len(shares)  # of constant size, to compile once
        parts.append(np.asarray(pieces.generate(generator, variables, keys[block], jnp.asarray(shares[block]))))
    power = np.concatenate(parts)[: len(shares)]
    return power.reshape(genres, count, *power.shape[1:])


def _rank_generated(generator: pieces.Generator, variables: Any) -> Ranks:
    """Generate a piece of 60 s and a loop of about 10 s of each genre, if the model can, and rank their joints."""
    config = generator.config
    keys = jax.random.split(jax.random.key(1), len(config.data.genres))
    shares = jnp.eye(len(keys))
    ranks: Ranks = {}
    if generator.any_length:
        frames = pieces.count_frames(PIECE_S)
        each = pieces.generate(generator, variables, keys, shares, frames=frames)
        ranks["pieces"] = [seams.rank_multiples(piece) for piece in np.asarray(each)]
    if generator.loops:
        frames = pieces.count_loop_frames(LOOP_S, generator.column_frames, config.data.tempo_bpm)
        loops = pieces.generate(generator, variables, keys, shares, frames=frames, loop=True)
        representation = config.representation
        waves = [pieces.to_waves(loop[None], representation, loop=True, settings=INVERSION)[0] for loop in loops]
        ranks["loops"] = [seams.rank_loop(wave) for wave in waves]
    return ranks


@cache
def record() -> Recordings:
    """Synthesize recordings of 60 s."""
    genres = len(band.GENRES)
    keys = jax.random.split(jax.random.key(2), (RECORDINGS, genres))
    genre = jnp.arange(genres)
    waves = [np.asarray(band.synthesize(own, genre, SAMPLE_RATE, PIECE_S)) for own in keys]
    return np.stack(waves, axis=1)


def rank_recordings(recordings: Recordings) -> Ranks:
    """Rank frames of the first recording of each genre as if they were joints."""
    return _merge([rank_recording(own[0]) for own in recordings])


def rank_recording(wave: Float32[np.ndarray, " samples"]) -> Ranks:
    """Rank all multiples of 10 s in a recording, and the middle of each third of it, as if they were joints."""
    thirds = wave[: 6 * CLIP_SAMPLES].reshape(3, -1)
    return {
        "pieces": [seams.rank_multiples(_mel(wave))],
        "loops": [seams.rank_wave(third, CLIP_SAMPLES) for third in thirds],
    }


def rank_joined(recordings: Recordings) -> Ranks:
    """Rank the joints of pieces that are concatenated from clips of several recordings, and of clips used as loops."""
    ranks = []
    for own in recordings:
        clips = own[:, : 6 * CLIP_SAMPLES].reshape(len(own), 6, CLIP_SAMPLES)
        joined = np.concatenate([clips[i % len(clips), i] for i in range(6)])
        ranks.append({"pieces": [seams.rank_multiples(_mel(joined))], "loops": [seams.rank_loop(clips[0, 0])]})
    return _merge(ranks)


def measure_limits() -> dict[str, float]:
    """Return the ranks of pieces and of loops that 5% of the synthetic recordings exceed."""
    ranks = _merge([rank_recording(wave) for own in record() for wave in own[1:]])
    return {kind: float(np.quantile(found, 0.95)) for kind, found in ranks.items()}


def _merge(ranks: list[Ranks]) -> Ranks:
    return {kind: [rank for each in ranks for rank in each[kind]] for kind in ("pieces", "loops")}


def _mel(wave: Float32[np.ndarray, " samples"]) -> Float[np.ndarray, "mels frames"]:
    return np.asarray(mel_from_wave(jnp.asarray(wave), TRANSFORM, FILTERS))
