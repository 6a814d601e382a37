"""A few clips and pictures of random numbers in which each era has a level of its own."""

import numpy as np

from specjax.papers.mvnet.dataset import Museum

ERAS = ("baroque", "modern")


def make_museum(seed: int, compositions: int = 2, clips: int = 3, pictures: int = 6) -> Museum:
    """Make a museum of random clips and pictures.

    The clips of a composition are alike. Clip i of an era is paired with its picture i and the following one.

    Args:
      seed: random seed.
      compositions: number of compositions of each era.
      clips: number of clips of each composition.
      pictures: number of pictures of each era.
    """
    rng = np.random.default_rng(seed)
    eras, count = len(ERAS), compositions * clips
    era = np.arange(eras, dtype=np.int32)
    composition = np.repeat(np.arange(eras * compositions, dtype=np.int32), clips) + 100 * seed
    level = 3.0 * np.repeat(era, count) + rng.normal(size=eras * compositions).repeat(clips)
    noise = rng.standard_normal((eras * count, 128, 256, 3))
    color = rng.integers(0, 128, (eras, pictures, 64, 64, 3)) + 100 * era.reshape(-1, 1, 1, 1, 1)
    pairs = [
        (i * count + clip, i * pictures + (clip + step) % pictures)
        for i in range(eras)
        for clip in range(count)
        for step in (0, 1)
    ]
    return Museum(
        (level.reshape(-1, 1, 1, 1) + noise).astype(np.float32),
        np.repeat(era, count),
        composition,
        color.reshape(-1, 64, 64, 3).astype(np.uint8),
        np.repeat(era, pictures),
        np.array(pairs, np.int32),
    )
