"""Spectrogram files: a NumPy archive or a grey picture, either with the convention it was made by written into it.

A picture has one pixel a place in 16 bits, high frequencies at the top: it can be looked at, painted on, and turned
back into sound. Of a file from elsewhere the convention is not known and must be given.
"""

import io
import json
import math
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.config import to_dataclass
from specjax.cli.errors import UserError
from specjax.data.readers import check_regular_file
from specjax.signal.presets import SCALES, Preset

SUFFIXES = (".npz", ".png")
CHUNK = "specjax"
MAX_BYTES = 2**28
MAX_PLACES = 2**25  # ten minutes of the preset `picture`
MAX_SAMPLES = 2**28
_TOP = 65535
# Steps of 1/65535 of the range are fine enough for levels on a logarithmic scale alone.
_IN_PICTURES = ("log_power", "log1p", "peak_db")


class Saved(NamedTuple):
    """A spectrogram, the convention it follows, and the length of the wave it was made of, where that is known.

    `peak` is the greatest magnitude of a spectrogram whose scale leaves out how loud it was, where that is known.
    """

    values: Float[np.ndarray, "rows frames"]
    preset: Preset
    samples: int | None
    peak: float | None = None


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
      UserError: its scale is linear, of which 16 bits hold the loud alone.
    """
    from PIL import Image, PngImagePlugin

    if saved.preset.scale not in _IN_PICTURES:
        raise UserError(f"a picture cannot hold levels of scale {saved.preset.scale!r}: write a .npz")
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
      UserError: not a readable regular file of a known kind, or too large; a convention that is neither in the file nor
        given, or both and different; another number of rows than the convention has; values that no sound has.
    """
    check_regular_file(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no spectrogram by its name: expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes: a spectrogram here has at most {MAX_BYTES}")
    values, about = _of_npz(path) if suffix == ".npz" else _of_png(path)
    found = _preset(path, about, preset)
    if suffix == ".png":
        values = _levels(path, values, about, found)
    with np.errstate(over="ignore"):  # what float32 does not hold is refused below
        values = np.ascontiguousarray(values, np.float32)
    _check_values(path, values, found)
    samples, frames = about.get("samples"), values.shape[1]
    longest = found.transform.samples(frames) + found.frames_multiple * found.transform.hop_length
    if longest > MAX_SAMPLES:
        raise UserError(f"{path} is of up to {longest} samples, more than {MAX_SAMPLES}: cut it")
    counts = range(frames, frames + found.frames_multiple)  # up to a multiple, frames were left out
    if samples is not None and not (
        type(samples) is int and 0 < samples <= longest and any(found.transform.has_frames(samples, n) for n in counts)
    ):
        raise UserError(f"{path} says it is of {samples!r} samples, which {frames} frames cannot be")
    peak = None if about.get("peak") is None else _number(path, about, "peak")
    if peak is not None and peak <= 0:
        raise UserError(f"{path} says peak={peak}, expected a number above 0")
    return Saved(values, found, samples, peak)


def _levels(path: Path, greys: np.ndarray, about: dict[str, Any], preset: Preset) -> np.ndarray:
    """Values of a picture's greys, lowest row first unless the convention says otherwise."""
    if "low" in about:
        low, high = (_number(path, about, name) for name in ("low", "high"))
        greys = low + greys * (high - low)
    elif preset.scale != "peak_db":
        raise UserError(
            f"{path} does not say which levels its greys are: of {preset.scale!r} only a .npz is understood"
        )
    return greys if preset.top_first else greys[::-1]


def _check_values(path: Path, values: Float[np.ndarray, "..."], preset: Preset) -> None:
    rows = preset.mel.n_mels if preset.mel else preset.transform.bins
    if values.ndim != 2 or values.shape[0] != rows or not values.shape[1]:
        raise UserError(f"{path} is of shape {values.shape}, expected {rows} rows of frames as its convention has them")
    if values.shape[1] % preset.frames_multiple:
        raise UserError(f"{path} has {values.shape[1]} frames, of its convention {preset.frames_multiple} at a time")
    if bad := int(np.sum(~np.isfinite(values))):
        raise UserError(f"{path}: {bad} values are not finite numbers")
    if values.max() > (most := SCALES[preset.scale].most):
        raise UserError(f"{path}: values up to {values.max():.3g}, of {preset.scale!r} at most {most:g} are expected")


def _about(saved: Saved, **more: float) -> str:
    return json.dumps({"preset": asdict(saved.preset), "samples": saved.samples, "peak": saved.peak, **more})


def _of_npz(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
            if (claimed := sum(sizes.values())) > 8 * MAX_PLACES:
                raise UserError(f"{path} unpacks to {claimed} bytes: a spectrogram here has at most {8 * MAX_PLACES}")
            name = "values" if "values" in sizes or len(sizes) != 1 else next(iter(sizes))
            if name not in sizes:
                several = ", ".join(list(sizes)[:5]) or "nothing"
                raise UserError(f"{path} holds {several}: expected an array named values")
            values = _array(path, archive, name, "iuf")
            about = _parsed(path, str(_array(path, archive, "about", "U"))) if "about" in sizes else {}
    except UserError:
        raise
    except Exception as error:  # whatever parsers come upon in the bytes of strangers
        raise UserError(f"{path} is not a readable archive of arrays ({error})") from error
    return values, about


def _array(path: Path, archive: zipfile.ZipFile, name: str, kinds: str) -> np.ndarray:
    """An array of one of the kinds, in NumPy's letters; its header is held against the size of its member."""
    size = archive.getinfo(f"{name}.npy").file_size
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
        claimed = math.prod(shape) * dtype.itemsize
        if dtype.kind not in kinds or claimed > size:
            raise UserError(f"{path}: {name} is an array of {shape} {dtype} in {size} bytes, expected numbers")
        content = np.frombuffer(file.read(claimed), dtype)
    return content.reshape(shape, order="F" if fortran else "C")


def _of_png(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Greys in [0, 1]."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened as picture:
            if picture.size[0] * picture.size[1] > MAX_PLACES:
                raise UserError(f"{path} has {picture.size[0]} x {picture.size[1]} pixels: too many for a spectrogram")
            picture.load()  # editors may write what is said of a picture after its pixels
            text = picture.info.get(CHUNK)
            if picture.mode.startswith("I"):
                return np.asarray(picture, np.float32) / _TOP, _told(path, text)
            bands = np.asarray(picture.convert("RGB"), np.float32)
    except UserError:
        raise
    except Exception as error:  # whatever parsers come upon in the bytes of strangers
        raise UserError(f"{path} is not a readable picture ({error})") from error
    if np.any(bands != bands[..., :1]):
        raise UserError(
            f"{path} is in colours, as plots with axes are, and not in greys: greys are levels, colours are not"
        )
    return bands[..., 0] / 255, _told(path, text)


def _told(path: Path, text: Any) -> dict[str, Any]:
    return {} if text is None else _parsed(path, str(text))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: what it says of how it was made is damaged ({error})") from error
    if not isinstance(about, dict) or not isinstance(about.get("preset"), dict):
        raise UserError(f"{path} does not say by which preset it was made: it is damaged")
    return about


def _preset(path: Path, about: dict[str, Any], given: Preset | None) -> Preset:
    if not about:
        if given is None:
            raise UserError(f"{path} does not say how it was made: name its convention with --preset")
        return given
    found = to_dataclass(Preset, about["preset"], f"{path}: preset")
    if given is not None and given != found:
        raise UserError(f"{path} was made by another convention than --preset: leave --preset away")
    return found


def _number(path: Path, about: dict[str, Any], name: str) -> float:
    value = about.get(name)
    if not isinstance(value, int | float) or not abs(value) < 1e6:
        raise UserError(f"{path} says {name}={value!r}, expected a number")
    return float(value)
