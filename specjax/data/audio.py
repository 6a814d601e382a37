"""Sound file reader with validation.

Waves are float32, with samples in about [-1, 1]. `read_audio` mixes all channels to one. `read_channels` and
`channel_blocks` keep one or two channels, and mix more than two to one. Before any memory is allocated for the samples,
the reader checks the file size and what the header declares: sample rate, number of channels, and length before and
after resampling. A file that fails a check raises `UserError`.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.containers import SUFFIXES_BY_FORMAT, aiff_length, check_whole, mp3_length
from specjax.data.readers import check_expansion, check_regular_file

if TYPE_CHECKING:
    from soundfile import SoundFile

SUFFIXES = tuple(dict.fromkeys(suffix for suffixes in SUFFIXES_BY_FORMAT.values() for suffix in suffixes))
MAX_BYTES = 2**31
MAX_SAMPLES = 2**28  # 1 GiB of float32. The limit holds for one wave, and for the sum over the channels of a file.
MAX_CHANNELS = 32
STEREO = 2  # largest number of channels that are kept; more are mixed to one
MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 768_000
# Samples of float files may exceed 1 by some decibels. Much larger samples are integers that nobody scaled to [-1, 1].
MAX_LEVEL = 8.0
_BLOCK = 2**18
UNKNOWN_FRAMES = 2**62  # At least this many frames mean that the file does not state its length.
# Channels cancel each other if the peak of their mean is below this fraction of the largest peak of a channel. What
# remains is rounding error.
_CANCELLED = 1e-3
# Largest number of samples that encoder, decoder and the frame of the Xing/Info header add to the sound of an mp3 file.
_MP3_DELAY = 4 * 1152

_log = logging.getLogger("specjax")


def read_audio(
    path: str | Path, sample_rate: int | None = None, *, max_duration_s: float = 600.0
) -> tuple[Float[np.ndarray, " samples"], int]:
    """Read a sound file as a mono wave, the mean of its channels.

    The file must pass these checks:

    - It is a regular file, readable and complete, of at most 2 GiB.
    - It has 1 to 32 channels and lasts at most `max_duration_s`.
    - It has 1 to 2^28 samples, summed over the channels. The resampled wave has at most 2^28 samples.
    - Its sample rate is between 1 kHz and 768 kHz, and so is `sample_rate`.
    - All samples are finite and between -8 and 8.
    - The wave is not constant (silence, for example), and the channels do not cancel each other.

    Args:
      path: file to read: wav, aiff, flac, ogg, opus, mp3 or au. The suffix must match the content.
      sample_rate: sample rate in Hz to resample to; None keeps that of the file.
      max_duration_s: longest duration to accept, in seconds.

    Returns:
      The wave and its sample rate in Hz.

    Raises:
      UserError: the file has another format, or a check fails.
    """
    waves, rate = _read(path, sample_rate, max_duration_s, max_channels=1)
    return waves[0], rate


def read_channels(
    path: str | Path, sample_rate: int | None = None, *, max_duration_s: float = 600.0
) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Read a sound file as one wave if it is mono, and as two if it is stereo.

    The checks and arguments are those of `read_audio`. Channels that cancel each other are accepted, because they are
    not mixed. More than two channels are mixed to one, and a warning is logged.

    Returns:
      The waves, the left channel first, and their sample rate in Hz.

    Raises:
      UserError: the file has another format, or a check fails.
    """
    return _read(path, sample_rate, max_duration_s, max_channels=STEREO)


class Blocks(NamedTuple):
    """Sound file that is being read in blocks.

    Attributes:
      sample_rate: sample rate of the file in Hz.
      channels: number of channels of a block, 1 or 2.
      blocks: iterator over the blocks, float32 arrays of shape (channels, samples).
    """

    sample_rate: int
    channels: int
    blocks: Iterator[Float[np.ndarray, "channels samples"]]


