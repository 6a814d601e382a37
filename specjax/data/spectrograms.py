"""Spectrogram files: a NumPy archive or a grey picture, either with the convention it was made by written into it.

A picture has one pixel a place in 16 bits, high frequencies at the top: it can be looked at, painted on, and turned
back into sound. Of a file from elsewhere the convention is not known and must be given.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.config import to_dataclass
from specjax.data.gate import check_regular_file
from specjax.errors import Refusal
from specjax.signal.presets import Preset

SUFFIXES = (".npz", ".png")
CHUNK = "specjax"
MAX_BYTES = 2**28
MAX_PLACES = 2**27
_TOP = 65535
# Steps of 1/65535 of the range are fine enough for levels on a logarithmic scale alone.
_IN_PICTURES = ("log_power", "log1p", "peak_db")


class Saved(NamedTuple):
    """A spectrogram, the convention it follows, and the length of the wave it was made of, where that is known."""

    values: Float[np.ndarray, "rows frames"]
    preset: Preset
    samples: int | None


def npz(saved: Saved) -> bytes:
    """The spectrogram as a NumPy archive."""
    return archive({"values": saved.values, "about": np.array(_about(saved))})


def archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as a NumPy archive."""
    encoded = io.BytesIO()
    np.savez_compressed(encoded, allow_pickle=False, **arrays)
    return encoded.getvalue()


def png(saved: Saved) -> bytes:
    """The spectrogram as a grey picture of 16 bits.

    Raises:
      Refusal: its scale is linear, of which 16 bits hold the loud alone.
    """
    from PIL import Image, PngImagePlugin

    if saved.preset.scale not in _IN_PICTURES:
        raise Refusal(f"a picture cannot hold levels of scale {saved.preset.scale!r}: write a .npz")
    low, high = float(saved.values.min()), float(saved.values.max())
    span = high - low or 1.0
    grey = np.round((saved.values - low) / span * _TOP).astype(np.uint16)
    text = PngImagePlugin.PngInfo()
    text.add_text(CHUNK, _about(saved, low=low, high=low + span))
    encoded = io.BytesIO()
    Image.fromarray(grey if saved.preset.top_first else grey[::-1]).save(encoded, "PNG", pnginfo=text)
    return encoded.getvalue()


def read(path: Path, preset: Preset | None = None) -> Saved:
    """Spectrogram of a file; `preset` is the convention of one that does not say its own.

    Raises:
      Refusal: not a readable regular file of a known kind, or too large; a convention that is neither in the file nor
        given, or both and different; another number of rows than the convention has; values that are not finite.
    """
    check_regular_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise Refusal(f"{path} is no spectrogram by its name: expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise Refusal(f"{path} has {path.stat().st_size} bytes: a spectrogram here has at most {MAX_BYTES}")
    values, about = _of_npz(path) if path.suffix.lower() == ".npz" else _of_png(path)
    found = _preset(path, about, preset)
    if "low" in about:
        low, high = (_number(path, about, name) for name in ("low", "high"))
        values = low + values * (high - low)
    elif path.suffix.lower() == ".png" and found.scale != "peak_db":
        raise Refusal(f"{path} does not say which levels its greys are: of {found.scale!r} only a .npz is understood")
    if path.suffix.lower() == ".png" and not found.top_first:
        values = values[::-1]
    rows = found.mel.n_mels if found.mel else found.transform.bins
    if values.ndim != 2 or values.shape[0] != rows or not values.shape[1]:
        raise Refusal(f"{path} is of shape {values.shape}, expected {rows} rows of frames as its convention has them")
    if not np.all(np.isfinite(values)):
        raise Refusal(f"{path}: {int(np.sum(~np.isfinite(values)))} values are not finite numbers")
    samples = about.get("samples")
    longest = found.transform.samples(values.shape[1]) + found.frames_multiple * found.transform.hop_length
    if samples is not None and not (isinstance(samples, int) and 0 < samples <= longest):
        raise Refusal(f"{path} says it is of {samples!r} samples, which {values.shape[1]} frames cannot be")
    return Saved(np.ascontiguousarray(values, np.float32), found, samples)


def _about(saved: Saved, **more: float) -> str:
    return json.dumps({"preset": asdict(saved.preset), "samples": saved.samples, **more})


def _of_npz(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
            if claimed > 8 * MAX_PLACES:
                raise Refusal(f"{path} unpacks to {claimed} bytes: a spectrogram here has at most {8 * MAX_PLACES}")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if "values" not in arrays.files and len(arrays.files) != 1:
                raise Refusal(f"{path} holds {', '.join(arrays.files) or 'nothing'}: expected an array named values")
            values = arrays["values" if "values" in arrays.files else arrays.files[0]]
            about = _parsed(path, str(arrays["about"])) if "about" in arrays.files else {}
    # No archive; damaged inside; unreadable; no arrays, or of objects; cut short; encrypted, or packed unknowably.
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError) as error:
        raise Refusal(f"{path} is not a readable archive of arrays ({error})") from error
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise Refusal(f"{path} holds values of type {values.dtype}, expected numbers")
    return values, about


def _of_png(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Greys in [0, 1]."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.size[0] * picture.size[1] > MAX_PLACES:
                raise Refusal(f"{path} has {picture.size[0]} x {picture.size[1]} pixels: too many for a spectrogram")
            text = getattr(picture, "text", {}).get(CHUNK)
            if picture.mode.startswith("I"):
                values = np.asarray(picture, np.float32) / _TOP
            else:
                values = np.asarray(picture.convert("L"), np.float32) / 255
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise Refusal(f"{path} is not a readable picture ({error})") from error
    return values, {} if text is None else _parsed(path, text)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{path}: what it says of how it was made is damaged ({error})") from error
    if not isinstance(about, dict) or not isinstance(about.get("preset"), dict):
        raise Refusal(f"{path} does not say by which preset it was made: it is damaged")
    return about


def _preset(path: Path, about: dict[str, Any], given: Preset | None) -> Preset:
    if not about:
        if given is None:
            raise Refusal(f"{path} does not say how it was made: name its convention with --preset")
        return given
    found = to_dataclass(Preset, about["preset"], f"{path}: preset")
    if given is not None and given != found:
        raise Refusal(f"{path} was made by another convention than --preset: leave --preset away")
    return found


def _number(path: Path, about: dict[str, Any], name: str) -> float:
    value = about.get(name)
    if not isinstance(value, int | float) or not abs(value) < 1e6:
        raise Refusal(f"{path} says {name}={value!r}, expected a number")
    return float(value)
