"""Sets of sound files as waves of equal length."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.errors import UserError
from specjax.data.audio import MAX_SAMPLES, SUFFIXES, fit_length, read_audio
from specjax.data.readers import check_folder

MAX_FILES = 1_000_000

_log = logging.getLogger("specjax")


class Skipped(NamedTuple):
    """A file that was skipped, and the error message."""

    path: Path
    reason: str


class Clips(NamedTuple):
    """Waves of equal length, their files in the same order, and the files that were skipped."""

    waves: Float[np.ndarray, "clips samples"]
    paths: list[Path]
    skipped: list[Skipped]


def read_clips(
    paths: Sequence[Path],
    sample_rate: int,
    samples: int,
    *,
    short: Literal["pad", "repeat", "error"] = "error",
    max_bad_share: float = 0.0,
) -> Clips:
    """Read sound files as waves of equal length; bad files are skipped with a warning.

    Args:
      paths: files to read.
      sample_rate: sample rate of the waves, in Hz.
      samples: length of each wave.
      short: what to do with files that are too short, see `fit_length`; with `error` they count as bad.
      max_bad_share: largest share of bad files to accept, 0 to 1.

    Raises:
      UserError: there are no files, or no good ones; the waves have more than `MAX_SAMPLES` samples in total; the share
        of bad files exceeds `max_bad_share` (the message gives the first fault).
    """
    if not paths:
        raise UserError("no sound files to read, expected at least one: name some")
    if len(paths) * samples > MAX_SAMPLES:
        raise UserError(
            f"{len(paths)} clips of {samples} samples, expected at most {MAX_SAMPLES} samples in total: use fewer clips"
        )
    waves = np.empty((len(paths), samples), np.float32)
    kept: list[Path] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            wave, _ = read_audio(path, sample_rate)
            waves[len(kept)] = fit_length(wave, samples, short=short)
            kept.append(path)
        except UserError as error:
            skipped.append(Skipped(path, str(error)))
            if len(skipped) > max_bad_share * len(paths):
                raise UserError(
                    f"{len(skipped)} of {len(paths)} sound files are bad, more than a share of {max_bad_share:g}; "
                    f"the first: {skipped[0].reason}"
                ) from error
    if not kept:
        raise UserError(f"none of {len(paths)} sound files can be used; the first: {skipped[0].reason}")
    for file in skipped:
        _log.warning("skipped: %s", file.reason)
    return Clips(waves[: len(kept)], kept, skipped)


def audio_files(folder: Path) -> list[Path]:
    """List the sound files in a folder and its subfolders, sorted by path; symbolic links to folders are not followed.

    Raises:
      UserError: the folder or a subfolder is not readable; there are no sound files, or more than `MAX_FILES`.
    """
    check_folder(folder, "sound files")
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_raise_user_error, followlinks=False):
        folders.sort()
        paths += [Path(parent, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
        if len(paths) > MAX_FILES:
            raise UserError(f"{folder} contains more than {MAX_FILES} sound files: name a smaller folder")
    if not paths:
        raise UserError(
            f"{folder} contains no sound files, expected names that end in {', '.join(SUFFIXES)}: name another folder"
        )
    return sorted(paths)


def _raise_user_error(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror}): change its permissions") from error
