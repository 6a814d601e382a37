"""Data set of music and pictures of several eras: its settings, and the arrays that it consists of."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from specjax.papers.mvnet.representation import Representation

BUILTIN = "synthetic"
ERAS = ("renaissance", "baroque", "classical", "romantic", "modern")  # the paper's, in the order of its labels
PAIRINGS = ("paper", "era", "matched")
PICTURE_SIZE = 64
# Composer__Work__Number, then how it is repeated, the performer (a surname and two digits), and the segment.
_COMPOSITION = r"(.+?)(_no_repeat|_repeat)?(__[A-Z][A-Za-z-]*\d\d[A-Z]?)?(\.\d+)?"


@dataclass(frozen=True)
class MuseumConfig:
    """Settings of the data set of music and pictures: its source, its split, and its pairs of clips and pictures.

    source: one of the following.
      `synthetic`: clips and pictures of five eras, generated from random numbers.
      Path of a folder with the subfolders `audio` and `images`, each with one subfolder of files per era.
    eras: names of the eras, in the order of their labels. Other eras of the source are ignored. Empty means all eras of
      the source: first those of the paper in its order, then others in alphabetical order.
    representation: scale of the mel spectrograms.
    pairing: which pictures a clip is paired with.
      `paper`: clip i of an era with N clips is paired with its pictures i, i + N, i + 2N, and so on, modulo the number
        of pictures.
      `era`: a clip is paired with random pictures of its era, drawn anew for every batch.
      `matched`: a clip is paired with pictures that resemble the music. In each era, clips are ranked by brightness and
        onset rate, and pictures by luminance and edge density. Equal ranks are paired.
    pictures_per_clip: number of pictures that each clip is paired with.
    held_out_share: fraction of the compositions and of the pictures of each era that are held out.
    train_list, held_out_list: text files that list sound files, one per line, such as `baroque/fugue.0.ogg`. They
      replace `held_out_share` for the clips. If one of them is empty (''), it stands for all files that are not in the
      other.
    composition: regular expression for the name of a sound file without its suffix. Its first group is the name of the
      composition. A file that it does not match is a composition of its own. All clips of a composition are either for
      training or held out.
    composition_list: text file with the composition of each sound file, instead of `composition`. Each line has the
      name of a file, a tab, and the name of the composition.
    synthetic_compositions, synthetic_segments: number of compositions per era, and of clips per composition, of the
      source `synthetic`. There are three pictures for each clip. With the defaults, 300 clips and 900 pictures of each
      era are for training, as in the paper.
    max_bad_share: largest fraction of the sound files, and of the pictures, that may be skipped because they are
      damaged, silent or too short.
    """

    source: str = BUILTIN
    eras: tuple[str, ...] = ()
    representation: Representation = Representation()
    pairing: Literal["paper", "era", "matched"] = "matched"
    pictures_per_clip: int = 3
    held_out_share: float = 1 / 6
    train_list: str = ""
    held_out_list: str = ""
    composition: str = _COMPOSITION
    composition_list: str = ""
    synthetic_compositions: int = 60
    synthetic_segments: int = 6
    max_bad_share: float = 0.5

    def __post_init__(self) -> None:
        if self.pairing not in PAIRINGS:
            raise ValueError(f"data.pairing={self.pairing!r} is unknown: choose one of {', '.join(PAIRINGS)}")
        if self.pictures_per_clip < 1:
            raise ValueError(f"data.pictures_per_clip={self.pictures_per_clip} must be at least 1")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"data.held_out_share={self.held_out_share} must lie between 0 and 1, both excluded")
        if self.synthetic_compositions < 2:
            raise ValueError(f"data.synthetic_compositions={self.synthetic_compositions} must be at least 2")
        if self.synthetic_segments < 1:
            raise ValueError(f"data.synthetic_segments={self.synthetic_segments} must be at least 1")
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"data.max_bad_share={self.max_bad_share} must lie between 0 and 1")
        if repeated := [name for name in self.eras if self.eras.count(name) > 1]:
            raise ValueError(f"data.eras names {repeated[0]!r} twice: name each era once")
        if len(self.eras) == 1:
            raise ValueError(f"data.eras names only {self.eras[0]!r}: name at least two eras")
        try:
            groups = re.compile(self.composition).groups
        except re.error as error:
            raise ValueError(f"data.composition={self.composition!r} is not a regular expression ({error})") from error
        if not groups:
            raise ValueError(f"data.composition={self.composition!r} has no group: put the composition in parentheses")


class Museum(NamedTuple):
    """Clips of music and pictures, either the training or the held-out ones. Both are sorted by era.

    Attributes:
      mel: mel spectrogram of each clip, on the scale of the config: 128 bands, 256 frames, and the three thirds of the
        clip as channels.
      clip_era: era of each clip, an index into `eras` of the config.
      composition: identifier of the composition of each clip, unique within the source.
      pictures: red, green and blue of each picture, 0 to 255.
      picture_era: era of each picture.
      pairs: indices of the clip and of the picture of each pair, sorted by clip.
    """

    mel: Float32[np.ndarray, "clips 128 256 3"]
    clip_era: Int32[np.ndarray, " clips"]
    composition: Int32[np.ndarray, " clips"]
    pictures: UInt8[np.ndarray, "pictures 64 64 3"]
    picture_era: Int32[np.ndarray, " pictures"]
    pairs: Int32[np.ndarray, "pairs 2"]