def channel_blocks(path: str | Path, block: int, *, max_duration_s: float = 86_400.0) -> Blocks:
    """Open a sound file to read it in blocks, for streaming. Channels are kept as in `read_channels`.

    This function checks the file before it returns:

    - The file is a regular file, readable and complete, of at most 2 GiB.
    - It is not empty, has at most 32 channels, and lasts at most `max_duration_s`.
    - The sample rate is between 1 kHz and 768 kHz.

    The iterator checks the samples while it reads them:

    - All samples are finite and between -8 and 8.
    - At the end of the file: no samples are missing, the sound is not constant (silence, for example), and channels
      that are mixed do not cancel each other.

    Args:
      path: file to read: wav, aiff, flac, ogg, opus, mp3 or au. The suffix must match the content.
      block: number of samples per block and channel; the last block may be shorter.
      max_duration_s: longest duration to accept, in seconds.

    Raises:
      UserError: the file has another format, or a check fails here or in the iterator.
    """
    path = local_path(path, kind="file")
    stack = ExitStack()
    file, min_samples = stack.enter_context(_open_checked(path, None, max_duration_s))

    def blocks() -> Iterator[np.ndarray]:
        with stack:
            max_samples = int(max_duration_s * file.samplerate)
            yield from _iterate_blocks(path, file, block, min_samples, max_samples, STEREO)

    return Blocks(file.samplerate, _kept_channels(file, STEREO), blocks())


def resample(
    wave: Float[np.ndarray, "*channels samples"], sample_rate: int, target_rate: int
) -> Float[np.ndarray, "*channels resampled"]:
    """Resample a wave from `sample_rate` to `target_rate` (in Hz) with the SoX resampler at quality `HQ`."""
    import soxr

    return np.ascontiguousarray(soxr.resample(wave.T, sample_rate, target_rate, quality="HQ").T)


def fit_length(
    wave: Float[np.ndarray, " any"], samples: int, *, short: Literal["pad", "repeat", "error"] = "error"
) -> Float[np.ndarray, " samples"]:
    """Cut or extend a wave at its end to a length of `samples` samples.

    Args:
      wave: wave to cut or extend.
      samples: length of the result.
      short: how to extend a wave that is shorter: `pad` appends zeros, `repeat` repeats the wave, and `error` raises.

    Raises:
      UserError: the wave is empty, or it is shorter than `samples` and `short` is `error`.
    """
    if not len(wave) or (len(wave) < samples and short == "error"):
        raise UserError(
            f"clip of {len(wave)} samples, expected at least {samples}: use longer clips, or pad or repeat short ones"
        )
    if short == "repeat":
        return np.resize(wave, samples)
    return np.pad(wave[:samples], (0, max(samples - len(wave), 0)))


