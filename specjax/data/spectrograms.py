"""Spectrogram files: NumPy archives (.npz) or gray images (.png).

A file stores as metadata the preset that the spectrogram was computed with: transform, mel filters and scale. For a
file without metadata, the caller must give the preset. An image has one 16-bit pixel per spectrogram value, with high
frequencies at the top. Images can be edited, read again and converted to sound.

A file holds one channel (mono) or two (stereo, left before right). In an archive, the values of a mono sound have the
shape (rows, frames), and those of a stereo sound (2, rows, frames). In a stereo image, the left channel is above the
right one, and the metadata states that there are two. An image without metadata is mono.
"""

import io
import json
import logging
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from specjax.cli.config import to_dataclass
from specjax.cli.errors import UserError
from specjax.data.readers import check_expansion, check_regular_file, open_picture
from specjax.signal.presets import PRESETS, SCALES, Preset

SUFFIXES = (".npz", ".png")
CHUNK = "specjax"
MAX_BYTES = 2**28
MAX_VALUES = 2**26  # About ten minutes of stereo sound with the preset `picture`.
MAX_CHANNELS = 2
MAX_SAMPLES = 2**28
_MAX_GRAY = 65535
# The 16 bits of an image resolve quiet sounds only on a logarithmic scale.
_IMAGE_SCALES = ("log_power", "log1p", "peak_db")

_log = logging.getLogger("specjax")


class Saved(NamedTuple):
    """Spectrogram with the metadata that is stored in its file.

    Attributes:
      values: spectrogram values of one or two channels, left before right. `preset.scale` says what they are, such as
        power or a level in dB.
      preset: parameters that the spectrogram was computed with: Fourier transform, mel filters and scale.
      samples: length in samples of the wave that the spectrogram was computed from; None if unknown.
      peak: largest magnitude in all channels of the spectrogram; None if unknown. The scale `peak_db` needs the peak to
        restore absolute magnitudes.
    """

    values: Float[np.ndarray, "channels rows frames"]
    preset: Preset
    samples: int | None
    peak: float | None = None


def npz(saved: Saved) -> bytes:
    """Encode a spectrogram and its metadata as the content of a compressed NumPy archive (.npz)."""
    values = saved.values[0] if len(saved.values) == 1 else saved.values
    return archive({"values": values, "about": np.array(_encode_metadata(saved))})


def archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Encode arrays by name as the content of a compressed NumPy archive (.npz)."""
    encoded = io.BytesIO()
    np.savez_compressed(encoded, allow_pickle=False, **arrays)
    return encoded.getvalue()


def png(saved: Saved) -> bytes:
    """Encode a spectrogram and its metadata as the content of a 16-bit gray PNG image.

    Low frequencies are at the bottom of each channel, and the left channel is above the right one. The smallest value
    becomes black and the largest white; both values are stored in the metadata.

    Raises:
      UserError: the values are magnitudes or powers. Only values on a logarithmic scale are accepted, because quiet
        parts would otherwise be black.
    """
    from PIL import Image, PngImagePlugin

    if saved.preset.scale not in _IMAGE_SCALES:
        raise UserError(
            f"scale {saved.preset.scale!r} in an image, expected one of {', '.join(_IMAGE_SCALES)}: write a .npz"
        )
    low, high = float(saved.values.min()), float(saved.values.max())
    span = high - low or 1.0
    gray = np.round((saved.values - low) / span * _MAX_GRAY).astype(np.uint16)
    stacked = (gray if saved.preset.top_first else gray[:, ::-1]).reshape(-1, gray.shape[-1])
    channels = {"channels": len(gray)} if len(gray) > 1 else {}
    text = PngImagePlugin.PngInfo()
    text.add_text(CHUNK, _encode_metadata(saved, low=low, high=low + span, **channels))
    encoded = io.BytesIO()
    Image.fromarray(stacked).save(encoded, "PNG", pnginfo=text)
    return encoded.getvalue()


def read(path: Path, preset: Preset | None = None) -> Saved:
    """Read a spectrogram from a NumPy archive (.npz) or a gray image (.png).

    Args:
      path: file to read, with the suffix .npz or .png.
      preset: parameters that the spectrogram was computed with: Fourier transform, mel filters and scale. Needed only
        for a file without metadata. The metadata stores the preset.

    Raises:
      UserError: the file is unreadable or too large, or has another suffix; no preset is stored or given, or the
        two differ; the values or the metadata are invalid, or do not fit the preset.
    """
    check_regular_file(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} does not have the suffix of a spectrogram file, expected one of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes, expected at most {MAX_BYTES}: cut the file")
    values, metadata = _read_npz(path) if suffix == ".npz" else _read_png(path)
    preset = _select_preset(path, metadata, preset, values.shape)
    if suffix == ".png":
        values = _decode_gray(path, values, metadata, preset)
    if values.ndim == 2:
        values = values[None]
    with np.errstate(over="ignore"):  # Values beyond the range of float32 become infinite and fail the check below.
        values = np.ascontiguousarray(values, np.float32)
    _check_values(path, values, preset)
    samples, frames = metadata.get("samples"), values.shape[-1]
    max_samples = preset.transform.samples(frames) + preset.frames_multiple * preset.transform.hop_length
    if (total := max_samples * len(values)) > MAX_SAMPLES:
        raise UserError(f"{path} stands for up to {total} samples, expected at most {MAX_SAMPLES}: cut the file")
    # The number of frames was cut to a multiple of `frames_multiple` when the file was written.
    counts = range(frames, frames + preset.frames_multiple)
    if samples is not None and not (
        type(samples) is int
        and 0 < samples <= max_samples
        and any(preset.transform.has_frames(samples, n) for n in counts)
    ):
        fault = f"{path} declares {samples!r} samples, which do not give its {frames} frames"
        if suffix == ".npz":
            raise UserError(f"{fault}: remove its metadata")
        _log.warning("%s: the image was cropped or extended, all of it is used", fault)
        samples = None
    peak = None if metadata.get("peak") is None else _get_number(path, metadata, "peak")
    if peak is not None and peak <= 0:
        raise UserError(f"{path} declares peak={peak}, expected a number above 0: remove its metadata")
    return Saved(values, preset, samples, peak)


def _decode_gray(path: Path, gray: np.ndarray, metadata: dict[str, Any], preset: Preset) -> np.ndarray:
    """Convert the pixels of an image to spectrogram values.

    Args:
      path: path of the image, for error messages.
      gray: gray levels in [0, 1] of shape (height, width). High frequencies are at the top of each channel, and the
        left channel is above the right one.
      metadata: metadata of the image. `low` is the spectrogram value of black, and `high` that of white. Only the
        scale `peak_db` works without them: black is then 0, and white is 1. `channels` is 1 if it is missing.
      preset: parameters that the spectrogram was computed with. `preset.scale` says what the values are, such as power
        or a level in dB. `preset.top_first` says whether the first row of the result is the highest frequency.

    Returns:
      Spectrogram values of shape (channels, rows, frames).

    Raises:
      UserError: `low` and `high` are missing and `preset.scale` is not `peak_db`, or they are not numbers; `channels`
        is not 1 or 2, or does not divide the height.
    """
    channels = metadata.get("channels", 1)
    if type(channels) is not int or not 1 <= channels <= MAX_CHANNELS or len(gray) % channels:
        raise UserError(
            f"{path} declares {channels!r} channels in {len(gray)} rows, expected 1 or {MAX_CHANNELS} of equal height: "
            f"remove its metadata"
        )
    gray = gray.reshape(channels, -1, gray.shape[-1])
    if "low" in metadata:
        low, high = (_get_number(path, metadata, name) for name in ("low", "high"))
        gray = low + gray * (high - low)
    elif preset.scale != "peak_db":
        raise UserError(
            f"{path} has no metadata: its levels are unknown for scale {preset.scale!r}, expected 'peak_db': use a .npz"
        )
    return gray if preset.top_first else gray[:, ::-1]


def _check_values(path: Path, values: Float[np.ndarray, "..."], preset: Preset) -> None:
    if (
        values.ndim != 3
        or not 1 <= len(values) <= MAX_CHANNELS
        or values.shape[1] != preset.rows
        or not values.shape[2]
    ):
        raise UserError(
            f"{path} has shape {values.shape}, expected {preset.rows} rows and at least 1 frame, in 1 or "
            f"{MAX_CHANNELS} channels: choose another preset"
        )
    if values.shape[2] % preset.frames_multiple:
        raise UserError(
            f"{path} has {values.shape[2]} frames, expected a multiple of {preset.frames_multiple}: cut or pad it"
        )
    if bad := int(np.sum(~np.isfinite(values))):
        raise UserError(f"{path}: {bad} values are not finite in float32: compute the spectrogram again")
    scale = SCALES[preset.scale]
    if not (scale.min_value <= values.min() and values.max() <= scale.max_value):
        remedy = "choose another preset"
        if values.min() < scale.min_value:
            remedy += ", or convert decibels x to power, 10 ** (x / 10), for a preset of scale 'power'"
        raise UserError(
            f"{path}: values from {values.min():.3g} to {values.max():.3g}, expected {scale.min_value:g} to "
            f"{scale.max_value:g} for scale {preset.scale!r}: {remedy}"
        )


def _encode_metadata(saved: Saved, **image: int | float) -> str:
    return json.dumps({"preset": asdict(saved.preset), "samples": saved.samples, "peak": saved.peak, **image})


def _read_npz(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
            if (unpacked := sum(sizes.values())) > 8 * MAX_VALUES:
                raise UserError(f"{path} unpacks to {unpacked} bytes, expected at most {8 * MAX_VALUES}: cut the file")
            check_expansion(path, unpacked)
            name = "values" if "values" in sizes or len(sizes) != 1 else next(iter(sizes))
            if name not in sizes:
                names = ", ".join(list(sizes)[:5]) or "nothing"
                raise UserError(f"{path} contains {names}, expected an array named values: rename one")
            values = _read_array(path, archive, name, "iuf")
            metadata = _parse_metadata(path, str(_read_array(path, archive, "about", "U"))) if "about" in sizes else {}
    except UserError:
        raise
    except Exception as error:  # Parsers of untrusted bytes can raise anything.
        raise UserError(f"{path} is not a readable archive of arrays ({error})") from error
    return values, metadata


def _read_array(path: Path, archive: zipfile.ZipFile, name: str, kinds: str) -> np.ndarray:
    """Read one array from a NumPy archive.

    The header of the array is checked first. Memory for the values is allocated only if it is valid.

    Args:
      path: path of the archive, for error messages.
      archive: open archive.
      name: name of the array.
      kinds: accepted kinds of dtype, as letters of `numpy.dtype.kind`: "iuf" for numbers, "U" for text.

    Raises:
      UserError: the dtype is of another kind, or the header declares too many values or more bytes than the archive
        contains.
    """
    size = archive.getinfo(f"{name}.npy").file_size
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        declared = math.prod(shape) * dtype.itemsize
        if dtype.kind not in kinds or declared > size:
            raise UserError(
                f"{path}: {name} is an array of {shape} {dtype} in {size} bytes, expected numbers: export it again"
            )
        if math.prod(shape) > MAX_VALUES:
            raise UserError(
                f"{path}: {name} has {math.prod(shape)} values, expected at most {MAX_VALUES}: cut the file"
            )
        content = np.frombuffer(file.read(declared), dtype)
    return content.reshape(shape, order="F" if fortran else "C")


def _read_png(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read a gray image, turned as its EXIF data says. What is transparent is black, the smallest value.

    Returns:
      Gray levels in [0, 1] of shape (height, width), and the metadata of the spectrogram (empty if there is none).

    Raises:
      UserError: the file is not a readable image, is too large or has colors; the metadata is damaged.
    """
    from PIL import Image, ImageOps

    with open_picture(path, ("PNG",)) as image:
        if image.size[0] * image.size[1] > MAX_VALUES:
            raise UserError(
                f"{path} has {image.size[0]} x {image.size[1]} pixels, more than {MAX_VALUES}: cut the image"
            )
        image.load()  # Some editors write text metadata after the pixels.
        metadata = _parse_text(path, image.info.get(CHUNK))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            return np.asarray(upright, np.float32) / _MAX_GRAY, metadata
        opaque = upright.convert("RGBA")
        opaque = Image.alpha_composite(Image.new("RGBA", opaque.size, "black"), opaque)
        bands = np.asarray(opaque.convert("RGB"), np.float32)
    if np.any(bands != bands[..., :1]):
        raise UserError(
            f"{path} is a color image such as a plot, expected gray levels: write it with --out, not --plot"
        )
    return bands[..., 0] / 255, metadata


