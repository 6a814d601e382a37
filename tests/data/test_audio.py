"""Sound files to waves: what is whole is read as the library reads it, everything else is refused in a sentence."""

import os
import struct

import numpy as np
import pytest
import soundfile

from powers import without_powers
from specjax.cli.errors import UserError
from specjax.data import audio

RATE = 16000
RNG = np.random.default_rng(0)
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)).astype(np.float32)
# Name, format, subtype, and how far its samples may lie from what was written.
KINDS = [
    ("a.wav", "WAV", "PCM_16", 1e-4),
    ("b.wav", "WAV", "FLOAT", 0.0),
    ("c.wav", "RF64", "PCM_24", 1e-6),
    ("d.flac", "FLAC", "PCM_16", 1e-4),
    ("e.au", "AU", "PCM_16", 1e-4),
    ("f.ogg", "OGG", "VORBIS", 0.1),
    ("g.ogg", "OGG", "OPUS", 0.1),
    ("h.mp3", "MP3", "MPEG_LAYER_III", 0.1),
]
SEVERAL = ["plain.wav", "-dash.wav", "new\nline.wav", "été 𝄞.WAV"]


def written(path, wave=TONE, rate=RATE, **options):
    soundfile.write(path, wave, rate, **options)
    return path


def raw(path, content):
    path.write_bytes(content)
    return path


def wav_bytes(data, *, rate=RATE, channels=1, data_bytes=None, bits=16, kind=1):
    data_bytes = len(data) if data_bytes is None else data_bytes
    width = channels * bits // 8
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", (36 + data_bytes) % 2**32, b"WAVE", b"fmt ", 16, kind, channels,
                       rate, rate * width % 2**32, width, bits)  # fmt: skip
    return head + struct.pack("<4sI", b"data", data_bytes) + data


def without_first_frame(mp3):
    """An mp3 file without the frame that tells how many there are: their number is guessed from the first then."""
    names = [mp3.find(name) for name in (b"Xing", b"Info") if mp3.find(name) >= 0]
    place = names[0]
    while mp3[place : place + 2] not in (b"\xff\xf3", b"\xff\xfb", b"\xff\xf2"):
        place += 1
    return mp3[place:]


