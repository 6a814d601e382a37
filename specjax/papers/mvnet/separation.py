"""Metrics of how well embeddings separate the eras: nearest-neighbor accuracy and silhouette; 2-D projections."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from specjax.measure.classification import worst_class_mean
from specjax.measure.embeddings import Embeddings

_MIN_FOR_TSNE = 12  # clips
_SEED = 0  # of t-SNE

Labels = Int[np.ndarray, " clips"]


class Labeled(NamedTuple):
    """Embeddings of clips with their eras and compositions."""

    embedding: Float[np.ndarray, "clips width"]
    era: Labels
    composition: Labels


def measure(held_out: Labeled, known: Labeled) -> dict[str, float]:
    """Measure how well the embeddings of held-out clips separate the eras.

    Args:
      held_out: held-out clips, none of whose compositions is in the training set.
      known: training clips. Without any, there are no `neighbor` metrics.

    Returns:
      `eval/neighbor`: accuracy of predicting the era of a clip as that of its nearest training clip.
      `eval/neighbor_vote`: the same for whole compositions, by majority vote of their clips (see `vote_accuracy`).
      `eval/neighbor_worst_era`: accuracy over the clips of the worst era. `eval/silhouette`: mean silhouette
      coefficient with the eras as clusters, in [-1, 1], if there are at least two eras. `eval/spread`: standard
      deviation of the embeddings, averaged over their dimensions. `eval/clips` and `eval/compositions`: numbers of
      held-out clips and compositions.
    """
    from sklearn.metrics import silhouette_score

    eras, count = np.unique(held_out.era), len(held_out.era)
    metrics = {
        "eval/spread": float(np.mean(np.std(held_out.embedding, axis=0))),
        "eval/clips": float(count),
        "eval/compositions": float(len(np.unique(held_out.composition))),
    }
    if 1 < len(eras) < count:
        metrics["eval/silhouette"] = float(silhouette_score(held_out.embedding, held_out.era))
    if not len(known.era):
        return metrics
    guess = known.era[find_nearest(held_out.embedding, known.embedding)]
    right = guess == held_out.era
    return metrics | {
        "eval/neighbor": float(np.mean(right)),
        "eval/neighbor_vote": vote_accuracy(guess, held_out.era, held_out.composition),
        "eval/neighbor_worst_era": worst_class_mean(right, held_out.era),
    }


def find_nearest(points: Embeddings, others: Embeddings) -> Int[np.ndarray, " points"]:
    """Return, for each point, the index of the nearest of the others by Euclidean distance."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=1).fit(others).kneighbors(points, return_distance=False)[:, 0]


def vote_accuracy(guess: Labels, era: Labels, composition: Labels) -> float:
    """Compute the accuracy of a majority vote over the clips of each composition.

    If k eras are tied for the most votes and the true one is among them, the composition counts as 1/k.

    Args:
      guess: predicted era of each clip.
      era: true era of each clip.
      composition: identifier of the composition of each clip.
    """
    return float(np.mean([_score_vote(guess[chosen], era[chosen]) for chosen in _groups(composition)]))


def _groups(labels: Labels) -> list[Bool[np.ndarray, " clips"]]:
    return [labels == label for label in np.unique(labels)]


def _score_vote(guess: Labels, era: Labels) -> float:
    names, votes = np.unique(guess, return_counts=True)
    winners = names[votes == votes.max()]
    return float(era[0] in winners) / len(winners)


def project(embeddings: Embeddings) -> dict[str, Float[np.ndarray, "clips 2"]]:
    """Project embeddings on two dimensions, by PCA and, for enough clips, by t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    maps = {"pca": PCA(2).fit_transform(embeddings)}
    if len(embeddings) >= _MIN_FOR_TSNE:
        perplexity = min(30.0, (len(embeddings) - 1) / 3)
        maps["tsne"] = TSNE(2, perplexity=perplexity, init="pca", random_state=_SEED).fit_transform(embeddings)
    return maps