def _read(
    path: str | Path, sample_rate: int | None, max_duration_s: float, max_channels: int
) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Read a sound file, see `read_audio`. Files with more than `max_channels` channels are mixed to mono."""
    path = local_path(path, kind="file")
    with _open_checked(path, sample_rate, max_duration_s) as (file, min_samples):
        rate = file.samplerate
        resampled = min_samples / rate * (sample_rate or rate) * _kept_channels(file, max_channels)
        if max(min_samples * file.channels, resampled) > MAX_SAMPLES:
            raise UserError(
                f"{path}: {min_samples} samples in {file.channels} channels, expected at most {MAX_SAMPLES} in total, "
                f"before and after resampling: cut the file"
            )
        max_samples = min(int(max_duration_s * rate), MAX_SAMPLES // file.channels)
        blocks = _iterate_blocks(path, file, _BLOCK, min_samples, max_samples, max_channels)
        waves = np.concatenate(list(blocks), axis=1)
    if sample_rate is None or sample_rate == rate:
        return waves, rate
    return resample(waves, rate, sample_rate), sample_rate


@contextmanager
def _open_checked(path: Path, target_rate: int | None, max_duration_s: float) -> Iterator[tuple["SoundFile", int]]:
    """Open a sound file, and check its format and its header, before any samples are read.

    The checks are:

    - The file is a regular file, readable and complete, of at most 2 GiB.
    - The format is wav, aiff, flac, ogg, opus, mp3 or au, and the suffix matches it.
    - The file is not empty, has at most 32 channels, and lasts at most `max_duration_s`.
    - The sample rate of the file and `target_rate` are between 1 kHz and 768 kHz.

    Args:
      path: file to open.
      target_rate: sample rate in Hz that the wave will be resampled to; None for no resampling.
      max_duration_s: longest duration to accept, in seconds.

    Yields:
      The open file, and the minimum number of samples per channel that decoding must give. A file with fewer is
      truncated.

    Raises:
      UserError: a check fails.
    """
    import soundfile

    check_regular_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} does not have the suffix of a sound file, expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, expected at most {MAX_BYTES}: cut the file")

    class Sequential(soundfile.SoundFile):
        """Sound file that `soundfile` reads from start to end without seeking.

        `soundfile` would otherwise seek after every block, which breaks the decoding of mp3.
        """

        def seekable(self) -> bool:
            return False

    try:
        kind = check_whole(path)
        if path.suffix.lower() not in SUFFIXES_BY_FORMAT[kind]:
            raise UserError(f"{path} has {kind} content, expected {path.suffix}: rename it to end in .{kind}")
        with Sequential(path) as file:
            _check_claims(path, file, file.samplerate if target_rate is None else target_rate, max_duration_s)
            min_samples = file.frames if file.frames < UNKNOWN_FRAMES else 1
            if kind == "flac":
                check_expansion(path, min_samples * file.channels * 4)
            if kind == "aiff" and (declared := aiff_length(path)) > file.frames:
                raise UserError(
                    f"{path} is truncated: {file.frames} samples, expected the {declared} that its header declares: "
                    f"get the file again"
                )
            if kind == "mp3":
                samples, stated = mp3_length(path)
                if samples > file.frames + _MP3_DELAY:
                    raise UserError(
                        f"{path} has {samples} samples, expected {file.frames}: its length header is missing or wrong, "
                        f"or several files were joined: encode it again"
                    )
                min_samples = file.frames if stated else max(samples - _MP3_DELAY, 1)
            yield file, min_samples
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path} is not a readable sound file ({error})") from error


def _check_claims(path: Path, file: "SoundFile", target_rate: int, max_duration_s: float) -> None:
    rate, frames, channels = file.samplerate, file.frames, file.channels
    for what, value in (("sample rate of the file is", rate), ("requested sample rate is", target_rate)):
        if not MIN_SAMPLE_RATE <= value <= MAX_SAMPLE_RATE:
            raise UserError(f"{path}: {what} {value} Hz, expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"{path} has {channels} channels, expected 1 to {MAX_CHANNELS}: mix them down")
    if frames < 1:
        raise UserError(f"{path} contains no samples: use a file with sound")
    if max_duration_s * rate < frames < UNKNOWN_FRAMES:
        raise UserError(f"{path} lasts {frames / rate:.0f} s, expected at most {max_duration_s:g} s: cut the file")


def _kept_channels(file: "SoundFile", max_channels: int) -> int:
    """Return the number of channels after files with more than `max_channels` channels are mixed to mono."""
    return file.channels if file.channels <= max_channels else 1


def _iterate_blocks(
    path: Path, file: "SoundFile", block: int, min_samples: int, max_samples: int, max_channels: int
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """Iterate over a sound file in blocks.

    Args:
      path: path of the file, for error messages.
      file: open file.
      block: number of samples per block and channel; the last block may be shorter.
      min_samples: number of samples per channel that a complete file has at least.
      max_samples: number of samples per channel to accept. A file may have more than it states, or state nothing.
      max_channels: if the file has more channels, the blocks are the mean of its channels.

    Raises:
      UserError: a sample is infinite, NaN or outside [-8, 8], or there are too many samples. At the end of the file: it
        had fewer than `min_samples` samples per channel, all channels are constant, or the channels cancel each other
        in their mean.
    """
    kept = _kept_channels(file, max_channels)
    if 1 < max_channels < file.channels:
        _log.warning("%s has %d channels, mixed to one: only mono and stereo are kept", path, file.channels)
    read, peak = 0, 0.0
    low, high = np.full(kept, np.inf), np.full(kept, -np.inf)
    while len(samples := file.read(block, dtype="float32", always_2d=True)):
        read += len(samples)
        if read > max_samples:
            limit_s = max_samples / file.samplerate
            raise UserError(f"{path} is longer than the limit of {limit_s:g} s: cut the file")
        if bad := int(np.sum(~np.isfinite(samples))):
            raise UserError(f"{path}: {bad} samples are not finite, expected finite numbers: export the file again")
        peak = max(peak, float(np.abs(samples).max()))
        if peak > MAX_LEVEL:
            raise UserError(
                f"{path}: samples from {samples.min():.3g} to {samples.max():.3g}, expected about -1 to 1: scale them"
            )
        waves = np.ascontiguousarray(samples.T) if kept == file.channels else samples.mean(axis=1)[None]
        low, high = np.minimum(low, waves.min(axis=1)), np.maximum(high, waves.max(axis=1))
        yield waves
    if kept < file.channels and max(high.max(), -low.min()) < _CANCELLED * peak:
        raise UserError(f"{path}: the channels cancel each other in the mono mix: keep only one of them")
    if read < min_samples:
        raise UserError(f"{path} is truncated: {read} samples, expected {min_samples}: get the file again")
    if np.all(low == high):
        level = "silent" if np.all(low == 0) else f"constant at {low.max():.3g}"
        raise UserError(f"{path} is {level} throughout: use a file with sound")
