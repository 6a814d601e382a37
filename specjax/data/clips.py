"""Many sound files as waves of one length."""

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
      UserError: no files, or none that is good; more than `MAX_SAMPLES` in all; more bad files than `max_bad_share`,
        naming the first.
    """
    if not paths:
        raise UserError("there are no sound files to read")
    if len(paths) * samples > MAX_SAMPLES:
        raise UserError(f"{len(paths)} clips of {samples} samples are more than {MAX_SAMPLES} samples: choose fewer")
    waves = np.empty((len(paths), samples), np.float32)
    kept: list[Path] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            wave, _ = read_audio(path, sample_rate)
            waves[len(kept)] = fit_length(wave, samples, short=short)
            kept.append(path)
        except UserError as refusal:
            skipped.append(Skipped(path, str(refusal)))
            if len(skipped) > max_bad_share * len(paths):
                raise UserError(
                    f"{len(skipped)} of {len(paths)} sound files are bad, more than a share of {max_bad_share:g}; "
                    f"the first: {skipped[0].reason}"
                ) from refusal
    if not kept:
        raise UserError(f"none of {len(paths)} sound files can be used; the first: {skipped[0].reason}")
    for each in skipped:
        _log.warning("left out: %s", each.reason)
    return Clips(waves[: len(kept)], kept, skipped)


def audio_files(folder: Path) -> list[Path]:
    """Sound files in a folder and the folders in it, in order of their names. Linked folders are not entered.

    Raises:
      UserError: not a readable folder, or one in it is not; none in it; more than `MAX_FILES`.
    """
    check_folder(folder, "sound files")
    found = []
    for inside, folders, names in os.walk(folder, onerror=_refuse, followlinks=False):
        folders.sort()
        found += [Path(inside, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
        if len(found) > MAX_FILES:
            raise UserError(f"{folder} holds more than {MAX_FILES} sound files: name a smaller folder")
    if not found:
        raise UserError(f"{folder} holds no sound files: expected names that end in {', '.join(SUFFIXES)}")
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error