@pytest.mark.parametrize(("name", "kind", "subtype", "tolerance"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_kind_is_read(tmp_path, name, kind, subtype, tolerance):
    path = written(tmp_path / name, format=kind, subtype=subtype)
    wave, rate = audio.read_audio(path)
    assert (wave.dtype, wave.ndim, rate) == (np.float32, 1, RATE)
    np.testing.assert_allclose(wave[200:3800], TONE[200:3800], atol=tolerance)


@pytest.mark.parametrize("block", [256, 2**18])
@pytest.mark.parametrize(("name", "kind", "subtype", "tolerance"), KINDS, ids=[kind[0] for kind in KINDS])
def test_blocks_are_the_whole(tmp_path, name, kind, subtype, tolerance, block):
    """Of a sound of many blocks, no two of them alike: what is read block by block is what is read at once."""
    time = np.arange(20 * RATE) / RATE
    glide = 0.5 * np.sin(2 * np.pi * (200 + 40 * time) * time).astype(np.float32)
    path = written(tmp_path / name, glide, format=kind, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    rate, blocks = audio.audio_blocks(path, block)
    found = np.concatenate(list(blocks))
    assert (rate, len(found)) == (RATE, len(expected))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(audio.read_audio(path)[0], expected, atol=1e-4)


def test_an_mp3_of_a_constant_rate_need_not_say_how_long_it_is(tmp_path):
    """Its length is then guessed from its first frame, which is smaller than most."""
    wave = np.tile(TONE, 40)
    path = tmp_path / "told.mp3"
    soundfile.write(path, wave, 44100, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    untold = raw(tmp_path / "untold.mp3", without_first_frame(path.read_bytes()))
    with soundfile.SoundFile(untold) as file:
        guessed = file.frames
    found, _ = audio.read_audio(untold)
    assert len(wave) <= len(found) < guessed


def test_a_tag_in_front_hides_no_flac(tmp_path):
    flac = written(tmp_path / "a.flac").read_bytes()
    tagged = raw(tmp_path / "b.flac", b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + flac)
    np.testing.assert_array_equal(audio.read_audio(tagged)[0], audio.read_audio(tmp_path / "a.flac")[0])


def test_what_lies_behind_a_sound_is_not_the_sound(tmp_path):
    ogg = written(tmp_path / "a.ogg", np.tile(TONE, 40)).read_bytes()
    whole, _ = audio.read_audio(tmp_path / "a.ogg")
    np.testing.assert_array_equal(audio.read_audio(raw(tmp_path / "b.ogg", ogg + bytes(200_000)))[0], whole)
    mp3 = written(tmp_path / "a.mp3", np.tile(TONE, 40)).read_bytes()
    whole, _ = audio.read_audio(tmp_path / "a.mp3")
    tagged = b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + mp3 + b"TAG" + bytes(125)
    np.testing.assert_array_equal(audio.read_audio(raw(tmp_path / "b.mp3", tagged))[0], whole)


@pytest.mark.parametrize("fault", ["truncated mp3", "silent", "constant", "not finite"])
def test_a_stream_of_a_bad_file_is_refused_in_the_end(bad, fault):
    path, says = bad[fault]
    with pytest.raises(UserError, match=says):
        list(audio.audio_blocks(path, 512)[1])


@pytest.mark.parametrize("name", SEVERAL)
def test_any_name_is_read(tmp_path, name):
    np.testing.assert_allclose(audio.read_audio(written(tmp_path / name))[0], TONE, atol=1e-4)


def test_channels_are_averaged(tmp_path):
    eight = RNG.uniform(-1, 1, (600_000, 8)).astype(np.float32)  # more than one block
    wave, _ = audio.read_audio(written(tmp_path / "eight.wav", eight, subtype="FLOAT"))
    np.testing.assert_allclose(wave, eight.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
def test_a_tone_is_the_same_at_another_rate(tmp_path, rate):
    path = written(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate, subtype="FLOAT")
    wave, found = audio.read_audio(path, RATE)
    assert (found, len(wave), wave.dtype) == (RATE, RATE, np.float32)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(wave[500:-500], tone[500:-500], atol=1e-4)


def test_clipped_sound_is_sound(tmp_path):
    wave, _ = audio.read_audio(written(tmp_path / "a.wav", np.sign(TONE)))
    assert np.abs(wave).max() > 0.99


def bad_files(folder):
    """Name of a fault -> a file that has it, and what the refusal says."""
    plain = written(folder / "whole.wav").read_bytes()
    flac = written(folder / "whole.flac").read_bytes()
    ogg = written(folder / "whole.ogg", np.tile(TONE, 40)).read_bytes()
    au = written(folder / "whole.au").read_bytes()
    mp3 = written(folder / "whole.mp3", np.tile(TONE, 40)).read_bytes()
    rf64 = written(folder / "rf64.wav", format="RF64").read_bytes()
    rifx = written(folder / "rifx.wav", format="WAV", endian="BIG").read_bytes()
    opposite = np.stack([TONE, -TONE], axis=1)
    sick, high = TONE.copy(), TONE.copy()
    sick[7], sick[9], high[3] = np.nan, np.inf, 32767.0
    os.mkdir(folder / "folder.wav")
    os.symlink(folder / "loop.wav", folder / "loop.wav")
    os.mkfifo(folder / "pipe.wav")
    os.symlink("/dev/zero", folder / "device.wav")
    return {
        "empty": (raw(folder / "empty.wav", b""), "is empty"),
        "header only": (raw(folder / "header.wav", wav_bytes(b"")), "holds no samples"),
        "junk": (raw(folder / "junk.wav", RNG.bytes(5000)), "not a readable sound file"),
        "text": (raw(folder / "text.ogg", b"There is no music here.\n" * 9), "not a readable sound file"),
        "picture": (raw(folder / "png.wav", b"\x89PNG\r\n\x1a\n" + RNG.bytes(99)), "not a readable sound file"),
        "name": (raw(folder / "sound.png", plain), "no sound file by its name"),
        "truncated wav": (raw(folder / "short.wav", plain[:-3000]), "is truncated"),
        "truncated flac": (raw(folder / "short.flac", flac[: len(flac) // 2]), "truncated|not a readable"),
        "truncated ogg": (raw(folder / "short.ogg", ogg[: len(ogg) // 2]), "is truncated"),
        "truncated au": (raw(folder / "short.au", au[:-3000]), "is truncated"),
        "truncated mp3": (raw(folder / "short.mp3", mp3[: len(mp3) // 2]), "is truncated"),
        "truncated rf64": (raw(folder / "short64.wav", rf64[:-3000]), "is truncated"),
        "truncated rifx": (raw(folder / "shortx.wav", rifx[:-3000]), "is truncated"),
        "length untold": (raw(folder / "untold.mp3", without_first_frame(mp3)), "does not say how long it is"),
        "two sounds": (raw(folder / "chained.ogg", ogg + ogg), "several sounds one after the other"),
        "another kind": (raw(folder / "flac.wav", flac), "of kind flac by its content: rename it"),
        "aiff": (written(folder / "aiff.wav", format="AIFF"), "not a readable sound file: it begins with b'FORM"),
        "w64": (written(folder / "w64.wav", format="W64"), "not a readable sound file: it begins with b'riff"),
        "cancelled": (written(folder / "opposite.wav", opposite), "cancel each other out"),
        "size lies": (raw(folder / "lies.wav", wav_bytes(b"\1\0" * 99, data_bytes=2**30)), "is truncated"),
        "not finite": (written(folder / "nan.wav", sick, subtype="FLOAT"), "2 samples are not finite"),
        "not scaled": (written(folder / "high.wav", high, subtype="FLOAT"), "scale them"),
        "silent": (written(folder / "silent.wav", 0 * TONE), "is silent throughout"),
        "constant": (written(folder / "dc.wav", 0 * TONE + 0.25), "constant at 0.25"),
        "one sample": (written(folder / "one.wav", TONE[100:101]), "constant at"),
        "1 Hz": (raw(folder / "slow.wav", wav_bytes(RNG.bytes(32000), rate=1)), "sample rate is 1 Hz"),
        "4 GHz": (raw(folder / "fast.wav", wav_bytes(RNG.bytes(32000), rate=4_000_000_000)), "sample rate|readable"),
        "channels": (raw(folder / "wide.wav", wav_bytes(RNG.bytes(32000), channels=200)), "200 channels"),
        "long": (raw(folder / "long.wav", wav_bytes(bytes(2_000_000), rate=1000)), "lasts 1000 s, more than 600 s"),
        "missing": (folder / "missing.wav", "No such file"),
        "folder": (folder / "folder.wav", "not a regular file"),
        "loop": (folder / "loop.wav", "symbolic links"),
        "pipe": (folder / "pipe.wav", "not a regular file"),
        "device": (folder / "device.wav", "not a regular file"),
    }


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return bad_files(tmp_path_factory.mktemp("bad"))


FAULTS = [
    "empty", "header only", "junk", "text", "picture", "name",
    "truncated wav", "truncated flac", "truncated ogg", "truncated au", "truncated mp3", "truncated rf64",
    "truncated rifx", "length untold", "two sounds", "another kind", "aiff", "w64", "cancelled", "size lies",
    "not finite", "not scaled", "silent", "constant", "one sample", "1 Hz", "4 GHz", "channels", "long",
    "missing", "folder", "loop", "pipe", "device",
]  # fmt: skip


def test_every_fault_is_tried(bad):
    assert sorted(bad) == sorted(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_refused_by_its_name(bad, fault):
    path, says = bad[fault]
    with pytest.raises(UserError, match=says) as refusal:
        audio.read_audio(path, RATE)
    assert str(path) in str(refusal.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = written(tmp_path / "secret.wav")
    path.chmod(0)
    with without_powers(), pytest.raises(UserError, match="not readable by this user"):
        audio.read_audio(path)


def test_a_size_unknown_to_who_wrote_it_is_no_lie(tmp_path):
    content = wav_bytes((TONE * 32767).astype("<i2").tobytes(), data_bytes=0xFFFF_FFFF)
    np.testing.assert_allclose(audio.read_audio(raw(tmp_path / "piped.wav", content))[0], TONE, atol=1e-4)


def test_lengths_are_bounded_before_anything_is_allocated(tmp_path, monkeypatch):
    path = written(tmp_path / "a.wav", subtype="FLOAT")
    monkeypatch.setattr(audio, "_mono_blocks", lambda *_: pytest.fail("read"))
    with pytest.raises(UserError, match="lasts 0 s, more than 0.1 s"):
        audio.read_audio(path, max_duration_s=0.1)
    with pytest.raises(UserError, match="asked for of 4000000 Hz"):
        audio.read_audio(path, 4_000_000)
    monkeypatch.setattr(audio, "MAX_SAMPLES", 100_000)
    with pytest.raises(UserError, match="more than 100000 in all"):
        audio.read_audio(path, 768_000)
    monkeypatch.setattr(audio, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most 100"):
        audio.read_audio(path)


@pytest.mark.parametrize(("samples", "short"), [(3, "refuse"), (5, "refuse"), (12, "pad"), (12, "repeat"), (3, "pad")])
def test_a_length_is_met_exactly(samples, short):
    wave = np.arange(1, 6, dtype=np.float32)
    expected = {12: {"pad": [1, 2, 3, 4, 5, *[0] * 7], "repeat": [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]}}
    whole = expected.get(samples, {}).get(short, list(range(1, samples + 1)))
    np.testing.assert_array_equal(audio.fit_length(wave, samples, short=short), whole)


@pytest.mark.parametrize(("length", "short"), [(5, "refuse"), (0, "pad"), (0, "repeat")])
def test_what_is_too_short_is_refused(length, short):
    with pytest.raises(UserError, match=f"{length} samples are fewer than 6"):
        audio.fit_length(np.ones(length, np.float32), 6, short=short)
