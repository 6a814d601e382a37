"""File bytes to arrays: what is well formed is read exactly, everything else is refused in a sentence."""

import gzip
import os
import signal
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from powers import without_powers
from specjax.cli.errors import UserError
from specjax.data import readers as gate

RNG = np.random.default_rng(0)


@pytest.fixture
def alarm():
    """Turns a hang into a failure."""

    def late(*_):
        raise AssertionError("the reader hung")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def idx_bytes(array, *, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    head = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return head + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def written(path, content):
    path.write_bytes(content)
    return path


PICTURES = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_idx_file_is_read_exactly(tmp_path, shape, compressed):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    content = idx_bytes(array)
    path = tmp_path / ("x-idx-ubyte.gz" if compressed else "x-idx-ubyte")
    result = gate.read_idx(written(path, gzip.compress(content) if compressed else content), len(shape))
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.uint8


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(PICTURES)[:-1], "truncated.*2352 bytes"),
        (idx_bytes(PICTURES)[:9], "truncated"),
        (idx_bytes(PICTURES) + b"\0", "past its end"),
        (idx_bytes(PICTURES, magic=b"\0\0\x0d\3"), "not an idx file of bytes.*00000d03.*00000803"),
        (idx_bytes(PICTURES, magic=b"PK\3\4"), "not an idx file"),
        (idx_bytes(PICTURES[0]) + bytes(4), "not an idx file of bytes with 3 dimensions"),
        (idx_bytes(PICTURES[:0]), "empty.*0, 28, 28"),
        (idx_bytes(PICTURES, shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)), "damaged or hostile"),
        (idx_bytes(PICTURES, shape=(2**32 - 1, 28, 28)), "damaged or hostile"),
    ],
    ids=["short", "no header", "long", "floats", "zip", "wrong rank", "no pictures", "overflowing", "huge"],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message, compressed):
    path = tmp_path / ("train-images-idx3-ubyte.gz" if compressed else "train-images-idx3-ubyte")
    written(path, gzip.compress(content) if compressed else content)
    with pytest.raises(UserError, match=message) as refusal:
        gate.read_idx(path, 3)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
def test_a_small_file_that_claims_a_gibibyte_takes_no_such_memory(tmp_path, name):
    content = idx_bytes(PICTURES, shape=(2**20, 32, 32))
    path = written(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="truncated"):
            gate.read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"not gzip at all", gzip.compress(idx_bytes(PICTURES))[:-9], gzip.compress(idx_bytes(PICTURES))[:30]],
    ids=["garbage", "cut tail", "cut body"],
)
def test_a_damaged_gzip_is_refused(tmp_path, content):
    with pytest.raises(UserError, match="fetch it again"):
        gate.read_idx(written(tmp_path / "x.gz", content), 3)


def test_a_gzip_with_a_flipped_byte_is_refused(tmp_path):
    content = bytearray(gzip.compress(idx_bytes(PICTURES)))
    content[-6] ^= 0xFF  # in the checksum
    with pytest.raises(UserError, match="fetch it again"):
        gate.read_idx(written(tmp_path / "x.gz", bytes(content)), 3)


@pytest.mark.parametrize("read", [lambda p: gate.read_idx(p, 3), gate.read_picture], ids=["idx", "picture"])
class TestWhatIsNoPlainFile:
    def test_missing(self, tmp_path, read):
        with pytest.raises(UserError, match=r"nothing\.png: No such file"):
            read(tmp_path / "nothing.png")

    def test_empty(self, tmp_path, read):
        with pytest.raises(UserError, match="is empty"):
            read(written(tmp_path / "x", b""))

    def test_directory(self, tmp_path, read):
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path)

    @pytest.mark.usefixtures("alarm")
    def test_pipe(self, tmp_path, read):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path / "pipe")

    @pytest.mark.usefixtures("alarm")
    def test_endless_device(self, tmp_path, read):
        (tmp_path / "zeros").symlink_to("/dev/zero")
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path / "zeros")

    def test_dangling_link(self, tmp_path, read):
        (tmp_path / "link").symlink_to(tmp_path / "gone")
        with pytest.raises(UserError, match="No such file"):
            read(tmp_path / "link")

    def test_link_to_itself(self, tmp_path, read):
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with pytest.raises(UserError, match="loop"):
            read(tmp_path / "loop")

    def test_unreadable(self, tmp_path, read):
        path = written(tmp_path / "x", idx_bytes(PICTURES))
        path.chmod(0)
        with without_powers(), pytest.raises(UserError, match="not readable"):
            read(path)


def test_a_grey_picture_is_read_exactly(tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "x.png")
    np.testing.assert_array_equal(gate.read_picture(tmp_path / "x.png"), PICTURES[0])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "LA"])
