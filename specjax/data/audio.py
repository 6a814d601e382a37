"""Sound files to waves, or a clear refusal.

Waves are mono, float32, and lie around [-1, 1]. What a file claims is checked before anything is allocated for it: its
size, sample rate, channels and length, and the length it would have at another sample rate.
"""

import logging
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.data.gate import check_folder, check_regular_file
from specjax.errors import Refusal

if TYPE_CHECKING:
    from soundfile import SoundFile

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".au")
MAX_BYTES = 2**31
MAX_SAMPLES = 2**28  # of one wave, a gigabyte; of all channels together as well
MAX_CHANNELS = 32
MAX_FILES = 1_000_000
MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
# Peaks of floats may overshoot 1 by some decibels; far above they are whole numbers that nobody scaled.
MAX_LEVEL = 8.0
# Programs that write to a pipe cannot know the size of what follows, and promise the most there could be.
UNKNOWN_SIZE = 0x7FFF_0000
_BLOCK = 2**18
_OGG_TAIL = 2**17

_log = logging.getLogger("specjax")


def read_audio(
    path: Path, sample_rate: int | None = None, *, max_duration_s: float = 600.0
) -> tuple[Float[np.ndarray, " samples"], int]:
    """Wave of a sound file and its sample rate in Hz: channels averaged, resampled where another rate is asked for.

    Raises:
      Refusal: not a readable regular file of a known kind; truncated, empty, silent throughout or constant; samples
        that are not finite or far above 1; a sample rate, a number of channels or a length out of bounds.
    """
    import soundfile

    _check_file(path)
    try:
        _check_whole(path)
        with soundfile.SoundFile(path) as file:
            _check_claims(path, file, sample_rate or file.samplerate, max_duration_s)
            wave, rate = _mono(file), file.samplerate
            if len(wave) < file.frames:
                raise Refusal(f"{path} is truncated: {len(wave)} of {file.frames} samples are there, fetch it again")
    except (soundfile.LibsndfileError, OSError) as error:
        raise Refusal(f"{path} is not a readable sound file ({error})") from error
    _check_samples(path, wave)
    if sample_rate is None or sample_rate == rate:
        return wave, rate
    return resample(wave, rate, sample_rate), sample_rate


