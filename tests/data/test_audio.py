"""The sound file reader: valid files give the same samples as soundfile, all others raise an error in one line."""

import os
import struct

import numpy as np
import pytest
import soundfile

from permissions import enforce_permissions
from specjax.cli.errors import UserError
from specjax.data import audio, readers

RATE = 16000
RNG = np.random.default_rng(0)
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)).astype(np.float32)
# File name, format, subtype, and largest difference of the samples from those written.
KINDS = [
    ("a.wav", "WAV", "PCM_16", 1e-4),
    ("b.wav", "WAV", "FLOAT", 0.0),
    ("c.wav", "RF64", "PCM_24", 1e-6),
    ("d.flac", "FLAC", "PCM_16", 1e-4),
    ("e.au", "AU", "PCM_16", 1e-4),
    ("f.ogg", "OGG", "VORBIS", 0.1),
    ("g.ogg", "OGG", "OPUS", 0.1),
    ("h.mp3", "MP3", "MPEG_LAYER_III", 0.1),
    ("i.aiff", "AIFF", "PCM_16", 1e-4),
    ("j.aif", "AIFF", "FLOAT", 0.0),
    ("k.opus", "OGG", "OPUS", 0.1),
]
UNUSUAL_NAMES = ["plain.wav", "-dash.wav", "new\nline.wav", "été 𝄞.WAV"]


def write_sound(path, wave=TONE, rate=RATE, **options):
    soundfile.write(path, wave, rate, **options)
    return path


def write_stereo(path, left=TONE, right=TONE[::-1], **options):
    return write_sound(path, np.stack([left, right], axis=1), **options)


def change_uint32(content, chunk, offset, value):
    """Change a big-endian number of an aiff file, `offset` bytes after the name of a chunk."""
    position = content.index(chunk) + offset
    return content[:position] + struct.pack(">I", value) + content[position + 4 :]


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def wav_bytes(data, *, rate=RATE, channels=1, data_bytes=None, bits=16, kind=1):
    data_bytes = len(data) if data_bytes is None else data_bytes
    width = channels * bits // 8
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", (36 + data_bytes) % 2**32, b"WAVE", b"fmt ", 16, kind, channels,
                       rate, rate * width % 2**32, width, bits)  # fmt: skip
    return head + struct.pack("<4sI", b"data", data_bytes) + data


def remove_length_header(mp3):
    """Remove the frame with the length header of an mp3 file; libraries then guess the length by the first frame."""
    names = [mp3.find(name) for name in (b"Xing", b"Info") if mp3.find(name) >= 0]
    position = names[0]
    while mp3[position : position + 2] not in (b"\xff\xf3", b"\xff\xfb", b"\xff\xf2"):
        position += 1
    return mp3[position:]


def forget_flac_length(flac):
    """Set the number of samples and the checksum of a flac file to 0, which means unknown, as encoders do in a pipe."""
    assert flac[:4] == b"fLaC"
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(20) + flac[42:]


