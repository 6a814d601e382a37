"""Control rows of the table of picture generators: training pictures, and noise with their moments."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from specjax.papers.mvnet.dataset import Museum

Pixels = UInt8[np.ndarray, "pictures 64 64 3"]
Vectors = Float[np.ndarray, "clips width"]


def copy_pictures(
    train: Museum,
    train_vectors: Float[np.ndarray, "train width"],
    held_out_vectors: Float[np.ndarray, "held_out width"],
    clip: Int[np.ndarray, " pairs"],
) -> tuple[Pixels, Pixels]:
    """Copy two training pictures for each pair: those of the training clip whose condition is nearest.

    Successive pairs of a clip get successive pictures.

    Args:
      train: the training examples.
      train_vectors: conditions of their clips.
      held_out_vectors: conditions of the held-out clips.
      clip: index of the held-out clip of each pair, in ascending order.
    """
    from scipy.spatial.distance import cdist

    nearest = np.argmin(cdist(held_out_vectors, train_vectors), axis=1)[clip]
    begin, end = (np.searchsorted(train.pairs[:, 0], nearest, side=side) for side in ("left", "right"))
    place = np.arange(len(clip)) - np.searchsorted(clip, clip)  # of each pair among those of its clip
    first, second = (train.pairs[begin + (place + shift) % (end - begin), 1] for shift in (0, 1))
    return train.pictures[first], train.pictures[second]


def draw_noise(train: Museum, era: Int[np.ndarray, " pictures"], rng: np.random.Generator) -> Pixels:
    """Draw normally distributed pictures with the mean and the covariance of the training pictures of an era.

    A linear combination of the deviations from the mean, with normally distributed weights, has that covariance.

    Args:
      train: the training examples.
      era: era of each picture to draw.
      rng: random numbers.
    """
    drawn = np.empty((len(era), *train.pictures.shape[1:]), np.uint8)
    for label in np.unique(era):
        pictures = train.pictures[train.picture_era == label].astype(np.float32)
        mean = pictures.mean(axis=0)
        deviations = (pictures - mean).reshape(len(pictures), -1) / np.sqrt(len(pictures))
        chosen = np.flatnonzero(era == label)
        normal = rng.standard_normal((len(chosen), len(pictures)), dtype=np.float32)
        values = mean + (normal @ deviations).reshape(len(chosen), *mean.shape)
        drawn[chosen] = np.round(np.clip(values, 0, 255)).astype(np.uint8)
    return drawn