def audio_blocks(path: Path, block: int, *, max_duration_s: float = 86_400.0) -> tuple[int, Iterator[np.ndarray]]:
    """Sample rate of a sound file in Hz, and its samples, `block` at a time and the last fewer: for what streams.

    Raises:
      Refusal: as `read_audio`; samples that are not finite or far above 1 when their block is reached.
    """
    import soundfile

    _check_file(path)
    try:
        _check_whole(path)
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Refusal(f"{path} is not a readable sound file ({error})") from error
    _check_claims(path, file, file.samplerate, max_duration_s)

    def blocks() -> Iterator[np.ndarray]:
        with file:
            for samples in file.blocks(block, dtype="float32", always_2d=True):
                mono = samples.mean(axis=1)
                _check_levels(path, mono)
                yield mono

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
      Refusal: too short, where that is refused; empty.
    """
    if not len(wave) or (len(wave) < samples and short == "refuse"):
        raise Refusal(f"{len(wave)} samples are fewer than {samples}: choose longer clips, or pad or repeat short ones")
    if short == "repeat":
        return np.resize(wave, samples)
    return np.pad(wave[:samples], (0, max(samples - len(wave), 0)))


class Skipped(NamedTuple):
    """A file that was left out."""

    path: Path
    reason: str


class Clips(NamedTuple):
    """Waves of equal length, the files they are of, and the files that were left out."""

    waves: Float[np.ndarray, "clips samples"]
    paths: list[Path]
    skipped: list[Skipped]


def read_clips(
    paths: Sequence[Path],
    sample_rate: int,
    samples: int,
    *,
    short: Literal["pad", "repeat", "refuse"] = "refuse",
    max_bad_share: float = 0.0,
) -> Clips:
    """Many files as waves of one length. Bad ones are left out and counted, up to a share of them all.

    Raises:
      Refusal: no files; more than `MAX_SAMPLES` in all; more bad files than `max_bad_share`, naming the first.
    """
    if not paths:
        raise Refusal("there are no sound files to read")
    if len(paths) * samples > MAX_SAMPLES:
        raise Refusal(f"{len(paths)} clips of {samples} samples are more than {MAX_SAMPLES} samples: choose fewer")
    waves = np.empty((len(paths), samples), np.float32)
    kept: list[Path] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            wave, _ = read_audio(path, sample_rate)
            waves[len(kept)] = fit_length(wave, samples, short=short)
            kept.append(path)
        except Refusal as refusal:
            skipped.append(Skipped(path, str(refusal)))
            if len(skipped) > max_bad_share * len(paths):
                raise Refusal(
                    f"{len(skipped)} of {len(paths)} sound files are bad, more than a share of {max_bad_share:g}; "
                    f"the first: {skipped[0].reason}"
                ) from refusal
    for each in skipped:
        _log.warning("left out: %s", each.reason)
    return Clips(waves[: len(kept)], kept, skipped)


def audio_files(folder: Path) -> list[Path]:
    """Sound files in a folder and the folders in it, in order of their names. Linked folders are not entered.

    Raises:
      Refusal: not a readable folder; none in it; more than `MAX_FILES`.
    """
    check_folder(folder)
    found = []
    for inside, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        found += [Path(inside, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
        if len(found) > MAX_FILES:
            raise Refusal(f"{folder} holds more than {MAX_FILES} sound files: name a smaller folder")
    if not found:
        raise Refusal(f"{folder} holds no sound files: expected names that end in {', '.join(SUFFIXES)}")
    return sorted(found)


def _check_file(path: Path) -> None:
    check_regular_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise Refusal(f"{path} is no sound file by its name: expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise Refusal(f"{path} has {path.stat().st_size} bytes: a sound file here has at most {MAX_BYTES}")


def _check_claims(path: Path, file: "SoundFile", wanted_rate: int, max_duration_s: float) -> None:
    rate, frames, channels = file.samplerate, file.frames, file.channels
    for what, value in (("its sample rate is", rate), ("a sample rate was asked for of", wanted_rate)):
        if not MIN_SAMPLE_RATE <= value <= MAX_SAMPLE_RATE:
            raise Refusal(f"{path}: {what} {value} Hz, expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise Refusal(f"{path} has {channels} channels, expected 1 to {MAX_CHANNELS}")
    if frames < 1:
        raise Refusal(f"{path} holds no samples")
    if frames > max_duration_s * rate:
        raise Refusal(f"{path} lasts {frames / rate:.0f} s, more than {max_duration_s:g} s: cut it")
    if max(frames * channels, frames / rate * wanted_rate) > MAX_SAMPLES:
        raise Refusal(f"{path}: {frames} samples of {channels} channels are more than {MAX_SAMPLES} in all: cut it")


def _mono(file: "SoundFile") -> Float[np.ndarray, " samples"]:
    """Mean of the channels, a block at a time."""
    blocks: Iterable[np.ndarray] = file.blocks(_BLOCK, dtype="float32", always_2d=True)
    return np.concatenate([np.zeros(0, np.float32), *(block.mean(axis=1) for block in blocks)])


def _check_samples(path: Path, wave: Float[np.ndarray, " samples"]) -> None:
    _check_levels(path, wave)
    low, high = wave.min(), wave.max()
    if low == high:
        raise Refusal(f"{path} is {'silent' if low == 0 else f'constant at {low:.3g}'} throughout: there is no sound")


def _check_levels(path: Path, wave: Float[np.ndarray, " samples"]) -> None:
    if bad := int(np.sum(~np.isfinite(wave))):
        raise Refusal(f"{path}: {bad} samples are not finite numbers: write the file anew")
    low, high = wave.min(), wave.max()
    if max(-low, high) > MAX_LEVEL:
        raise Refusal(f"{path}: samples from {low:.3g} to {high:.3g}, expected about -1 to 1: scale them")


def _check_whole(path: Path) -> None:
    """Refuse a file that ends before its own header says. Sound libraries read such a file as a shorter one."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(28)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            promised = _end_of_wav(file, size)
        elif head[:4] == b".snd" and len(head) >= 12:
            offset, length = struct.unpack(">II", head[4:12])
            promised = offset + length if length < UNKNOWN_SIZE else size
        elif head[:4] == b"OggS":
            file.seek(max(size - _OGG_TAIL, 0))
            tail = file.read()
            last = tail.rfind(b"OggS")
            ended = last >= 0 and tail[last + 5 : last + 6] and tail[last + 5] & 4
            promised = size if ended else size + 1
        else:
            promised = size
    if promised > size:
        raise Refusal(f"{path} is truncated: it ends after {size} bytes and before its sound does, fetch it again")


def _end_of_wav(file: BinaryIO, size: int) -> int:
    """Where the samples of a RIFF file end, by its chunks."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return position + 8 + length if length < UNKNOWN_SIZE else size
        position += 8 + length + length % 2
    return position
