"""Comparison of generated with held-out clips, for all tasks that train a generator of music.

The `evaluate` of such a task calls `map_genres`, with a function that generates clips of one genre and calls
`measure_clips`; its `summarize` calls `summarize`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped

from specjax.cli.paths import local_path
from specjax.engine import bundle
from specjax.measure.comparison import compare_embeddings
from specjax.papers.melody import metrics
from specjax.papers.melody.judge import JudgeInference

MelPower = Float[Array, "batch mels frames"]
Measures = dict[str, Array]


class OpenJudge(NamedTuple):
    """A judge and the variables of its network."""

    inference: JudgeInference
    variables: Any


def load_judge(folder: str, genres: Sequence[str]) -> OpenJudge | None:
    """Open the bundle of a judge; return None if `folder` is empty.

    Args:
      folder: folder of the bundle.
      genres: genres of the data, which must be those that the judge was trained on, in the same order.

    Raises:
      UserError: the bundle is missing or damaged, or the judge was trained on other genres.
    """
    if not folder:
        return None
    from specjax import papers

    inference, variables = papers.open_bundle(local_path(folder, "config.judge"), task="melody/judge")
    bundle.check_classes(folder, "genres", inference.config.data.genres, genres)
    return OpenJudge(inference, variables)


def map_genres(
    measure: Callable[[int, Key[Array, " batch"], Array], Measures],
    clips: Shaped[Array, "genres clips ..."] | Shaped[np.ndarray, "genres clips ..."],
    count: Int[Array, " genres"] | Int[np.ndarray, " genres"],
    indices: Int[Array, " batch"],
    key: Key[Array, ""],
) -> Measures:
    """Measure held-out clips of every genre, and as many generated ones.

    Args:
      measure: takes the index of a genre, a random key for each clip to be generated, and the held-out clips of the
        genre; returns measures with a leading axis of clips.
      clips: held-out clips of every genre, as mel power or in another form, such as waves.
      count: number of distinct clips of each genre; those after them are repetitions.
      indices: indices of the clips to measure in every genre.
      key: random key.

    Returns:
      The measures with the leading axes (batch, genres), and `valid`: whether a held-out clip is not a repetition.
    """
    each = []
    for genre in range(len(clips)):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, genre), indices)
        each.append(measure(genre, keys, jnp.asarray(clips)[genre, indices]))
    measured: Measures = jax.tree.map(lambda *arrays: jnp.stack(arrays, axis=1), *each)
    return measured | {"valid": indices[:, None] < jnp.asarray(count)[None]}


def measure_clips(real: MelPower, fake: MelPower, judge: JudgeInference | None, variables: Any = None) -> Measures:
    """Measure held-out clips and generated ones, both as mel power.

    Args:
      real: held-out clips.
      fake: generated clips.
      judge: the judge, if there is one.
      variables: variables of its network.

    Returns:
      `real_` and `fake_` with `level_db`, `thirds_db` and, if there is a judge, `embedding`, `guess` (index of the
      predicted genre) and `noise` (whether it classifies the clip as noise).
    """
    measured = {}
    for kind, power in (("real", real), ("fake", fake)):
        measured[f"{kind}_level_db"] = metrics.clip_level_db(power)
        measured[f"{kind}_thirds_db"] = metrics.thirds_db(power)
        if judge is not None:
            verdict = judge.judge(variables, power)
            measured[f"{kind}_embedding"] = verdict.embedding
            measured[f"{kind}_guess"] = judge.guess(verdict)
            measured[f"{kind}_noise"] = judge.is_noise(verdict)
    return measured


def summarize(measures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Compute metrics of a whole held-out set from the measures of its clips and of as many generated ones.

    Args:
      measures: result of `map_genres` and `measure_clips`, with the leading axes (clips, genres).

    Returns:
      Differences of the mean levels and of the power of the outer thirds, in dB; with a judge, its accuracy on both,
      the fraction of the generated clips that it classifies as noise, PRDC (Naeem et al. 2020) and the kernel distance
      (Binkowski et al. 2018); and the number of clips.
    """
    valid = measures["valid"].astype(bool)
    genre = np.broadcast_to(np.arange(valid.shape[1]), valid.shape)[valid]
    chosen = {name: values[valid] for name, values in measures.items()}
    summary = {
        "eval/level_db": float(np.mean(chosen["fake_level_db"]) - np.mean(chosen["real_level_db"])),
        "eval/outer_thirds_db": float(np.mean(chosen["fake_thirds_db"]) - np.mean(chosen["real_thirds_db"])),
        "eval/clips": float(len(genre)),
    }
    if "real_embedding" not in chosen:
        return summary
    return summary | {
        "eval/judge_accuracy": float(np.mean(chosen["fake_guess"] == genre)),
        "eval/judge_accuracy_real": float(np.mean(chosen["real_guess"] == genre)),
        "eval/judge_noise": float(np.mean(chosen["fake_noise"])),
        **compare_embeddings(chosen["real_embedding"], chosen["fake_embedding"]),
    }
