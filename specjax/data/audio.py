"""Sound files to waves, or a clear refusal.

Waves are mono, float32, and lie around [-1, 1]. What a file claims is checked before anything is allocated for it: its
size, sample rate, channels and length, and the length it would have at another sample rate.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data.containers import check_whole, mp3_length
from specjax.data.readers import check_regular_file

if TYPE_CHECKING:
    from soundfile import SoundFile

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".au")
MAX_BYTES = 2**31
MAX_SAMPLES = 2**28  # of one wave, a gigabyte; of all channels together as well
MAX_CHANNELS = 32
MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
# Peaks of floats may overshoot 1 by some decibels; far above they are whole numbers that nobody scaled.
MAX_LEVEL = 8.0
_BLOCK = 2**18
_CANCELLED = 1e-3  # what rounding leaves of channels that are each other's opposite is no sound
_MP3_DELAY = 4 * 1152  # what an encoder and a decoder put before and after the sound, and the frame that tells of it


def read_audio(
    path: Path, sample_rate: int | None = None, *, max_duration_s: float = 600.0
) -> tuple[Float[np.ndarray, " samples"], int]:
    """Wave of a sound file and its sample rate in Hz: channels averaged, resampled where another rate is asked for.

    Raises:
      UserError: not a readable regular file of a known kind; truncated, empty, silent throughout or constant; samples
        that are not finite or far above 1; a sample rate, a number of channels or a length out of bounds.
    """
    with _opened(path, sample_rate, max_duration_s) as (file, least):
        rate = file.samplerate
        if max(file.frames * file.channels, file.frames / rate * (sample_rate or rate)) > MAX_SAMPLES:
            raise UserError(
                f"{path}: {file.frames} samples of {file.channels} channels are more than {MAX_SAMPLES} in all: cut it"
            )
        wave = np.concatenate(list(_mono_blocks(path, file, _BLOCK, least)))
    _check_sounds(path, float(wave.min()), float(wave.max()))
    if sample_rate is None or sample_rate == rate:
        return wave, rate
    return resample(wave, rate, sample_rate), sample_rate


def audio_blocks(path: Path, block: int, *, max_duration_s: float = 86_400.0) -> tuple[int, Iterator[np.ndarray]]:
    """Sample rate of a sound file in Hz, and its samples, `block` at a time and the last fewer: for what streams.

    Raises:
      UserError: as `read_audio`; what only the samples tell, when it is reached.
    """
    opened = ExitStack()
    file, least = opened.enter_context(_opened(path, None, max_duration_s))

    def blocks() -> Iterator[np.ndarray]:
        low, high = np.inf, -np.inf
        with opened:
            for mono in _mono_blocks(path, file, block, least):
                low, high = min(low, float(mono.min())), max(high, float(mono.max()))
                yield mono
        _check_sounds(path, low, high)

    return file.samplerate, blocks()


def resample(
    wave: Float[np.ndarray, " samples"], sample_rate: int, wanted_rate: int
) -> Float[np.ndarray, " other_samples"]:
    """Band-limited resampling by the SoX resampler."""
    import soxr

    return soxr.resample(wave, sample_rate, wanted_rate, quality="HQ")


def fit_length(
    wave: Float[np.ndarray, " any"], samples: int, *, short: Literal["pad", "repeat", "refuse"] = "refuse"
) -> Float[np.ndarray, " samples"]:
    """The first `samples` of a wave; one that is too short is padded with silence, repeated, or refused.

    Raises:
      UserError: too short, where that is refused; empty.
    """
    if not len(wave) or (len(wave) < samples and short == "refuse"):
        raise UserError(
            f"{len(wave)} samples are fewer than {samples}: choose longer clips, or pad or repeat short ones"
        )
    if short == "repeat":
        return np.resize(wave, samples)
    return np.pad(wave[:samples], (0, max(samples - len(wave), 0)))


@contextmanager
def _opened(path: Path, wanted_rate: int | None, max_duration_s: float) -> Iterator[tuple["SoundFile", int]]:
    """The file, once all that it claims has been checked, and how many samples it must turn out to have."""
    import soundfile

    check_regular_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} is no sound file by its name: expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes: a sound file here has at most {MAX_BYTES}")

    class Sequential(soundfile.SoundFile):
        """Read from its first sample to its last: `soundfile` seeks after every block else, which mp3 does not bear."""

        def seekable(self) -> bool:
            return False

    try:
        kind = check_whole(path)
        if path.suffix.lower() != f".{kind}":
            raise UserError(f"{path} is of kind {kind} by its content: rename it to end in .{kind}")
        with Sequential(path) as file:
            _check_claims(path, file, file.samplerate if wanted_rate is None else wanted_rate, max_duration_s)
            least = file.frames
            if kind == "mp3":
                samples, stated = mp3_length(path)
                if samples > file.frames + _MP3_DELAY:
                    raise UserError(
                        f"{path} does not say how long it is ({file.frames} samples are not all): write it anew"
                    )
                least = file.frames if stated else samples - _MP3_DELAY
            yield file, least
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path} is not a readable sound file ({error})") from error


def _check_claims(path: Path, file: "SoundFile", wanted_rate: int, max_duration_s: float) -> None:
    rate, frames, channels = file.samplerate, file.frames, file.channels
    for what, value in (("its sample rate is", rate), ("a sample rate was asked for of", wanted_rate)):
        if not MIN_SAMPLE_RATE <= value <= MAX_SAMPLE_RATE:
            raise UserError(f"{path}: {what} {value} Hz, expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"{path} has {channels} channels, expected 1 to {MAX_CHANNELS}")
    if frames < 1:
        raise UserError(f"{path} holds no samples")
    if frames > max_duration_s * rate:
        raise UserError(f"{path} lasts {frames / rate:.0f} s, more than {max_duration_s:g} s: cut it")


def _mono_blocks(path: Path, file: "SoundFile", block: int, least: int) -> Iterator[Float[np.ndarray, " samples"]]:
    """Mean of the channels, `block` samples at a time, the last fewer.

    Raises:
      UserError: samples are missing of `least`, not finite or far above 1; channels that cancel each other out.
    """
    read, loudest, mixed = 0, 0.0, 0.0
    while len(samples := file.read(block, dtype="float32", always_2d=True)):
        read += len(samples)
        if bad := int(np.sum(~np.isfinite(samples))):
            raise UserError(f"{path}: {bad} samples are not finite numbers: write the file anew")
        loudest = max(loudest, float(np.abs(samples).max()))
        if loudest > MAX_LEVEL:
            raise UserError(
                f"{path}: samples from {samples.min():.3g} to {samples.max():.3g}, expected about -1 to 1: scale them"
            )
        mono = samples.mean(axis=1)
        mixed = max(mixed, float(np.abs(mono).max()))
        yield mono
    if mixed < _CANCELLED * loudest:
        raise UserError(f"{path}: its channels cancel each other out where they are mixed: keep one of them")
    if read < least:
        raise UserError(f"{path} is truncated: {read} of {file.frames} samples are there, fetch it again")


def _check_sounds(path: Path, low: float, high: float) -> None:
    if low == high:
        raise UserError(f"{path} is {'silent' if low == 0 else f'constant at {low:.3g}'} throughout: there is no sound")