@pytest.mark.parametrize(("name", "kind", "subtype", "tolerance"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_format_is_read(tmp_path, name, kind, subtype, tolerance):
    path = write_sound(tmp_path / name, format=kind, subtype=subtype)
    wave, rate = audio.read_audio(path)
    assert (wave.dtype, wave.ndim, rate) == (np.float32, 1, RATE)
    np.testing.assert_allclose(wave[200:3800], TONE[200:3800], atol=tolerance)


@pytest.mark.parametrize("block", [256, 2**18])
@pytest.mark.parametrize(("name", "kind", "subtype", "tolerance"), KINDS, ids=[kind[0] for kind in KINDS])
def test_blocks_join_to_the_whole_wave(tmp_path, name, kind, subtype, tolerance, block):
    """The sound has many blocks that all differ; reading by blocks and reading at once give the same samples."""
    time = np.arange(20 * RATE) / RATE
    glide = 0.5 * np.sin(2 * np.pi * (200 + 40 * time) * time).astype(np.float32)
    path = write_sound(tmp_path / name, glide, format=kind, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    rate, channels, blocks = audio.channel_blocks(path, block)
    result = np.concatenate(list(blocks), axis=1)
    assert (rate, channels, result.shape) == (RATE, 1, (1, len(expected)))
    np.testing.assert_allclose(result[0], expected, atol=1e-4)
    np.testing.assert_allclose(audio.read_audio(path)[0], expected, atol=1e-4)


def test_constant_bit_rate_mp3_without_length_header_is_read(tmp_path):
    """The length is then guessed from the first frame, which is smaller than most."""
    wave = np.tile(TONE, 40)
    path = tmp_path / "with_header.mp3"
    soundfile.write(path, wave, 44100, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    no_header = write_bytes(tmp_path / "no_header.mp3", remove_length_header(path.read_bytes()))
    with soundfile.SoundFile(no_header) as file:
        guessed = file.frames
    wave_read, _ = audio.read_audio(no_header)
    assert len(wave) <= len(wave_read) < guessed


def test_flac_of_unknown_length_is_read_up_to_the_limit(tmp_path):
    flac = write_sound(tmp_path / "a.flac", np.tile(TONE, 40)).read_bytes()
    path = write_bytes(tmp_path / "piped.flac", forget_flac_length(flac))
    np.testing.assert_array_equal(audio.read_audio(path)[0], audio.read_audio(tmp_path / "a.flac")[0])
    with pytest.raises(UserError, match="piped.flac is longer than the limit of 9 s"):
        audio.read_audio(path, max_duration_s=9.0)
    with pytest.raises(UserError, match="is longer than the limit of 9 s"):
        list(audio.channel_blocks(path, 512, max_duration_s=9.0).blocks)


def test_flac_that_unpacks_to_far_more_than_real_sound_raises(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.flac", np.concatenate([TONE, np.zeros(2**22, np.float32)]))
    assert len(audio.read_audio(path)[0]) == 2**22 + len(TONE)
    monkeypatch.setattr(readers, "UNSUSPICIOUS_BYTES", 2**22)
    with pytest.raises(UserError, match="expected at most 250 times its size"):
        audio.read_audio(path)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_flipped_bit_in_any_page_of_an_ogg_file_raises(tmp_path, name):
    subtype = "VORBIS" if name == "a.ogg" else "OPUS"
    content = write_sound(tmp_path / name, np.tile(TONE, 40), format="OGG", subtype=subtype).read_bytes()
    pages = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"]
    assert len(pages) > 3
    for number, page in enumerate(pages):
        damaged = bytearray(content)
        damaged[page + 27 + content[page + 26] + 3] ^= 1  # This byte follows the header.
        with pytest.raises(UserError, match=f"is damaged: the checksum of page {number} is wrong"):
            audio.read_audio(write_bytes(tmp_path / name, damaged))


def test_flac_with_leading_id3_tag_is_read(tmp_path):
    flac = write_sound(tmp_path / "a.flac").read_bytes()
    tagged = write_bytes(tmp_path / "b.flac", b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + flac)
    np.testing.assert_array_equal(audio.read_audio(tagged)[0], audio.read_audio(tmp_path / "a.flac")[0])


def test_trailing_bytes_and_tags_are_ignored(tmp_path):
    ogg = write_sound(tmp_path / "a.ogg", np.tile(TONE, 40)).read_bytes()
    whole, _ = audio.read_audio(tmp_path / "a.ogg")
    np.testing.assert_array_equal(audio.read_audio(write_bytes(tmp_path / "b.ogg", ogg + bytes(200_000)))[0], whole)
    mp3 = write_sound(tmp_path / "a.mp3", np.tile(TONE, 40)).read_bytes()
    whole, _ = audio.read_audio(tmp_path / "a.mp3")
    tagged = b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + mp3 + b"TAG" + bytes(125)
    np.testing.assert_array_equal(audio.read_audio(write_bytes(tmp_path / "b.mp3", tagged))[0], whole)


@pytest.mark.parametrize("fault", ["truncated mp3", "silent", "constant", "not finite"])
def test_streaming_a_bad_file_raises_at_the_latest_at_its_end(bad, fault):
    path, message = bad[fault]
    with pytest.raises(UserError, match=message):
        list(audio.channel_blocks(path, 512).blocks)


@pytest.mark.parametrize("name", UNUSUAL_NAMES)
def test_unusual_file_names_are_read(tmp_path, name):
    np.testing.assert_allclose(audio.read_audio(write_sound(tmp_path / name))[0], TONE, atol=1e-4)


def test_channels_are_averaged(tmp_path):
    channels = RNG.uniform(-1, 1, (600_000, 8)).astype(np.float32)  # These are more samples than one block.
    wave, _ = audio.read_audio(write_sound(tmp_path / "eight.wav", channels, subtype="FLOAT"))
    np.testing.assert_allclose(wave, channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.mp3", "a.opus"])
def test_stereo_channels_are_kept_in_order(tmp_path, name):
    path = write_stereo(tmp_path / name, **({"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}))
    expected, _ = soundfile.read(path, dtype="float32")
    waves, rate = audio.read_channels(path)
    assert (rate, waves.dtype) == (RATE, np.float32)
    np.testing.assert_allclose(waves, expected.T, atol=1e-6)
    _, channels, blocks = audio.channel_blocks(path, 512)
    np.testing.assert_allclose(np.concatenate(list(blocks), axis=1), expected.T, atol=1e-4)
    assert channels == 2
    np.testing.assert_allclose(audio.read_audio(path)[0], expected.mean(axis=1), atol=1e-6)


def test_mono_file_has_one_channel(tmp_path):
    path = write_sound(tmp_path / "a.wav")
    waves, _ = audio.read_channels(path, 8000)
    np.testing.assert_array_equal(waves, audio.read_audio(path, 8000)[0][None])


def test_channels_are_resampled_separately(tmp_path):
    path = write_stereo(tmp_path / "a.wav", subtype="FLOAT")
    waves, rate = audio.read_channels(path, 22050)
    expected = [audio.resample(wave, RATE, rate) for wave in (TONE, TONE[::-1])]
    np.testing.assert_allclose(waves, expected, atol=1e-6)


def test_more_than_two_channels_are_mixed_with_a_warning(tmp_path, caplog):
    path = write_sound(tmp_path / "six.wav", RNG.uniform(-1, 1, (900, 6)), subtype="FLOAT")
    mono, _ = audio.read_audio(path)
    assert not caplog.records
    waves, _ = audio.read_channels(path)
    np.testing.assert_array_equal(waves, mono[None])
    assert audio.channel_blocks(path, 512).channels == 1
    assert "six.wav has 6 channels, mixed to one" in caplog.text


def test_opposite_channels_and_a_silent_channel_are_kept(tmp_path):
    for name, right in (("opposite.wav", -TONE), ("left.wav", 0 * TONE)):
        waves, _ = audio.read_channels(write_stereo(tmp_path / name, right=right, subtype="FLOAT"))
        np.testing.assert_array_equal(waves, [TONE, right])


def test_channels_that_are_all_constant_raise(tmp_path):
    for name, level, message in (("silent.wav", 0, "is silent"), ("constant.wav", 0.25, "is constant at 0.25")):
        path = write_stereo(tmp_path / name, 0 * TONE + level, 0 * TONE)
        with pytest.raises(UserError, match=message):
            audio.read_channels(path)
        with pytest.raises(UserError, match=message):
            list(audio.channel_blocks(path, 512).blocks)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "PCM_24", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "GSM610"])
def test_aiff_encodings_are_read_and_their_truncation_is_an_error(tmp_path, subtype):
    path = write_sound(tmp_path / "a.aiff", subtype=subtype)
    np.testing.assert_array_equal(audio.read_audio(path)[0], soundfile.read(path, dtype="float32")[0])
    short = write_bytes(tmp_path / "short.aiff", path.read_bytes()[:-100])
    with pytest.raises(UserError, match="is truncated"):
        audio.read_audio(short)


def test_aiff_written_to_a_pipe_with_unknown_size_is_read(tmp_path):
    content = write_sound(tmp_path / "a.aiff").read_bytes()
    content = change_uint32(change_uint32(content, b"COMM", 10, 0x7F00_0000), b"SSND", 4, 0xFE00_0008)
    np.testing.assert_allclose(audio.read_audio(write_bytes(tmp_path / "b.aiff", content))[0], TONE, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 96000])
def test_resampling_preserves_a_tone(tmp_path, rate):
    path = write_sound(
        tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate, subtype="FLOAT"
    )
    wave, result_rate = audio.read_audio(path, RATE)
    assert (result_rate, len(wave), wave.dtype) == (RATE, RATE, np.float32)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(wave[500:-500], tone[500:-500], atol=1e-4)


def test_clipped_sound_is_accepted(tmp_path):
    wave, _ = audio.read_audio(write_sound(tmp_path / "a.wav", np.sign(TONE)))
    assert np.abs(wave).max() > 0.99


def bad_files(folder):
    """Create bad files. Returns for each fault a file that has it and a pattern of the error message."""
    plain = write_sound(folder / "whole.wav").read_bytes()
    flac = write_sound(folder / "whole.flac").read_bytes()
    ogg = write_sound(folder / "whole.ogg", np.tile(TONE, 40)).read_bytes()
    au = write_sound(folder / "whole.au").read_bytes()
    mp3 = write_sound(folder / "whole.mp3", np.tile(TONE, 40)).read_bytes()
    aiff = write_sound(folder / "whole.aiff").read_bytes()
    opus = write_sound(folder / "whole.opus", np.tile(TONE, 40), format="OGG", subtype="OPUS").read_bytes()
    rf64 = write_sound(folder / "rf64.wav", format="RF64").read_bytes()
    rifx = write_sound(folder / "rifx.wav", format="WAV", endian="BIG").read_bytes()
    opposite = np.stack([TONE, -TONE], axis=1)
    not_finite, high = TONE.copy(), TONE.copy()
    not_finite[7], not_finite[9], high[3] = np.nan, np.inf, 32767.0
    os.mkdir(folder / "folder.wav")
    os.symlink(folder / "loop.wav", folder / "loop.wav")
    os.mkfifo(folder / "pipe.wav")
    os.symlink("/dev/zero", folder / "device.wav")
    return {
        "empty": (write_bytes(folder / "empty.wav", b""), "is empty"),
        "header only": (write_bytes(folder / "header.wav", wav_bytes(b"")), "contains no samples"),
        "junk": (write_bytes(folder / "junk.wav", RNG.bytes(5000)), "not a readable sound file"),
        "text": (write_bytes(folder / "text.ogg", b"There is no music here.\n" * 9), "not a readable sound file"),
        "picture": (write_bytes(folder / "png.wav", b"\x89PNG\r\n\x1a\n" + RNG.bytes(99)), "not a readable sound file"),
        "name": (write_bytes(folder / "sound.png", plain), "does not have the suffix of a sound file"),
        "truncated wav": (write_bytes(folder / "short.wav", plain[:-3000]), "is truncated"),
        "truncated flac": (write_bytes(folder / "short.flac", flac[: len(flac) // 2]), "truncated|not a readable"),
        "truncated ogg": (write_bytes(folder / "short.ogg", ogg[: len(ogg) // 2]), "is truncated"),
        "truncated au": (write_bytes(folder / "short.au", au[:-3000]), "is truncated"),
        "truncated mp3": (write_bytes(folder / "short.mp3", mp3[: len(mp3) // 2]), "is truncated"),
        "truncated aiff": (write_bytes(folder / "short.aif", aiff[:-3000]), "is truncated"),
        "aiff declares more": (
            write_bytes(folder / "more.aiff", change_uint32(aiff, b"COMM", 10, 5000)),
            "is truncated: 4000 samples, expected the 5000",
        ),
        "truncated opus": (write_bytes(folder / "short.opus", opus[: len(opus) // 2]), "is truncated"),
        "two opus streams": (write_bytes(folder / "chained.opus", opus + opus), "several streams one after the other"),
        "vorbis": (write_bytes(folder / "vorbis.opus", ogg), "ogg content, expected .opus: rename it to end in .ogg"),
        "truncated rf64": (write_bytes(folder / "short64.wav", rf64[:-3000]), "is truncated"),
        "truncated rifx": (write_bytes(folder / "shortx.wav", rifx[:-3000]), "is truncated"),
        "no length header": (
            write_bytes(folder / "no_header.mp3", remove_length_header(mp3)),
            "length header is missing or wrong",
        ),
        "joined mp3": (write_bytes(folder / "joined.mp3", mp3 + mp3), "several files were joined"),
        "joined mp3 with tags": (
            write_bytes(folder / "tagged.mp3", mp3 + b"TAG" + bytes(125) + b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + mp3),
            "several files were joined",
        ),
        "no length header behind junk": (
            write_bytes(folder / "junk.mp3", b"ID3\4\0\0\0\0\0\x04" + b"\xff\0\xff\0" + remove_length_header(mp3)),
            "length header is missing or wrong",
        ),
        "tagged wav": (
            write_bytes(folder / "tagged.wav", b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + plain),
            "has an ID3 tag before wav content, expected none: remove the tag",
        ),
        "two streams": (write_bytes(folder / "chained.ogg", ogg + ogg), "several streams one after the other"),
        "wrong suffix": (write_bytes(folder / "flac.wav", flac), "flac content, expected .wav: rename it"),
        "aiff": (write_bytes(folder / "aiff.wav", aiff), "aiff content, expected .wav: rename it to end in .aiff"),
        "w64": (write_sound(folder / "w64.wav", format="W64"), "not a readable sound file: it begins with b'riff"),
        "channels cancel": (write_sound(folder / "opposite.wav", opposite), "channels cancel each other"),
        "wrong size": (
            write_bytes(folder / "wrong_size.wav", wav_bytes(b"\1\0" * 99, data_bytes=2**30)),
            "is truncated",
        ),
        "not finite": (write_sound(folder / "nan.wav", not_finite, subtype="FLOAT"), "2 samples are not finite"),
        "not scaled": (write_sound(folder / "high.wav", high, subtype="FLOAT"), "scale them"),
        "silent": (write_sound(folder / "silent.wav", 0 * TONE), "is silent throughout"),
        "constant": (write_sound(folder / "dc.wav", 0 * TONE + 0.25), "constant at 0.25"),
        "one sample": (write_sound(folder / "one.wav", TONE[100:101]), "constant at"),
        "1 Hz": (
            write_bytes(folder / "slow.wav", wav_bytes(RNG.bytes(32000), rate=1)),
            "sample rate of the file is 1 Hz",
        ),
        "4 GHz": (
            write_bytes(folder / "fast.wav", wav_bytes(RNG.bytes(32000), rate=4_000_000_000)),
            "sample rate|readable",
        ),
        "channels": (write_bytes(folder / "wide.wav", wav_bytes(RNG.bytes(32000), channels=200)), "200 channels"),
        "long": (
            write_bytes(folder / "long.wav", wav_bytes(bytes(2_000_000), rate=1000)),
            "lasts 1000 s, expected at most 600 s",
        ),
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
    "truncated rifx", "truncated aiff", "truncated opus", "aiff declares more", "two opus streams", "vorbis",
    "no length header", "no length header behind junk", "joined mp3", "joined mp3 with tags", "tagged wav",
    "two streams", "wrong suffix", "aiff", "w64", "channels cancel", "wrong size",
    "not finite", "not scaled", "silent", "constant", "one sample", "1 Hz", "4 GHz", "channels", "long",
    "missing", "folder", "loop", "pipe", "device",
]  # fmt: skip


def test_every_bad_file_is_tested(bad):
    assert sorted(bad) == sorted(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_file_raises_an_error_that_names_it(bad, fault):
    path, message = bad[fault]
    with pytest.raises(UserError, match=message) as error:
        audio.read_audio(path, RATE)
    assert str(path) in str(error.value)


def test_unreadable_file_raises(tmp_path):
    path = write_sound(tmp_path / "secret.wav")
    path.chmod(0)
    with enforce_permissions(), pytest.raises(UserError, match="not readable by this user"):
        audio.read_audio(path)


def test_wav_written_to_a_pipe_with_unknown_size_is_read(tmp_path):
    content = wav_bytes((TONE * 32767).astype("<i2").tobytes(), data_bytes=0xFFFF_FFFF)
    np.testing.assert_allclose(audio.read_audio(write_bytes(tmp_path / "piped.wav", content))[0], TONE, atol=1e-4)


def test_all_channels_count_towards_the_limit_after_resampling(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "MAX_SAMPLES", 16_000)
    path = write_stereo(tmp_path / "a.wav")
    assert audio.read_audio(path, 4 * RATE)[0].shape == (16_000,)
    with pytest.raises(UserError, match="expected at most 16000 in total"):
        audio.read_channels(path, 4 * RATE)


def test_limits_are_checked_before_samples_are_read(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.wav", subtype="FLOAT")
    monkeypatch.setattr(audio, "_iterate_blocks", lambda *_: pytest.fail("samples were read"))
    with pytest.raises(UserError, match="lasts 0 s, expected at most 0.1 s"):
        audio.read_audio(path, max_duration_s=0.1)
    with pytest.raises(UserError, match="requested sample rate is 4000000 Hz"):
        audio.read_audio(path, 4_000_000)
    monkeypatch.setattr(audio, "MAX_SAMPLES", 100_000)
    with pytest.raises(UserError, match="expected at most 100000 in total"):
        audio.read_audio(path, 768_000)
    monkeypatch.setattr(audio, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="bytes, expected at most 100:"):
        audio.read_audio(path)


@pytest.mark.parametrize(("samples", "short"), [(3, "error"), (5, "error"), (12, "pad"), (12, "repeat"), (3, "pad")])
def test_fit_length_returns_exactly_the_requested_length(samples, short):
    wave = np.arange(1, 6, dtype=np.float32)
    expected = {12: {"pad": [1, 2, 3, 4, 5, *[0] * 7], "repeat": [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]}}
    full = expected.get(samples, {}).get(short, list(range(1, samples + 1)))
    np.testing.assert_array_equal(audio.fit_length(wave, samples, short=short), full)


@pytest.mark.parametrize(("length", "short"), [(5, "error"), (0, "pad"), (0, "repeat")])
def test_fit_length_raises_for_short_or_empty_waves(length, short):
    with pytest.raises(UserError, match=f"clip of {length} samples, expected at least 6"):
        audio.fit_length(np.ones(length, np.float32), 6, short=short)
