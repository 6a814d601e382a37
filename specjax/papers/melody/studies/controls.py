"""Control rows of the table of generators: real clips beside other real clips, copies, and moment-matched noise."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int

from specjax.cli.errors import UserError
from specjax.papers.melody import data
from specjax.papers.melody.mel_clips import Music
from specjax.papers.melody.noise import draw_noise
from specjax.papers.melody.representation import Representation
from specjax.papers.melody.tracks import MusicConfig

MIN_CLIPS = 6  # in a row, for the five nearest neighbors of PRDC

# The same number of clips of each genre.
Clips = Float32[np.ndarray, "genres clips mels frames"]


@dataclass(frozen=True)
class RealMusic:
    """Clips of a data set, which is read when first needed.

    The held-out clips of each genre are divided into two halves of different tracks, if there are several: the
    reference, with which every row of the table is compared, and the row of real clips.

    config: the data set.
    max_clips: largest number of clips of each genre in a row; 0 for as many as there are.
    """

    config: MusicConfig
    max_clips: int

    @cached_property
    def train(self) -> Music:
        """The training clips."""
        return self._sets[0]

    @cached_property
    def count(self) -> int:
        """Number of clips of each genre in every row.

        Raises:
          UserError: there are too few held-out clips.
        """
        halves = [sizes for clips, start in self._starts for sizes in (start, clips - start)]
        count = min([*halves, self.max_clips or max(halves)])
        if count * len(halves) // 2 < MIN_CLIPS:
            raise UserError(
                f"half of the held-out clips is {count} of each of {len(halves) // 2} genres, expected at least "
                f"{MIN_CLIPS} in all: raise config.data.held_out_share or --examples, or lower config.data.hop_s"
            )
        return count

    @cached_property
    def reference(self) -> Clips:
        """Held-out clips with which every row is compared."""
        return self._choose([np.arange(start) for _, start in self._starts])

    @cached_property
    def others(self) -> Clips:
        """Held-out clips of other tracks, or of another half of the track where there is only one."""
        return self._choose([np.arange(start, clips) for clips, start in self._starts])

    @property
    def reference_tracks(self) -> list[int]:
        """Number of one track of each genre of the reference."""
        return [int(track) for track in self._sets[1].track[:, 0]]

    def copies(self) -> Clips:
        """Draw training clips."""
        rng, train = np.random.default_rng(0), self.train
        return np.stack(
            [
                train.mel[genre, rng.choice(clips, self.count, replace=bool(clips < self.count))]
                for genre, clips in enumerate(train.clips)
            ]
        )

    def noise(self, representation: Representation) -> Clips:
        """Draw noise with the moments of the training clips of each genre, see `draw_noise`."""
        drawn = []
        for genre, clips in enumerate(self.train.clips):
            values = representation.encode(jnp.asarray(self.train.mel[genre, :clips]))
            keys = jax.random.split(jax.random.fold_in(jax.random.key(0), genre), self.count)
            drawn.append(np.asarray(representation.decode(draw_noise(values, keys))))
        return np.stack(drawn)

    @cached_property
    def _sets(self) -> tuple[Music, Music]:
        return data.load(self.config)

    @cached_property
    def _starts(self) -> list[tuple[int, int]]:
        """Number of held-out clips of each genre, and of the first one of the second half."""
        held_out = self._sets[1]
        return [(int(clips), halve(held_out.track[genre, :clips])) for genre, clips in enumerate(held_out.clips)]

    def _choose(self, numbers: list[Int[np.ndarray, " _"]]) -> Clips:
        """Choose clips of each genre that are spread over all of the given numbers."""
        mel = self._sets[1].mel
        return np.stack(
            [
                mel[genre, own[np.linspace(0, len(own) - 1, self.count).round().astype(int)]]
                for genre, own in enumerate(numbers)
            ]
        )


def halve(track: Int[np.ndarray, " clips"]) -> int:
    """Find the index of the first clip of the second half: the first of a track, if there are several tracks.

    Args:
      track: identifier of the track of each clip; clips of one track are adjacent.
    """
    middle = len(track) // 2
    begins = np.flatnonzero(np.diff(track)) + 1
    return int(begins[np.argmin(np.abs(begins - middle))]) if len(begins) else middle
