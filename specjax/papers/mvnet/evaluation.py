"""Metrics of generated pictures: realism, diversity, and how well they follow the music."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Int

from specjax.measure.comparison import NEIGHBORS, compare_embeddings, mean_pairwise_distance
from specjax.measure.correlation import rank_correlation
from specjax.papers.mvnet.features import measure_pictures
from specjax.papers.mvnet.judge import JudgeInference
from specjax.papers.mvnet.pictures import Values, thumbnails

_SEED = 0  # of the shuffled controls
_SHUFFLES = 100  # whose correlations are averaged

Measures = Mapping[str, np.ndarray]
Labels = Int[np.ndarray, " pairs"]


def measure(values: Values, kind: str, judge: JudgeInference | None, variables: Any = None) -> dict[str, Array]:
    """Measure pictures.

    Args:
      values: pictures.
      kind: prefix of the names of the results: `real`, `fake` or `twin`.
      judge: the judge, if there is one.
      variables: variables of its network.

    Returns:
      `luminance`; `embedding`: that of the judge, or the pixels of the shrunken pictures without a judge. With a judge
      also `guess`: the index of the predicted era, and `noise`: whether the judge classifies the picture as noise.
    """
    measured = {f"{kind}_luminance": measure_pictures(127.5 * (values + 1.0)).luminance}
    if judge is None:
        return measured | {f"{kind}_embedding": thumbnails(values)}
    verdict = judge.judge(variables, values)
    return measured | {
        f"{kind}_embedding": verdict.embedding,
        f"{kind}_guess": judge.guess(verdict),
        f"{kind}_noise": judge.is_noise(verdict),
    }


def summarize(measures: Measures) -> dict[str, float]:
    """Compute metrics of the held-out set from the measures of its pairs of clips and pictures.

    Args:
      measures: for each pair the indices `clip`, `composition`, `picture` and `era`, the clip's `centroid_hz`, and the
        results of `measure` for the `real` picture of the pair, for a `fake` one that was generated from its clip, and
        for a `twin`, generated from the same clip with other latent variables.

    Returns:
      Metrics with the prefix `eval/`: those of `measure_diversity` and `measure_following`; with a judge, those of
      `measure_eras` and `judge_noise`, the fraction of the generated pictures that it classifies as noise; PRDC and the
      kernel distance of the pictures, if there are enough; and the numbers of `pairs` and `pictures`.
    """
    _, first = np.unique(measures["picture"], return_index=True)  # a picture may be in several pairs
    metrics = {
        "pairs": float(len(measures["era"])),
        "pictures": float(len(first)),
        **measure_diversity(measures, first),
        **measure_following(measures),
    }
    if "fake_guess" in measures:
        metrics |= measure_eras(measures["fake_guess"], measures["real_guess"][first], measures["era"], first)
        metrics["judge_noise"] = float(np.mean(measures["fake_noise"]))
    named = {f"eval/{name}": value for name, value in metrics.items()}
    if len(first) <= NEIGHBORS:
        return named
    return named | compare_embeddings(measures["real_embedding"][first], measures["fake_embedding"])


def measure_diversity(measures: Measures, first: Int[np.ndarray, " pictures"]) -> dict[str, float]:
    """Compare the differences between generated pictures of an era with those between real ones.

    Args:
      measures: see `summarize`.
      first: index of the first pair of each real picture.

    Returns:
      Ratios of mean distances, averaged over the eras with two pictures or more: `diversity` of all pictures of an era,
      `diversity_worst_era`, and `diversity_same_music`, of two pictures from the same clip.
    """
    era, diversity, same = measures["era"], [], []
    for label in np.unique(era):
        chosen = era == label
        real = mean_pairwise_distance(measures["real_embedding"][first[chosen[first]]])
        if not real > 0:
            continue
        fake, twin = measures["fake_embedding"][chosen], measures["twin_embedding"][chosen]
        diversity.append(mean_pairwise_distance(fake) / real)
        same.append(float(np.mean(np.linalg.norm(fake - twin, axis=1))) / real)
    if not diversity:
        return {}
    return {
        "diversity": float(np.mean(diversity)),
        "diversity_worst_era": float(min(diversity)),
        "diversity_same_music": float(np.mean(same)),
    }


def measure_following(measures: Measures) -> dict[str, float]:
    """Correlate the luminance of generated pictures with the brightness of their clips, within eras.

    Returns:
      `follows`, Spearman's correlation over the clips, `follows_low` and `follows_high`, the ends of its 95% interval
      over compositions, and `follows_shuffled`, the mean correlation with clips of the same era that are drawn at
      random.
    """
    clips, first, inverse = np.unique(measures["clip"], return_index=True, return_inverse=True)
    luminance = (measures["fake_luminance"] + measures["twin_luminance"]).astype(float) / 2
    by_clip = np.bincount(inverse, luminance) / np.bincount(inverse)
    era, centroid_hz = measures["era"][first], measures["centroid_hz"][first].astype(float)
    composition = measures["composition"][first]
    rng = np.random.default_rng(_SEED)

    def shuffle() -> Int[np.ndarray, " clips"]:
        shuffled = np.arange(len(clips))
        for label in np.unique(era):
            shuffled[era == label] = rng.permutation(shuffled[era == label])
        return shuffled

    controls = [rank_correlation(by_clip, centroid_hz[shuffle()], era, composition).value for _ in range(_SHUFFLES)]
    result = rank_correlation(by_clip, centroid_hz, era, composition)
    return {
        "follows": result.value,
        "follows_low": result.low,
        "follows_high": result.high,
        "follows_shuffled": float(np.mean(controls)),
    }


def measure_eras(
    fake_guess: Labels, real_guess: Int[np.ndarray, " pictures"], era: Labels, first: Int[np.ndarray, " pictures"]
) -> dict[str, float]:
    """Compute how often the era that a judge predicts from a picture is that of the music.

    Returns:
      `judge_accuracy` on generated pictures, `judge_accuracy_real` on real ones, and `judge_accuracy_shuffled` on
      generated pictures that are assigned to clips at random.
    """
    shuffled = np.random.default_rng(_SEED).permutation(len(era))
    return {
        "judge_accuracy": float(np.mean(fake_guess == era)),
        "judge_accuracy_real": float(np.mean(real_guess == era[first])),
        "judge_accuracy_shuffled": float(np.mean(fake_guess == era[shuffled])),
    }
