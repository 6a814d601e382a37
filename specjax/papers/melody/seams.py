"""Detection of seams: whether a piece of music changes more at given times than elsewhere.

A piece that is concatenated from parts has seams where two parts meet, and a loop may have one where its end meets its
beginning. A seam is a sudden change of the spectrum from one frame to the next, a lasting change from before to after,
or a click. Music has such changes too, at its notes and sections. So the changes at the joints are ranked among those
at all other frames of the same piece, and the ranks of recordings show which rank is suspicious.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from specjax.papers.melody.representation import FILTERS, SAMPLE_RATE, TRANSFORM
from specjax.signal.mel import mel_from_wave

PERIOD_S = 10.0  # duration of the clips from which a piece may be concatenated

# Frames before and after a place whose mean levels are compared: 23 ms and 2 s.
_SUDDEN, _LASTING = 1, 86
_SLACK = 2  # A change of one sample reaches the frames at up to this distance, because frames overlap.
_RANGE_DB = 40.0
_CLICK = 16  # samples around the joint that are searched for a click
_AROUND = 17  # number of neighboring intervals of that length that it is compared with

MelPower = Float[np.ndarray, "mels frames"]
Wave = Float[np.ndarray, " samples"]
Changes = Float[np.ndarray, " places"]


def rank_multiples(mel_power: MelPower) -> float:
    """Rank the changes of the spectrum of a piece at all multiples of 10 s, see `rank_joints`.

    Args:
      mel_power: mel power of the piece, of at least 15 s.
    """
    period = PERIOD_S * SAMPLE_RATE / TRANSFORM.hop_length
    return rank_joints(mel_power, [round(i * period) for i in range(1, int(mel_power.shape[1] / period) + 1)])


def rank_joints(mel_power: MelPower, joints: Sequence[int], *, lasting: bool = True) -> float:
    """Rank the changes of the spectrum of a piece at its joints among those at all other places.

    Args:
      mel_power: mel power of the piece.
      joints: frames with which a new part may begin. Those less than 2.1 s from an end of the piece are left out.
      lasting: whether lasting changes count, and not only sudden ones.

    Returns:
      Fraction of other frames with a smaller change, averaged over the joints, for the kind of change (sudden or
      lasting) for which it is larger. It is 1 if the changes at all joints are the largest of the piece.

    Raises:
      ValueError: no joint, or no other place, is far enough from the ends.
    """
    floor = 10 ** (-_RANGE_DB / 10)
    level_db = 10 * np.log10(np.maximum(mel_power / max(float(mel_power.max()), 1e-30), floor))
    margin = _LASTING + _SLACK
    inside = [joint for joint in joints if margin <= joint <= mel_power.shape[1] - margin]
    if not inside:
        raise ValueError(f"{mel_power.shape[1]} frames have no joint at least {margin} frames from the ends: {joints}")
    spans = (_SUDDEN, _LASTING) if lasting else (_SUDDEN,)
    return max(_rank_changes(_measure_changes(level_db, span), span, inside) for span in spans)


def rank_loop(wave: Wave) -> float:
    """Rank the change of a loop where its end meets its beginning, see `rank_wave`; it must last at least 5 s."""
    return rank_wave(np.tile(wave, 2), len(wave))


def rank_wave(wave: Wave, joint: int) -> float:
    """Rank the change of a wave at a joint: the sudden change of the spectrum, or the click if that has a higher rank.

    A lasting change is not considered a seam here: the end of a loop may differ from its beginning, as in any music.

    Args:
      wave: mono wave at `SAMPLE_RATE`.
      joint: sample with which a new part may begin.

    Returns:
      See `rank_joints`.
    """
    mel = np.asarray(mel_from_wave(jnp.asarray(wave), TRANSFORM, FILTERS))
    sudden = rank_joints(mel, [round(joint / TRANSFORM.hop_length)], lasting=False)
    return max(sudden, _rank_click(wave, joint))


def _rank_click(wave: Wave, joint: int) -> float:
    """Rank the click at a joint: how far the third difference of the wave exceeds that of its surroundings."""
    bends = np.abs(np.diff(wave, 3))  # Bend i is that of the samples i to i + 3.
    start = joint - 2 - _CLICK // 2
    bends = bends[start % _CLICK :]
    blocks = bends[: len(bends) // _CLICK * _CLICK].reshape(-1, _CLICK).max(axis=1)
    around = np.median(np.lib.stride_tricks.sliding_window_view(blocks, _AROUND), axis=1)
    contrast = blocks[_AROUND // 2 : -(_AROUND // 2)] / np.maximum(around, 1e-12)
    place = start // _CLICK - _AROUND // 2
    return _rank(contrast[place : place + 1], np.delete(contrast, place))


def _measure_changes(level_db: Float[np.ndarray, "mels frames"], span: int) -> Changes:
    """Compare the mean levels of the `span` frames before each frame and of the `span` frames from there on.

    Returns:
      Mean absolute difference over the bands, in dB. Entry i is the change at frame `span + i`.
    """
    sums = np.cumsum(np.pad(level_db, ((0, 0), (1, 0))), axis=1)
    means = (sums[:, span:] - sums[:, :-span]) / span
    return np.mean(np.abs(means[:, span:] - means[:, :-span]), axis=0)


def _rank_changes(changes: Changes, span: int, joints: Sequence[int]) -> float:
    """Rank the changes at joints among those at places that no joint affects."""
    greatest = np.lib.stride_tricks.sliding_window_view(changes, 2 * _SLACK + 1).max(axis=1)  # around each place
    places = np.array(joints) - span - _SLACK
    distance = np.abs(np.arange(len(greatest))[:, None] - places[None]).min(axis=1)
    return _rank(greatest[places], greatest[distance > span + 2 * _SLACK])


def _rank(values: Float[np.ndarray, " _"], others: Float[np.ndarray, " _"]) -> float:
    """Return the mean share of `others` that is smaller than a value; ties count half."""
    if not len(others):
        raise ValueError("there is no place away from the joints: use a longer piece")
    below, up_to = (np.searchsorted(np.sort(others), values, side=side) for side in ("left", "right"))
    return float(np.mean(below + up_to) / (2 * len(others)))