def _parse_text(path: Path, text: Any) -> dict[str, Any]:
    return {} if text is None else _parse_metadata(path, str(text))


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _parse_metadata(path: Path, text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: its metadata is damaged ({error}), expected JSON: remove it and give --preset"
        ) from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("preset"), dict):
        raise UserError(f"{path}: its metadata has no preset, expected one: remove the metadata and give --preset")
    return metadata


def _select_preset(path: Path, metadata: dict[str, Any], given: Preset | None, shape: tuple[int, ...]) -> Preset:
    if not metadata:
        if given is None:
            rows = shape[-2] if len(shape) > 1 else 0
            fitting = [f"--preset={name}" for name, preset in PRESETS.items() if preset.rows == rows]
            raise UserError(
                f"{path} has no metadata, expected the preset it was made with: give it with --preset; its {rows} rows "
                f"fit {' and '.join(fitting) or 'none of the presets by name'}"
            )
        return given
    stored = to_dataclass(Preset, metadata["preset"], f"{path}: preset")
    if given is not None and given != stored:
        raise UserError(f"{path} was made with another preset than --preset: omit --preset")
    return stored


def _get_number(path: Path, metadata: dict[str, Any], name: str) -> float:
    value = metadata.get(name)
    if not isinstance(value, int | float) or not abs(value) < 1e6:
        raise UserError(f"{path} declares {name}={value!r}, expected a number below 1e6: remove its metadata")
    return float(value)
