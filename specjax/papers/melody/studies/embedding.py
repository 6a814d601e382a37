"""Rows of the table of generators, measured in a judge's embedding and by the accuracy of a judge trained on them."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int

from specjax.data import order
from specjax.engine.live.values import initial
from specjax.engine.train_state import TrainState
from specjax.measure.frechet import extrapolated_frechet_distance
from specjax.measure.kernel import kernel_distance
from specjax.measure.memorization import memorization_ratios
from specjax.measure.precision_recall import prdc
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.melody import metrics
from specjax.papers.melody.evaluation import OpenJudge
from specjax.papers.melody.judge import JudgeConfig, JudgeInference
from specjax.papers.melody.judge_task import JudgeTask
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.representation import Representation
from specjax.papers.melody.studies.controls import Clips
from specjax.papers.melody.tracks import MusicConfig

TRAIN_STEPS = 150  # for the small judges
TRAIN_BATCH = 16
_WIDTHS = (32, 32, 32)
_OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec("cosine", value=2e-3), clip=5.0, weight_decay=0.02)
_BLOCK = 16  # clips per call of the judge


class Judged(NamedTuple):
    """Output of a judge for clips.

    Attributes:
      embedding: their embeddings.
      guess: genre that it predicts for each.
      noise: whether it classifies each as noise.
    """

    embedding: Float32[np.ndarray, "clips features"]
    guess: Int[np.ndarray, " clips"]
    noise: Bool[np.ndarray, " clips"]


def judge_clips(judge: OpenJudge, mel_power: Float32[np.ndarray, "clips mels frames"]) -> Judged:
    """Apply a judge to clips, given as mel power."""
    verdicts = []
    for start in range(0, len(mel_power), _BLOCK):
        rows = np.arange(start, start + _BLOCK) % len(mel_power)  # of constant size, to compile once
        verdicts.append(_judge(judge.inference, judge.variables, jnp.asarray(mel_power[rows])))
    return Judged(*(np.concatenate(parts)[: len(mel_power)] for parts in zip(*verdicts, strict=True)))


@partial(jax.jit, static_argnums=0)
def _judge(
    inference: JudgeInference, variables: Any, mel_power: Float[Array, "clips mels frames"]
) -> tuple[Float[Array, "clips features"], Int[Array, " clips"], Bool[Array, " clips"]]:
    verdict = inference.judge(variables, mel_power)
    return verdict.embedding, inference.guess(verdict), inference.is_noise(verdict)


def embed_music(
    judge: OpenJudge, music: Music
) -> tuple[Float32[np.ndarray, "clips features"], Int[np.ndarray, " clips"]]:
    """Return the embeddings of all distinct clips of a data set, and the identifiers of their tracks."""
    each = [judge_clips(judge, music.mel[genre, :clips]).embedding for genre, clips in enumerate(music.clips)]
    tracks = [music.track[genre, :clips] for genre, clips in enumerate(music.clips)]
    return np.concatenate(each), np.concatenate(tracks)


def compare_clips(
    judge: OpenJudge,
    reference: Clips,
    clips: Clips,
    train_embedding: Float32[np.ndarray, "train features"],
    train_track: Int[np.ndarray, " train"],
) -> dict[str, float]:
    """Compare clips with as many held-out ones.

    Args:
      judge: the judge, in whose embedding they are compared.
      reference: held-out clips.
      clips: clips of the same genres.
      train_embedding: embeddings of all training clips.
      train_track: number of the track of each training clip.

    Returns:
      `clips`, their number; `accuracy` of the judge and `accuracy_reference`; `noise`, the fraction of the clips that
      it classifies as noise; the metrics of `measure.prdc`; `kernel_distance` and `kernel_half_width`; `frechet`,
      extrapolated; `outer_thirds_db` and `level_db`, relative to the reference; `memorization` and
      `memorization_lowest`, the median and the 5% quantile of `measure.memorization.memorization_ratios`.
    """
    genre = np.repeat(np.arange(len(clips)), clips.shape[1])
    real, fake = (judge_clips(judge, x.reshape(-1, *x.shape[2:])) for x in (reference, clips))
    distance = kernel_distance(real.embedding, fake.embedding)
    ratios = memorization_ratios(fake.embedding, train_embedding, train_track)
    return {
        "clips": float(len(genre)),
        "accuracy": float(np.mean(fake.guess == genre)),
        "accuracy_reference": float(np.mean(real.guess == genre)),
        "noise": float(np.mean(fake.noise)),
        **{name: float(value) for name, value in prdc(real.embedding, fake.embedding)._asdict().items()},
        "kernel_distance": distance.distance,
        "kernel_half_width": distance.half_width,
        "frechet": extrapolated_frechet_distance(real.embedding, fake.embedding),
        "outer_thirds_db": _mean_difference(metrics.thirds_db, clips, reference),
        "level_db": _mean_difference(metrics.clip_level_db, clips, reference),
        "memorization": float(np.median(ratios)),
        "memorization_lowest": float(np.quantile(ratios, 0.05)),
    }


def _mean_difference(measure: Any, clips: Clips, reference: Clips) -> float:
    """Return the mean measure of clips minus that of the reference, computed genre by genre to save memory."""
    means = [np.mean([np.mean(measure(jnp.asarray(genre))) for genre in x]) for x in (clips, reference)]
    return float(means[0] - means[1])


def train_and_test(clips: Clips, reference: Clips, representation: Representation) -> float:
    """Train a small judge on clips, and return its accuracy on held-out ones (GAN-train, Shmelkov et al. 2018).

    Args:
      clips: clips to train on.
      reference: held-out clips to test on.
      representation: scale of the values that the judge sees.
    """
    genres, count = clips.shape[:2]
    data = MusicConfig(genres=tuple(map(str, range(genres))))
    task = JudgeTask(JudgeConfig(data, representation, widths=_WIDTHS, optimizer=_OPTIMIZER))
    live = task.live_values(TRAIN_STEPS)
    music = jax.device_put(Music(clips, np.full(genres, count, np.int32), np.zeros((genres, count), np.int32)))
    state = jax.jit(task.init)(order.stream(0, "init"))
    for step in range(TRAIN_STEPS):
        state = _update(task, state, music, jnp.int32(step), initial(live, step))
    judge = OpenJudge(task.inference, {"params": state.params, "batch_stats": state.batch_stats})
    guess = judge_clips(judge, reference.reshape(-1, *reference.shape[2:])).guess
    return float(np.mean(guess == np.repeat(np.arange(genres), reference.shape[1])))


@partial(jax.jit, static_argnums=0)
def _update(
    task: JudgeTask, state: TrainState, music: Music, step: Int[Array, ""], live: dict[str, Array]
) -> TrainState:
    count = int(np.prod(music.mel.shape[:2]))
    indices = order.batch_indices(order.stream(0, "order"), step, min(TRAIN_BATCH, count), count)
    batch_key, step_key = (jax.random.fold_in(order.stream(0, name), step) for name in ("batch", "step"))
    return task.step(state, task.batch(music, indices, batch_key), {}, live, step_key)[0]
