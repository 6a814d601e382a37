"""Reading of many sound files into one array of waves of equal length."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.cli.paths import local_path
from specjax.data.audio import SUFFIXES, fit_length, read_audio
from specjax.data.readers import files_with_suffix
from specjax.data.skipping import SkippedFiles, log_progress

# Waves may take this fraction of the memory that is available. The rest is for the copy of them on the device, and for
# the training.
MEMORY_SHARE = 0.5
_LARGE_BYTES = 2**28  # Sets above this size are logged.

_log = logging.getLogger("specjax")


class Skipped(NamedTuple):
    """File that was skipped, and the error message that says why."""

    path: Path
    reason: str


class Clips(NamedTuple):
    """Waves of equal length that were read from sound files.

    Attributes:
      waves: mono waves, one for each file that could be read.
      paths: file of each wave.
      skipped: files that could not be used, with the reasons.
    """

    waves: Float[np.ndarray, "clips samples"]
    paths: list[Path]
    skipped: list[Skipped]


def read_clips(
    paths: Sequence[str | Path],
    sample_rate: int,
    samples: int,
    *,
    short: Literal["pad", "repeat", "error"] = "error",
    max_bad_share: float = 0.0,
) -> Clips:
    """Read sound files as mono waves of equal length.

    The waves are held in memory as float32. Sets of more than 256 MiB log how much memory they take.

    A file is bad if it is not a valid sound file (for example truncated or silent), if it is longer than 600 s,
    or if it is too short and `short` is `error`. Bad files are skipped and logged as warnings, unless their fraction of
    all files exceeds `max_bad_share`.

    Args:
      paths: files to read.
      sample_rate: sample rate in Hz that all waves are resampled to.
      samples: length of each wave in samples; longer sounds are cut at the end.
      short: treatment of sounds that are shorter: `pad` appends zeros, `repeat` repeats the sound, and `error` makes
        the file bad.
      max_bad_share: largest fraction of bad files to accept, 0 to 1.

    Raises:
      UserError: `paths` is empty; all files are bad; the fraction of bad files exceeds `max_bad_share` (the message
        includes the error of the first bad file); the waves need more than half of the available memory.
    """
    if not paths:
        raise UserError("no sound files to read, expected at least one: name some")
    check_memory(
        len(paths) * samples * np.dtype(np.float32).itemsize,
        f"{len(paths)} clips of {samples / sample_rate:.1f} s at {sample_rate} Hz",
        "use shorter clips, a lower sample rate or fewer files",
    )
    waves = np.empty((len(paths), samples), np.float32)
    kept: list[Path] = []
    skipped = SkippedFiles(len(paths), "sound files", max_bad_share)
    files = [local_path(path, kind="file") for path in paths]
    for i, path in enumerate(log_progress(files, len(files), "sound files read")):
        try:
            wave, _ = read_audio(path, sample_rate)
            waves[len(kept)] = fit_length(wave, samples, short=short)
            kept.append(path)
        except UserError as error:
            skipped.add(i, error)
    skipped.report()
    return Clips(waves[: len(kept)], kept, [Skipped(files[i], reason) for i, reason in skipped.reasons.items()])


def check_memory(needed: int, content: str, remedy: str) -> None:
    """Check that arrays fit in the memory that is available now. Log the memory of large ones.

    Args:
      needed: size of the arrays in bytes.
      content: what they contain, a plural, for messages.
      remedy: what the user can do if they do not fit.

    Raises:
      UserError: they need more than a fraction `MEMORY_SHARE` of the available memory.
    """
    import psutil

    available = psutil.virtual_memory().available
    if needed > MEMORY_SHARE * available:
        raise UserError(
            f"{content} need {needed / 2**30:.2f} GiB of memory, expected at most {MEMORY_SHARE:.0%} of the "
            f"{available / 2**30:.2f} GiB available: {remedy}"
        )
    if needed > _LARGE_BYTES:
        _log.info("%s take %.2f of %.2f GiB of memory", content, needed / 2**30, available / 2**30)


def audio_files(folder: Path) -> list[Path]:
    """List the sound files in a folder and all its subfolders, sorted by path.

    Sound files are recognized by the suffix, one of `specjax.data.audio.SUFFIXES` in upper or lower case. Symbolic
    links to folders are not followed.

    Raises:
      UserError: the folder or a subfolder is not readable; there are no sound files, or more than a million.
    """
    return files_with_suffix(folder, SUFFIXES, "sound files")
