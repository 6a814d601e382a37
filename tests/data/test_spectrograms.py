"""Spectrogram files: what was written is read back with its convention; everything else is refused in a sentence."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from specjax.cli.errors import UserError
from specjax.data import spectrograms
from specjax.data.spectrograms import Saved
from specjax.signal.mel import Mel
from specjax.signal.presets import PRESETS, Preset
from specjax.signal.stft import Stft

RNG = np.random.default_rng(0)
LEVELS = Preset(8000, Stft(64, 16), None, "peak_db")
OF_MEL = Preset(8000, Stft(64, 16, "hamming"), Mel(9, scale="htk"), "log_power")


def saved(preset=LEVELS, samples=330, peak=None):
    rows = preset.mel.n_mels if preset.mel else preset.transform.bins
    return Saved(RNG.uniform(0, 1, (rows, 21)).astype(np.float32), preset, samples, peak)


def encrypted(content):
    """The archive with every member's flag of encryption set, in its own header and in the directory."""
    content = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        while start >= 0:
            content[start + flags] |= 1
            start = content.find(signature, start + 4)
    return bytes(content)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("preset", [LEVELS, OF_MEL, replace(LEVELS, top_first=True), replace(OF_MEL, scale="power")])
@pytest.mark.parametrize("samples", [330, None])
def test_an_archive_comes_back_exactly(tmp_path, preset, samples):
    made = saved(preset, samples, peak=12.5 if samples else None)
    found = spectrograms.read(written(tmp_path / "a.npz", spectrograms.npz(made)))
    assert (found.preset, found.samples, found.peak) == (preset, samples, made.peak)
    np.testing.assert_array_equal(found.values, made.values)


@pytest.mark.parametrize("preset", [LEVELS, replace(LEVELS, top_first=True), OF_MEL, replace(LEVELS, scale="log1p")])
def test_a_picture_comes_back_to_sixteen_bits(tmp_path, preset):
    made = saved(preset)
    made = made._replace(values=made.values * 7 - 3 if preset.scale == "log_power" else made.values)
    path = written(tmp_path / "a.png", spectrograms.png(made))
    found = spectrograms.read(path)
    assert (found.preset, found.samples) == (preset, 330)
    np.testing.assert_allclose(found.values, made.values, atol=7 / 65535)
    with Image.open(path) as picture:
        top = np.asarray(picture, float)[0]
    highest = made.values[0 if preset.top_first else -1]
    assert np.corrcoef(top, highest)[0, 1] > 0.999, "high frequencies are at the top"


def test_a_picture_of_one_grey_comes_back(tmp_path):
    made = saved()._replace(values=np.full((33, 5), 0.25, np.float32), samples=None)
    found = spectrograms.read(written(tmp_path / "a.png", spectrograms.png(made)))
    np.testing.assert_allclose(found.values, 0.25, atol=1e-4)


def test_what_is_said_of_a_picture_may_stand_behind_it(tmp_path):
    """Where editors write it anew."""
    content = spectrograms.png(saved(PRESETS["picture"], samples=20 * 256))
    length = int.from_bytes(content[33:37], "big") + 12
    assert content[37:41] in (b"tEXt", b"iTXt", b"zTXt")
    chunk, end = content[33 : 33 + length], content[-12:]
    moved = written(tmp_path / "a.png", content[:33] + content[33 + length : -12] + chunk + end)
    assert spectrograms.read(moved).preset == PRESETS["picture"]


def test_pictures_do_not_hold_linear_levels():
    with pytest.raises(UserError, match="write a .npz"):
        spectrograms.png(saved(replace(LEVELS, scale="power")))


