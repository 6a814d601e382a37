"""Clips of music of 10 s as mel power, cut from tracks that may be stretched to a common tempo."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32

from specjax.cli.app import cache_folder
from specjax.data import beats
from specjax.papers.melody.recordings import Wave, check_length, clip_starts
from specjax.papers.melody.representation import CLIP_SAMPLES, FILTERS, FRAMES, MELS, SAMPLE_RATE, TRANSFORM
from specjax.papers.melody.tracks import MusicConfig
from specjax.signal.mel import mel_from_wave
from specjax.signal.short_time_fourier import Stft

_BLOCK = 4  # clips per call of the transform
# Frames of a clip, one after the other without overlap.
_FRAMES = Stft(TRANSFORM.n_fft, TRANSFORM.n_fft, TRANSFORM.window, center=False)


class Music(NamedTuple):
    """Clips of music of each genre.

    Attributes:
      mel: mel power of each clip of 10 s, with the lowest band in row 0. Genres with fewer clips than others are padded
        by repeating their clips.
      clips: number of distinct clips of each genre.
      track: identifier of the track of each clip, unique within the data set.
    """

    mel: Float32[np.ndarray, "genres clips mels frames"]
    clips: Int32[np.ndarray, " genres"]
    track: Int32[np.ndarray, "genres clips"]

    def clip_power(self, genre: int, clip: int) -> Float32[np.ndarray, "mels frames"]:
        """Return the mel power of one clip."""
        return self.mel[genre, clip]


def cut_mel(wave: Wave, config: MusicConfig, name: str) -> Float32[np.ndarray, "clips mels frames"]:
    """Cut a track into clips, stretched to the tempo of the config if it has one, and compute their mel power.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      config: distance of the clips, and tempo.
      name: name of the track, for the error message.

    Raises:
      UserError: the track is shorter than a clip.
    """
    speed = find_speed(wave, config.tempo_bpm, cache_folder("beats")) if config.tempo_bpm else 1.0
    check_length(wave, round(CLIP_SAMPLES * speed), name)
    frames = cut_clips(wave, config.hop_s, speed)
    blocks = [np.zeros((0, MELS, FRAMES), np.float32)]
    while block := list(islice(frames, _BLOCK)):
        padded = np.zeros((_BLOCK, FRAMES * _FRAMES.n_fft), np.float32)  # of constant size, to compile once
        padded[: len(block)] = np.reshape(block, (len(block), -1))
        blocks.append(np.asarray(mel_from_wave(jnp.asarray(padded), _FRAMES, FILTERS))[: len(block)])
    return np.concatenate(blocks)


def mel_peaks(clips: Float32[np.ndarray, "clips mels frames"]) -> Float32[np.ndarray, " clips"]:
    """Return the maximum mel power of each clip."""
    return clips.max(axis=(1, 2), initial=0)


def find_speed(wave: Wave, tempo_bpm: float, cache: Path | None = None) -> float:
    """Find the factor by which the tempo of a track must rise to become `tempo_bpm`, or half or twice as much.

    The factor lies between 0.7 and 1.42. It is 1 for a track without beats.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      tempo_bpm: tempo in beats per minute.
      cache: folder in which the beats are cached, see `specjax.data.beats.track`.
    """
    measured_bpm = beats.steady_tempo_bpm(beats.track(wave, SAMPLE_RATE, cache))
    if not measured_bpm:
        return 1.0
    octaves = np.log2(tempo_bpm / measured_bpm)
    return float(2 ** (octaves - np.round(octaves)))


def cut_clips(wave: Wave, hop_s: float, speed: float = 1.0) -> Iterator[Float32[np.ndarray, "frames n_fft"]]:
    """Cut a track into clips of 10 s, and each clip into the frames of its mel spectrogram.

    Args:
      wave: the track, at `SAMPLE_RATE`.
      hop_s: distance between the starts of adjacent clips, in seconds of the result.
      speed: factor by which the tempo rises. Frames are taken from the recording at distances of `speed` times the hop
        length, so that the pitch does not change. This is how a phase vocoder stretches time, without the phases.

    Yields:
      The frames of each clip; each clip is reflected at its ends (see `Stft.center`). A track that is too short yields
      none.
    """
    length = round(CLIP_SAMPLES * speed)
    centers = np.round(np.arange(FRAMES) * TRANSFORM.hop_length * speed).astype(int)
    for start in clip_starts(len(wave), length, hop_s * SAMPLE_RATE * speed):
        padded = np.pad(wave[start : start + length], TRANSFORM.padding, mode="reflect")
        yield np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM.n_fft)[centers]
