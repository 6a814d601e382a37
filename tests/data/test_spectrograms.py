"""Spectrogram files: what was written is read back with its preset, all other files raise an error in one line."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from specjax.cli.errors import UserError
from specjax.data import readers, spectrograms
from specjax.data.spectrograms import Saved
from specjax.signal.mel import Mel
from specjax.signal.presets import PRESETS, SCALES, Preset
from specjax.signal.short_time_fourier import Stft

RNG = np.random.default_rng(0)
LEVELS = Preset(8000, Stft(64, 16), None, "peak_db")
MEL = Preset(8000, Stft(64, 16, "hamming"), Mel(9, scale="htk"), "log_power")


def make_saved(preset=LEVELS, samples=330, peak=None, channels=1):
    rows = preset.mel.n_mels if preset.mel else preset.transform.bins
    return Saved(RNG.uniform(0, 1, (channels, rows, 21)).astype(np.float32), preset, samples, peak)


def encrypt(content):
    """Set the encryption flag of every archive member, in its own header and in the central directory."""
    content = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            content[start + flags] |= 1
            start = content.find(signature, start + 4)
    return bytes(content)


def write_bytes(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("preset", [LEVELS, MEL, replace(LEVELS, top_first=True), replace(MEL, scale="power")])
@pytest.mark.parametrize(("samples", "channels"), [(330, 1), (None, 1), (330, 2)])
def test_archive_round_trip_is_exact(tmp_path, preset, samples, channels):
    original = make_saved(preset, samples, 12.5 if samples else None, channels)
    result = spectrograms.read(write_bytes(tmp_path / "a.npz", spectrograms.npz(original)))
    assert (result.preset, result.samples, result.peak) == (preset, samples, original.peak)
    np.testing.assert_array_equal(result.values, original.values)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("preset", [LEVELS, replace(LEVELS, top_first=True), MEL, replace(LEVELS, scale="log1p")])
def test_image_round_trip_is_exact_to_sixteen_bits(tmp_path, preset, channels):
    original = make_saved(preset, channels=channels)
    original = original._replace(values=original.values * 7 - 3 if preset.scale == "log_power" else original.values)
    path = write_bytes(tmp_path / "a.png", spectrograms.png(original))
    result = spectrograms.read(path)
    assert (result.preset, result.samples) == (preset, 330)
    np.testing.assert_allclose(result.values, original.values, atol=7 / 65535)
    with Image.open(path) as picture:
        rows = np.asarray(picture, float)
    tops, highest = rows[:: len(rows) // channels], original.values[:, 0 if preset.top_first else -1]
    for top, expected in zip(tops, highest, strict=True):
        assert np.corrcoef(top, expected)[0, 1] > 0.999, "high frequencies are at the top, left is above right"


def test_mono_files_have_no_channel_axis(tmp_path):
    """Their format is that of version 0.1, so each version reads the files of the other."""
    saved = make_saved()
    with np.load(write_bytes(tmp_path / "a.npz", spectrograms.npz(saved))) as arrays:
        assert sorted(arrays) == ["about", "values"]
        np.testing.assert_array_equal(arrays["values"], saved.values[0])
        keys = json.loads(str(arrays["about"])).keys()
    with Image.open(write_bytes(tmp_path / "a.png", spectrograms.png(saved))) as picture:
        assert json.loads(picture.info[spectrograms.CHUNK]).keys() == keys | {"low", "high"}


def test_stereo_picture_without_metadata_is_not_mistaken_for_a_mono_one(tmp_path):
    path = write_bytes(tmp_path / "a.png", spectrograms.png(make_saved(channels=2)))
    with Image.open(path) as picture:
        Image.fromarray(np.asarray(picture)).save(tmp_path / "plain.png")
    with pytest.raises(UserError, match=r"has shape \(1, 66, 21\), expected 33 rows"):
        spectrograms.read(tmp_path / "plain.png", LEVELS)


def test_image_of_constant_level_round_trips(tmp_path):
    original = make_saved()._replace(values=np.full((1, 33, 5), 0.25, np.float32), samples=None)
    result = spectrograms.read(write_bytes(tmp_path / "a.png", spectrograms.png(original)))
    np.testing.assert_allclose(result.values, 0.25, atol=1e-4)


def test_metadata_after_the_pixels_is_read(tmp_path):
    """Some image editors write it there."""
    content = spectrograms.png(make_saved(PRESETS["picture"], samples=20 * 256))
    length = int.from_bytes(content[33:37], "big") + 12
    assert content[37:41] in (b"tEXt", b"iTXt", b"zTXt")
    chunk, end = content[33 : 33 + length], content[-12:]
    moved = write_bytes(tmp_path / "a.png", content[:33] + content[33 + length : -12] + chunk + end)
    assert spectrograms.read(moved).preset == PRESETS["picture"]


def test_image_of_linear_scale_raises():
    with pytest.raises(UserError, match="write a .npz"):
        spectrograms.png(make_saved(replace(LEVELS, scale="power")))


def test_files_without_metadata_need_a_preset(tmp_path):
    values = RNG.uniform(0, 1, (33, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", values)
    Image.fromarray(np.round(values * 255).astype(np.uint8)).save(tmp_path / "a.png")
    for path, rows in ((tmp_path / "a.npz", values), (tmp_path / "a.png", values[::-1])):
        with pytest.raises(UserError, match="give it with --preset"):
            spectrograms.read(path)
        result = spectrograms.read(path, LEVELS)
        np.testing.assert_allclose(result.values, rows[None], atol=1 / 255)
    with pytest.raises(UserError, match="use a .npz"):
        spectrograms.read(tmp_path / "a.png", replace(LEVELS, scale="log1p"))


def archive(**arrays):
    encoded = io.BytesIO()
    np.savez(encoded, **arrays)
    return encoded.getvalue()


def encode_metadata(**changes):
    original = json.loads(spectrograms._encode_metadata(make_saved()))
    return np.array(json.dumps(original | changes))


def bomb():
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for i in range(11):
            archive.writestr(f"{i}.npy", bytes(10**8))
    return encoded.getvalue()


def png_with_metadata(text, picture=None):
    encoded, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text(spectrograms.CHUNK, text)
    picture = np.full((33, 4), 255, np.uint8) if picture is None else picture
    Image.fromarray(picture).save(encoded, "PNG", pnginfo=info)
    return encoded.getvalue()


def npz_with_header(header):
    """Create an archive whose array has the given header but only a few bytes of data."""
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w") as archive:
        text = header.encode().ljust(117) + b"\n"
        archive.writestr("values.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(64))
    return encoded.getvalue()


def change_preset(**changes):
    return encode_metadata(preset=PRESET | changes)


def npz_with_empty_members(count):
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w") as archive:
        for i in range(count):
            archive.writestr(f"name{i}.npy", b"")
    return encoded.getvalue()


VALUES = np.zeros((33, 4), np.float32)
PRESET = json.loads(spectrograms._encode_metadata(make_saved()))["preset"]
# Fault: file name, content, and pattern of the error message.
BAD = {
    "name": ("a.txt", lambda: b"x", "does not have the suffix of a spectrogram file"),
    "empty": ("a.npz", lambda: b"", "is empty"),
    "junk": ("a.npz", lambda: RNG.bytes(999), "not a readable archive"),
    "junk image": ("a.png", lambda: RNG.bytes(999), "not a readable image"),
    "truncated": ("a.npz", lambda: spectrograms.npz(make_saved())[:-300], "not a readable archive"),
    "encrypted": ("a.npz", lambda: encrypt(spectrograms.npz(make_saved())), "not a readable archive"),
    "pickle": ("a.npz", lambda: archive(values=np.array([{}], object)), "expected numbers"),
    "several": ("a.npz", lambda: archive(a=VALUES, b=VALUES), "expected an array named values"),
    "text": ("a.npz", lambda: archive(values=np.array("x")), "expected numbers"),
    "rows": ("a.npz", lambda: archive(values=VALUES[:9], about=encode_metadata()), "expected 33 rows"),
    "three channels": (
        "a.npz",
        lambda: archive(values=np.stack([VALUES] * 3), about=encode_metadata()),
        r"has shape \(3, 33, 4\), expected 33 rows and at least 1 frame, in 1 or 2 channels",
    ),
    **{
        f"{channels!r} channels": (
            "a.png",
            lambda channels=channels: png_with_metadata(json.dumps({"preset": PRESET, "channels": channels})),
            f"declares {channels!r} channels in 33 rows, expected 1 or 2 of equal height",
        )
        for channels in (0, 2, 3, True, "x")
    },
    "no frames": ("a.npz", lambda: archive(values=VALUES[:, :0], about=encode_metadata()), "expected 33 rows"),
    "not finite": ("a.npz", lambda: archive(values=VALUES + np.nan, about=encode_metadata()), "132 values are not"),
    "samples": (
        "a.npz",
        lambda: archive(values=VALUES, about=encode_metadata(samples=10**9)),
        "1000000000 samples, which do not give its 4 frames",
    ),
    "few samples": (
        "a.npz",
        lambda: archive(values=VALUES, about=encode_metadata(samples=1)),
        " 1 samples, which do not give its 4 frames",
    ),
    "negative": ("a.npz", lambda: archive(values=VALUES, about=encode_metadata(samples=-1)), "-1 samples"),
    "not json": ("a.npz", lambda: archive(values=VALUES, about=np.array("{")), "is damaged"),
    "deep json": ("a.npz", lambda: archive(values=VALUES, about=np.array("[" * 100_000)), "is damaged"),
    "no preset": ("a.npz", lambda: archive(values=VALUES, about=np.array("{}")), "metadata has no preset"),
    "unknown key": (
        "a.npz",
        lambda: archive(values=VALUES, about=encode_metadata(preset=PRESET | {"x": 1})),
        "x does not exist",
    ),
    "wrong type": ("a.npz", lambda: archive(values=VALUES, about=encode_metadata(preset=PRESET | {"mel": 7})), "mel=7"),
    "huge frame": (
        "a.npz",
        lambda: archive(
            values=VALUES, about=encode_metadata(preset=PRESET | {"transform": PRESET["transform"] | {"n_fft": 10**12}})
        ),
        "n_fft=1000000000000",
    ),
    "bomb": ("a.npz", bomb, "unpacks to 1100000000 bytes"),
    "too many small values": (
        "a.npz",
        lambda: archive(values=np.zeros((33, 2**21 + 2**15), np.uint8)),
        "values has 70287360 values, expected at most",
    ),
    "declares too much": (
        "a.npz",
        lambda: npz_with_header(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (10**6, 10**6)}".replace("10**6", "1000000")
        ),
        "1000000, 1000000. float32 in",
    ),
    "declares far too much": (
        "a.npz",
        lambda: npz_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",)}"),
        "expected numbers",
    ),
    "declares a subarray": (
        "a.npz",
        lambda: npz_with_header("{'descr': ('<f4', (100000, 1000)), 'fortran_order': False, 'shape': (9,)}"),
        "expected numbers",
    ),
    "nested header": ("a.npz", lambda: npz_with_header("(" * 60), "not a readable archive"),
    "no array": ("a.npz", lambda: npz_with_empty_members(1), "not a readable archive"),
    "many": ("a.npz", lambda: npz_with_empty_members(60), "contains name0, name1, name2, name3, name4, expected"),
    "loud": (
        "a.npz",
        lambda: archive(values=VALUES + 2, about=encode_metadata()),
        "values from 2 to 2, expected -0.01 to 1.01 for scale 'peak_db'",
    ),
    **{
        f"negative {scale}": (
            "a.npz",
            lambda scale=scale: archive(values=VALUES - 1, about=change_preset(scale=scale)),
            f"values from -1 to -1, expected 0 to .* for scale '{scale}'",
        )
        for scale in ("magnitude", "power", "log1p")
    },
    **{
        f"decibels as {scale}": (
            "a.npz",
            lambda scale=scale: archive(values=VALUES - 30, about=change_preset(scale=scale)),
            r"values from -30 to -30, .* convert decibels x to power, 10 \*\* \(x / 10\)",
        )
        for scale in SCALES
    },
    "far too loud": (
        "a.npz",
        lambda: archive(values=np.full((33, 4), 1e300), about=encode_metadata()),
        "132 values are not",
    ),
    "long": (
        "a.npz",
        lambda: archive(
            values=VALUES.repeat(9000, axis=1),
            about=change_preset(transform=PRESET["transform"] | {"hop_length": 10**6}),
        ),
        "stands for up to .* samples, expected at most 268435456",
    ),
    "hop": (
        "a.npz",
        lambda: archive(values=VALUES, about=change_preset(transform=PRESET["transform"] | {"hop_length": 10**9})),
        "hop_length=1000000000",
    ),
    "true": ("a.npz", lambda: archive(values=VALUES, about=encode_metadata(samples=True)), "True samples"),
    "true rate": (
        "a.npz",
        lambda: archive(values=VALUES, about=change_preset(sample_rate=True)),
        "sample_rate=True is of",
    ),
    "slow": ("a.npz", lambda: archive(values=VALUES, about=change_preset(sample_rate=1)), "between 1000 and 768000"),
    "range": ("a.npz", lambda: archive(values=VALUES, about=change_preset(range_db=1e300)), "range_db=1e.300"),
    "not a number": (
        "a.npz",
        lambda: archive(values=VALUES, about=change_preset(range_db=float("nan"))),
        "NaN is not a finite number",
    ),
    "multiple": ("a.npz", lambda: archive(values=VALUES, about=change_preset(frames_multiple=0)), "frames_multiple=0"),
    "few frames": (
        "a.npz",
        lambda: archive(values=VALUES, about=change_preset(frames_multiple=3)),
        "expected a multiple of 3",
    ),
    "peak": ("a.npz", lambda: archive(values=VALUES, about=encode_metadata(samples=None, peak=-1)), "peak=-1"),
    "color image": (
        "a.png",
        lambda: png_with_metadata(json.dumps({"preset": PRESET}), RNG.integers(0, 255, (33, 4, 3), np.uint8)),
        "is a color image",
    ),
    "high levels": (
        "a.png",
        lambda: png_with_metadata(json.dumps({"preset": PRESET | {"scale": "log1p"}, "low": 0, "high": 999999})),
        "values from .* to 1e.06, expected 0 to 20 for scale 'log1p'",
    ),
    "bad levels": (
        "a.png",
        lambda: png_with_metadata(json.dumps({"preset": PRESET, "low": "x", "high": 1})),
        "low='x'",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_damaged_or_hostile_file_raises(tmp_path, fault):
    name, content, message = BAD[fault]
    path = write_bytes(tmp_path / name, content())
    with pytest.raises(UserError, match=message) as error:
        spectrograms.read(path)
    assert str(path) in str(error.value)


def test_preset_that_differs_from_the_metadata_raises(tmp_path):
    path = write_bytes(tmp_path / "a.npz", spectrograms.npz(make_saved()))
    assert spectrograms.read(path, LEVELS).preset == LEVELS
    with pytest.raises(UserError, match="omit --preset"):
        spectrograms.read(path, PRESETS["wyse"])


def test_archive_that_unpacks_to_far_more_than_real_data_raises(tmp_path, monkeypatch):
    path = write_bytes(tmp_path / "a.npz", spectrograms.archive({"values": np.zeros((33, 2000), np.float32)}))
    assert spectrograms.read(path, LEVELS).values.shape == (1, 33, 2000)
    monkeypatch.setattr(readers, "UNSUSPICIOUS_BYTES", 2**16)
    with pytest.raises(UserError, match="to 264128 bytes, expected at most 250 times its size"):
        spectrograms.read(path, LEVELS)


def test_image_without_metadata_names_the_presets_that_fit(tmp_path):
    for rows, message in ((513, "its 513 rows fit --preset=picture$"), (99, "its 99 rows fit none of the presets")):
        Image.fromarray(np.zeros((rows, 4), np.uint8)).save(tmp_path / "a.png")
        with pytest.raises(UserError, match=message):
            spectrograms.read(tmp_path / "a.png")


def test_image_cropped_in_time_keeps_its_levels_and_forgets_its_length(tmp_path, caplog):
    saved = make_saved(MEL, channels=2)
    with Image.open(write_bytes(tmp_path / "a.png", spectrograms.png(saved))) as picture:
        info = PngImagePlugin.PngInfo()
        info.add_text(spectrograms.CHUNK, picture.info[spectrograms.CHUNK])
        picture.crop((5, 0, 15, picture.height)).save(tmp_path / "cropped.png", pnginfo=info)
    result = spectrograms.read(tmp_path / "cropped.png")
    np.testing.assert_allclose(result.values, saved.values[..., 5:15], atol=1e-4)
    assert result.samples is None
    assert "declares 330 samples, which do not give its 10 frames: the image was cropped or extended" in caplog.text


def test_transparent_region_of_an_image_is_silent(tmp_path):
    pixels = np.full((33, 4, 4), 200, np.uint8)
    pixels[..., 3] = [255, 255, 0, 0]
    path = write_bytes(tmp_path / "a.png", png_with_metadata(json.dumps({"preset": PRESET}), pixels))
    np.testing.assert_allclose(spectrograms.read(path).values[0], np.tile([200, 200, 0, 0], (33, 1)) / 255)


def test_large_files_raise(tmp_path, monkeypatch):
    path = write_bytes(tmp_path / "a.png", spectrograms.png(make_saved()))
    monkeypatch.setattr(spectrograms, "MAX_VALUES", 100)
    with pytest.raises(UserError, match="pixels, more than 100"):
        spectrograms.read(path)
    monkeypatch.setattr(spectrograms, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="bytes, expected at most 100:"):
        spectrograms.read(path)