def test_white_is_255_in_every_colour_mode(tmp_path, mode):
    black_and_white = np.repeat(np.array([[0, 255]], np.uint8), 2, axis=0)
    Image.fromarray(black_and_white).convert(mode).save(tmp_path / "x.png")
    np.testing.assert_array_equal(gate.read_picture(tmp_path / "x.png"), black_and_white)


def test_sixteen_bit_greys_are_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 2**14, 2**15, 2**16 - 1]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    np.testing.assert_allclose(gate.read_picture(tmp_path / "x.png"), levels / 257.0, atol=1)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.pgm"])
@pytest.mark.parametrize(
    "content", [b"just some text, named otherwise\n", bytes(100), RNG.bytes(500), b"P5 28 28 255\nshort"]
)
def test_junk_is_no_picture(tmp_path, name, content):
    with pytest.raises(UserError, match="not a readable picture"):
        gate.read_picture(written(tmp_path / name, content))


def test_a_cut_picture_is_refused(tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    with pytest.raises(UserError, match="not a readable picture"):
        gate.read_picture(written(tmp_path / "cut.png", content[: len(content) // 2]))


def test_a_picture_with_too_long_a_side_is_refused(tmp_path):
    Image.fromarray(np.zeros((2, gate.MAX_PICTURE_SIDE + 1), np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"8193 x 2: sides stop at 8192"):
        gate.read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("side", [12_000, 60_000], ids=["pillow warns", "pillow stops"])
def test_a_decompression_bomb_is_refused_before_it_unfolds(tmp_path, side):
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    with pytest.raises(UserError):
        gate.read_picture(written(tmp_path / "x.png", content))


def test_a_picture_file_of_too_many_bytes_is_refused_unopened(tmp_path):
    with open(tmp_path / "x.png", "wb") as file:
        file.truncate(gate.MAX_PICTURE_BYTES + 1)
    with pytest.raises(UserError, match="16777217 bytes"):
        gate.read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(tmp_path, value):
    pixels = np.full((28, 28), 0.5, np.float32)
    pixels[3, 4] = value
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match="not finite"):
        gate.read_picture(tmp_path / "x.tif")


def test_digits_of_bytes_pass_untouched():
    np.testing.assert_array_equal(gate.check_digits(PICTURES, "here"), PICTURES)
    np.testing.assert_array_equal(gate.check_digits(PICTURES[..., None], "here"), PICTURES)


def test_digits_of_floats_become_the_nearest_grey():
    result = gate.check_digits(np.full((1, 28, 28), 0.5, np.float32) + 1e-3, "here")
    np.testing.assert_array_equal(result, np.full((1, 28, 28), 128))
    np.testing.assert_array_equal(gate.check_digits(PICTURES / 255.0, "here"), PICTURES)
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 32, 32), np.uint8), r"here: pictures of shape \(32, 32\), expected 28 x 28"),
        (np.zeros((3, 28, 28, 3), np.uint8), r"\(28, 28, 3\)"),
        (np.zeros((28, 28), np.uint8), "expected 28 x 28"),
        (np.zeros((3, 28, 28), np.int32), "type int32, expected uint8 or floats"),
        (np.full((1, 28, 28), np.nan), "784 pixels are not finite"),
        (np.full((1, 28, 28), -np.inf), "784 pixels are not finite"),
        (np.full((1, 28, 28), 255.0), "from 255 to 255, expected 0 to 1"),
        (np.full((1, 28, 28), -0.1), "from -0.1 to -0.1"),
    ],
)
def test_other_digits_are_refused(images, message):
    with pytest.raises(UserError, match=message):
        gate.check_digits(images, "here")


def test_labels_become_int32():
    result = gate.check_labels(np.array([0, 9, 3], np.uint8), 3, 10, "here")
    np.testing.assert_array_equal(result, [0, 9, 3])
    assert result.dtype == np.int32


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 10, 11], "label 10 is out of range 0 to 9"),
        ([0, -1, 3], "label -1 is out of range"),
        ([0, 1], r"\(2,\) labels for 3 pictures"),
        ([[0, 1, 2]], "do not belong together"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        gate.check_labels(np.array(labels), 3, 10, "here")


def test_a_folder_must_hold_something(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        gate.check_folder(tmp_path, "sounds")
    with pytest.raises(UserError, match="does not exist"):
        gate.check_folder(tmp_path / "gone", "sounds")
    with pytest.raises(UserError, match="not a folder"):
        gate.check_folder(written(tmp_path / "file", b"x"), "sounds")
    gate.check_folder(tmp_path, "sounds")


def test_an_unreadable_folder_is_refused(tmp_path):
    written(tmp_path / "file", b"x")
    tmp_path.chmod(0)
    try:
        with without_powers(), pytest.raises(UserError, match="not readable"):
            gate.check_folder(tmp_path, "sounds")
    finally:
        tmp_path.chmod(0o700)