def test_files_from_elsewhere_need_their_convention(tmp_path):
    values = RNG.uniform(0, 1, (33, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", values)
    Image.fromarray(np.round(values * 255).astype(np.uint8)).save(tmp_path / "a.png")
    for path, rows in ((tmp_path / "a.npz", values), (tmp_path / "a.png", values[::-1])):
        with pytest.raises(UserError, match="name its convention with --preset"):
            spectrograms.read(path)
        found = spectrograms.read(path, LEVELS)
        np.testing.assert_allclose(found.values, rows, atol=1 / 255)
    with pytest.raises(UserError, match="only a .npz is understood"):
        spectrograms.read(tmp_path / "a.png", replace(LEVELS, scale="log1p"))


def archive(**arrays):
    encoded = io.BytesIO()
    np.savez(encoded, **arrays)
    return encoded.getvalue()


def about(**changes):
    told = json.loads(spectrograms._about(saved()))
    return np.array(json.dumps(told | changes))


def bomb():
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(11):
            archive.writestr(f"{i}.npy", bytes(10**8))
    return encoded.getvalue()


def told_png(text, picture=None):
    encoded, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text(spectrograms.CHUNK, text)
    picture = np.full((33, 4), 255, np.uint8) if picture is None else picture
    Image.fromarray(picture).save(encoded, "PNG", pnginfo=info)
    return encoded.getvalue()


def claiming(header):
    """An archive whose array has this header and no more than a few bytes."""
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w") as archive:
        text = header.encode().ljust(117) + b"\n"
        archive.writestr("values.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(64))
    return encoded.getvalue()


def changed(**changes):
    return about(preset=PRESET | changes)


def members(count):
    encoded = io.BytesIO()
    with zipfile.ZipFile(encoded, "w") as archive:
        for i in range(count):
            archive.writestr(f"name{i}.npy", b"")
    return encoded.getvalue()


VALUES = np.zeros((33, 4), np.float32)
PRESET = json.loads(spectrograms._about(saved()))["preset"]
BAD = {
    "name": ("a.txt", lambda: b"x", "no spectrogram by its name"),
    "empty": ("a.npz", lambda: b"", "is empty"),
    "junk": ("a.npz", lambda: RNG.bytes(999), "not a readable archive"),
    "junk picture": ("a.png", lambda: RNG.bytes(999), "not a readable picture"),
    "cut": ("a.npz", lambda: spectrograms.npz(saved())[:-300], "not a readable archive"),
    "encrypted": ("a.npz", lambda: encrypted(spectrograms.npz(saved())), "not a readable archive"),
    "pickle": ("a.npz", lambda: archive(values=np.array([{}], object)), "expected numbers"),
    "several": ("a.npz", lambda: archive(a=VALUES, b=VALUES), "expected an array named values"),
    "text": ("a.npz", lambda: archive(values=np.array("x")), "expected numbers"),
    "rows": ("a.npz", lambda: archive(values=VALUES[:9], about=about()), "expected 33 rows"),
    "no frames": ("a.npz", lambda: archive(values=VALUES[:, :0], about=about()), "expected 33 rows"),
    "not finite": ("a.npz", lambda: archive(values=VALUES + np.nan, about=about()), "132 values are not"),
    "samples": ("a.npz", lambda: archive(values=VALUES, about=about(samples=10**9)), "1000000000 samples, which 4"),
    "few samples": ("a.npz", lambda: archive(values=VALUES, about=about(samples=1)), "1 samples, which 4 frames"),
    "negative": ("a.npz", lambda: archive(values=VALUES, about=about(samples=-1)), "-1 samples"),
    "not json": ("a.npz", lambda: archive(values=VALUES, about=np.array("{")), "is damaged"),
    "deep json": ("a.npz", lambda: archive(values=VALUES, about=np.array("[" * 100_000)), "is damaged"),
    "no preset": ("a.npz", lambda: archive(values=VALUES, about=np.array("{}")), "by which preset"),
    "unknown key": ("a.npz", lambda: archive(values=VALUES, about=about(preset=PRESET | {"x": 1})), "x does not exist"),
    "wrong type": ("a.npz", lambda: archive(values=VALUES, about=about(preset=PRESET | {"mel": 7})), "mel=7"),
    "huge frame": ("a.npz", lambda: archive(values=VALUES, about=about(
        preset=PRESET | {"transform": PRESET["transform"] | {"n_fft": 10**12}})), "n_fft=1000000000000"),
    "bomb": ("a.npz", bomb, "unpacks to 1100000000 bytes"),
    "claims more": ("a.npz", lambda: claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (10**6, 10**6)}"
        .replace("10**6", "1000000")), "1000000, 1000000. float32 in"),
    "claims all": ("a.npz", lambda: claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",)}"),
                   "expected numbers"),
    "claims inside": ("a.npz", lambda: claiming("{'descr': ('<f4', (100000, 1000)), 'fortran_order': False, "
                      "'shape': (9,)}"), "expected numbers"),
    "nested header": ("a.npz", lambda: claiming("(" * 60), "not a readable archive"),
    "no array": ("a.npz", lambda: members(1), "not a readable archive"),
    "many": ("a.npz", lambda: members(60), "holds name0, name1, name2, name3, name4: expected"),
    "loud": ("a.npz", lambda: archive(values=VALUES + 2, about=about()), "values up to 2, of 'peak_db' at most 1.01"),
    "far too loud": ("a.npz", lambda: archive(values=np.full((33, 4), 1e300), about=about()), "132 values are not"),
    "long": ("a.npz", lambda: archive(values=VALUES.repeat(9000, axis=1), about=changed(
        transform=PRESET["transform"] | {"hop_length": 10**6})), "cut it"),
    "hop": ("a.npz", lambda: archive(values=VALUES, about=changed(
        transform=PRESET["transform"] | {"hop_length": 10**9})), "hop_length=1000000000"),
    "true": ("a.npz", lambda: archive(values=VALUES, about=about(samples=True)), "True samples"),
    "true rate": ("a.npz", lambda: archive(values=VALUES, about=changed(sample_rate=True)), "sample_rate=True is of"),
    "slow": ("a.npz", lambda: archive(values=VALUES, about=changed(sample_rate=1)), "between 1000 and 768000"),
    "range": ("a.npz", lambda: archive(values=VALUES, about=changed(range_db=1e300)), "range_db=1e.300"),
    "not a number": ("a.npz", lambda: archive(values=VALUES, about=changed(range_db=float("nan"))), "NaN is no number"),
    "multiple": ("a.npz", lambda: archive(values=VALUES, about=changed(frames_multiple=0)), "frames_multiple=0"),
    "few frames": ("a.npz", lambda: archive(values=VALUES, about=changed(frames_multiple=3)), "3 at a time"),
    "peak": ("a.npz", lambda: archive(values=VALUES, about=about(samples=None, peak=-1)), "peak=-1"),
    "in colours": ("a.png", lambda: told_png(
        json.dumps({"preset": PRESET}), RNG.integers(0, 255, (33, 4, 3), np.uint8)), "is in colours"),
    "high levels": ("a.png", lambda: told_png(
        json.dumps({"preset": PRESET | {"scale": "log1p"}, "low": 0, "high": 999999})),
        "values up to 1e.06, of 'log1p' at most 20"),
    "bad levels": ("a.png", lambda: told_png(json.dumps({"preset": PRESET, "low": "x", "high": 1})), "low='x'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_what_is_damaged_or_hostile_is_refused(tmp_path, fault):
    name, content, says = BAD[fault]
    path = written(tmp_path / name, content())
    with pytest.raises(UserError, match=says) as refusal:
        spectrograms.read(path)
    assert str(path) in str(refusal.value)


def test_another_convention_than_its_own_is_refused(tmp_path):
    path = written(tmp_path / "a.npz", spectrograms.npz(saved()))
    assert spectrograms.read(path, LEVELS).preset == LEVELS
    with pytest.raises(UserError, match="leave --preset away"):
        spectrograms.read(path, PRESETS["wyse"])


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = written(tmp_path / "a.png", spectrograms.png(saved()))
    monkeypatch.setattr(spectrograms, "MAX_PLACES", 100)
    with pytest.raises(UserError, match="too many for a spectrogram"):
        spectrograms.read(path)
    monkeypatch.setattr(spectrograms, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most 100"):
        spectrograms.read(path)
