"""Pairs of clips and pictures of the same era (section 2 of the paper), and selection of the pairs of a batch.

A clip is paired with several pictures, and each pair is used twice: unchanged, and with the picture mirrored. With
three pictures per clip, this gives the paper's six pairs per clip.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int32, Key

from specjax.papers.mvnet.dataset import Museum
from specjax.papers.mvnet.features import MusicFeatures, PictureFeatures


class Choice(NamedTuple):
    """Pairs of a batch.

    Attributes:
      clip, picture: indices into the clips and the pictures of the museum.
      mirrored: whether the picture is to be mirrored, left to right.
    """

    clip: Int[Array, " batch"]
    picture: Int[Array, " batch"]
    mirrored: Bool[Array, " batch"]


def count_pairs(museum: Museum) -> int:
    """Return the number of pairs, including those with mirrored pictures."""
    return 2 * len(museum.pairs)


def choose(museum: Museum, indices: Int[Array, " batch"], key: Key[Array, ""], pairing: str) -> Choice:
    """Look up pairs by index, from 0 to `count_pairs(museum) - 1`. The second half of them is mirrored.

    Args:
      museum: the data set.
      indices: indices of the pairs.
      key: random key of the batch, for the pairing `era`.
      pairing: `MuseumConfig.pairing`. With `era`, the pictures are drawn at random from those of the era of the clip.
    """
    pairs = len(museum.pairs)
    clip, picture = jnp.asarray(museum.pairs)[indices % pairs].T
    if pairing == "era":
        era, pictures = jnp.asarray(museum.clip_era)[clip], jnp.asarray(museum.picture_era)
        first, end = (jnp.searchsorted(pictures, era, side=side) for side in ("left", "right"))
        drawn = jax.random.uniform(key, indices.shape) * (end - first).astype(jnp.float32)
        picture = jnp.minimum(first + drawn.astype(int), end - 1)
    return Choice(clip, picture, indices >= pairs)


def pair(
    pairing: str,
    clip_era: Int32[np.ndarray, " clips"],
    picture_era: Int32[np.ndarray, " pictures"],
    music: MusicFeatures | None,
    appearance: PictureFeatures | None,
    pictures_per_clip: int,
) -> Int32[np.ndarray, "pairs 2"]:
    """Pair every clip with pictures of its era (see `MuseumConfig.pairing`).

    Args:
      pairing: `paper`, `matched` or `era`. For `era`, the result is that of `paper`, and `choose` replaces the
        pictures.
      clip_era, picture_era: eras in ascending order. Every era of a clip has at least one picture.
      music, appearance: features of all clips and all pictures; needed by `matched` only.
      pictures_per_clip: number of pairs per clip.

    Returns:
      Indices of the clip and of the picture of each pair, sorted by clip.
    """
    pairs = []
    for era in np.unique(clip_era):
        clips, pictures = np.flatnonzero(clip_era == era), np.flatnonzero(picture_era == era)
        clip = np.repeat(np.arange(len(clips)), pictures_per_clip)
        if pairing == "matched":
            assert music is not None
            assert appearance is not None
            # Clips and pictures have the same number of groups, so that equal ranks are in the same group.
            groups = max(round(np.sqrt(min(len(clips), len(pictures)))), 1)
            clips, pictures = rank(music, clips, groups), rank(appearance, pictures, groups)
            picture = ((np.arange(len(clip)) + 0.5) * len(pictures) / len(clip)).astype(int)
        else:
            picture = clip + len(clips) * np.tile(np.arange(pictures_per_clip), len(clips))
        pairs.append(np.stack([clips[clip], pictures[picture % len(pictures)]], axis=1))
    joined = np.concatenate(pairs)
    return joined[np.argsort(joined[:, 0], kind="stable")].astype(np.int32)


def rank(
    features: MusicFeatures | PictureFeatures, works: Int[np.ndarray, " works"], groups: int
) -> Int[np.ndarray, " works"]:
    """Sort works by two features at once.

    They are sorted by the first feature and divided into groups of about equal size. Each group is sorted by the second
    feature, in ascending and descending order alternately, so that neighbors are similar also at the boundaries of
    groups.

    Args:
      features: features of all works.
      works: indices of the works to sort.
      groups: number of groups.

    Returns:
      The indices in sorted order.
    """
    brightness, density = (np.asarray(values) for values in features)
    order = []
    for i, group in enumerate(np.array_split(works[np.argsort(brightness[works], kind="stable")], groups)):
        by_density = group[np.argsort(density[group], kind="stable")]
        order.append(by_density[::-1] if i % 2 else by_density)
    return np.concatenate(order)
