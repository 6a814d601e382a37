"""The idx and image readers: valid files are read exactly, all others raise an error in one line."""

import gzip
import os
import signal
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from permissions import enforce_permissions
from specjax.cli.errors import UserError
from specjax.data import readers

RNG = np.random.default_rng(0)


@pytest.fixture
def alarm():
    """Fail the test if a reader hangs."""

    def fail(*_):
        raise AssertionError("the reader hung")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def idx_bytes(array, *, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    head = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return head + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def write_bytes(path, content):
    path.write_bytes(content)
    return path


IMAGES = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("compressed", [False, True])
def test_idx_file_is_read_exactly(tmp_path, shape, compressed):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    content = idx_bytes(array)
    path = tmp_path / ("x-idx-ubyte.gz" if compressed else "x-idx-ubyte")
    result = readers.read_idx(write_bytes(path, gzip.compress(content) if compressed else content), len(shape))
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.uint8


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(IMAGES)[:-1], "truncated.*2352 bytes"),
        (idx_bytes(IMAGES)[:9], "truncated"),
        (idx_bytes(IMAGES) + b"\0", "past its end"),
        (idx_bytes(IMAGES, magic=b"\0\0\x0d\3"), "not an idx file of bytes.*00000d03.*00000803"),
        (idx_bytes(IMAGES, magic=b"PK\3\4"), "not an idx file"),
        (idx_bytes(IMAGES[0]) + bytes(4), "not an idx file of bytes with 3 dimensions"),
        (idx_bytes(IMAGES[:0]), "empty.*0, 28, 28"),
        (idx_bytes(IMAGES, shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)), "damaged or hostile"),
        (idx_bytes(IMAGES, shape=(2**32 - 1, 28, 28)), "damaged or hostile"),
    ],
    ids=["short", "no header", "long", "floats", "zip", "wrong rank", "no images", "overflowing", "huge"],
)
def test_damaged_idx_file_raises(tmp_path, content, message, compressed):
    path = tmp_path / ("train-images-idx3-ubyte.gz" if compressed else "train-images-idx3-ubyte")
    write_bytes(path, gzip.compress(content) if compressed else content)
    with pytest.raises(UserError, match=message) as error:
        readers.read_idx(path, 3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
def test_small_file_that_declares_a_gibibyte_takes_little_memory(tmp_path, name):
    content = idx_bytes(IMAGES, shape=(2**20, 32, 32))
    path = write_bytes(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="truncated|times its size"):
            readers.read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"not gzip at all", gzip.compress(idx_bytes(IMAGES))[:-9], gzip.compress(idx_bytes(IMAGES))[:30]],
    ids=["garbage", "cut tail", "cut body"],
)
def test_damaged_gzip_raises(tmp_path, content):
    with pytest.raises(UserError, match="get the file again"):
        readers.read_idx(write_bytes(tmp_path / "x.gz", content), 3)


def test_idx_file_that_unpacks_to_far_more_than_real_data_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "UNSUSPICIOUS_BYTES", 2**16)
    for images, is_bomb in ((np.zeros((300, 28, 28), np.uint8), True), (np.tile(IMAGES, (100, 1, 1)), False)):
        path = write_bytes(tmp_path / "x.gz", gzip.compress(idx_bytes(images)))
        if is_bomb:
            with pytest.raises(UserError, match="to 235200 bytes, expected at most 250 times its size"):
                readers.read_idx(path, 3)
        else:
            np.testing.assert_array_equal(readers.read_idx(path, 3), images)


def test_gzip_with_a_flipped_byte_raises(tmp_path):
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    content[-6] ^= 0xFF  # This byte belongs to the checksum.
    with pytest.raises(UserError, match="get the file again"):
        readers.read_idx(write_bytes(tmp_path / "x.gz", bytes(content)), 3)


@pytest.mark.parametrize(
    "read",
    [lambda p: readers.read_idx(p, 3), readers.read_picture, readers.read_color_picture],
    ids=["idx", "picture", "color"],
)
class TestNotARegularFile:
    def test_missing_file_raises(self, tmp_path, read):
        with pytest.raises(UserError, match=r"nothing\.png: No such file"):
            read(tmp_path / "nothing.png")

    def test_empty_file_raises(self, tmp_path, read):
        with pytest.raises(UserError, match="is empty"):
            read(write_bytes(tmp_path / "x", b""))

    def test_directory_raises(self, tmp_path, read):
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path)

    @pytest.mark.usefixtures("alarm")
    def test_pipe_raises(self, tmp_path, read):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path / "pipe")

    @pytest.mark.usefixtures("alarm")
    def test_endless_device_raises(self, tmp_path, read):
        (tmp_path / "zeros").symlink_to("/dev/zero")
        with pytest.raises(UserError, match="not a regular file"):
            read(tmp_path / "zeros")

    def test_dangling_link_raises(self, tmp_path, read):
        (tmp_path / "link").symlink_to(tmp_path / "gone")
        with pytest.raises(UserError, match="No such file"):
            read(tmp_path / "link")

    def test_link_to_itself_raises(self, tmp_path, read):
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with pytest.raises(UserError, match="loop"):
            read(tmp_path / "loop")

    def test_unreadable_file_raises(self, tmp_path, read):
        path = write_bytes(tmp_path / "x", idx_bytes(IMAGES))
        path.chmod(0)
        with enforce_permissions(), pytest.raises(UserError, match="not readable"):
            read(path)


def test_gray_image_is_read_exactly(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "x.png")
    np.testing.assert_array_equal(readers.read_picture(tmp_path / "x.png"), IMAGES[0])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "LA"])
def test_white_is_255_in_every_color_mode(tmp_path, mode):
    black_and_white = np.repeat(np.array([[0, 255]], np.uint8), 2, axis=0)
    Image.fromarray(black_and_white).convert(mode).save(tmp_path / "x.png")
    np.testing.assert_array_equal(readers.read_picture(tmp_path / "x.png"), black_and_white)


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_are_read_exactly_and_opaque_without_alpha(tmp_path, channels):
    pixels = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    result = readers.read_color_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(result[..., :channels], pixels)
    assert result.shape == (5, 7, 4)
    assert channels == 4 or np.all(result[..., 3] == 255)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_picture_is_turned_as_its_exif_data_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(IMAGES[0]).save(tmp_path / "x.png", exif=exif)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    np.testing.assert_array_equal(readers.read_picture(tmp_path / "x.png"), np.rot90(IMAGES[0], turns))


def test_transparent_pixels_are_laid_on_white(tmp_path):
    pixels = np.dstack([np.zeros((1, 3), np.uint8), np.array([[0, 51, 255]], np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(readers.read_picture(tmp_path / "x.png"), [[255, 204, 0]])


@pytest.mark.parametrize("name", ["x.png", "x.pgm", "x.tif"])
def test_sixteen_bit_gray_levels_are_scaled_not_clipped(tmp_path, name):
    levels = np.array([[0, 2**14, 2**15, 2**16 - 1]], np.uint16)
    Image.fromarray(levels).save(tmp_path / name)
    np.testing.assert_allclose(readers.read_picture(tmp_path / name), levels / 257.0, atol=1)


def test_floats_up_to_one_are_scaled_and_others_raise(tmp_path):
    levels = np.array([[0, 0.25, 1]], np.float32)
    Image.fromarray(levels).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(readers.read_picture(tmp_path / "x.tif"), [[0, 64, 255]])
    Image.fromarray(levels * 255).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match="pixels from 0 to 255, expected 0 to 1: scale them"):
        readers.read_picture(tmp_path / "x.tif")


@pytest.mark.parametrize("other", ["DDS", "ICO", "EPS", "TGA", "PCX", "JPEG2000"])
def test_other_formats_raise_whatever_their_name(tmp_path, other):
    Image.new("RGB", (32, 32)).save(tmp_path / "x.png", other)
    with pytest.raises(UserError, match="not a readable image"):
        readers.read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.pgm"])
@pytest.mark.parametrize(
    "content", [b"just some text, named otherwise\n", bytes(100), RNG.bytes(500), b"P5 28 28 255\nshort"]
)
def test_junk_raises(tmp_path, name, content):
    with pytest.raises(UserError, match="not a readable image"):
        readers.read_picture(write_bytes(tmp_path / name, content))


def test_truncated_image_raises(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    with pytest.raises(UserError, match="not a readable image"):
        readers.read_picture(write_bytes(tmp_path / "cut.png", content[: len(content) // 2]))


def test_image_with_too_long_a_side_raises(tmp_path):
    Image.fromarray(np.zeros((2, readers.MAX_PICTURE_SIDE + 1), np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"8193 x 2, expected sides of at most 8192"):
        readers.read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("side", [12_000, 60_000], ids=["pillow warns", "pillow raises"])
def test_decompression_bomb_raises(tmp_path, side):
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    with pytest.raises(UserError):
        readers.read_picture(write_bytes(tmp_path / "x.png", content))


def test_image_file_of_too_many_bytes_raises(tmp_path):
    with open(tmp_path / "x.png", "wb") as file:
        file.truncate(readers.MAX_PICTURE_BYTES + 1)
    with pytest.raises(UserError, match="16777217 bytes"):
        readers.read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_raise(tmp_path, value):
    pixels = np.full((28, 28), 0.5, np.float32)
    pixels[3, 4] = value
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match="not finite"):
        readers.read_picture(tmp_path / "x.tif")


def test_byte_digits_are_returned_unchanged():
    np.testing.assert_array_equal(readers.check_digits(IMAGES, "here"), IMAGES)
    np.testing.assert_array_equal(readers.check_digits(IMAGES[..., None], "here"), IMAGES)


def test_float_digits_are_rounded_to_gray_levels():
    result = readers.check_digits(np.full((1, 28, 28), 0.5, np.float32) + 1e-3, "here")
    np.testing.assert_array_equal(result, np.full((1, 28, 28), 128))
    np.testing.assert_array_equal(readers.check_digits(IMAGES / 255.0, "here"), IMAGES)
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 32, 32), np.uint8), r"here: images of shape \(32, 32\), expected 28 x 28"),
        (np.zeros((3, 28, 28, 3), np.uint8), r"\(28, 28, 3\)"),
        (np.zeros((28, 28), np.uint8), "expected 28 x 28"),
        (np.zeros((3, 28, 28), np.int32), "type int32, expected uint8 or floats"),
        (np.full((1, 28, 28), np.nan), "784 pixels are not finite"),
        (np.full((1, 28, 28), -np.inf), "784 pixels are not finite"),
        (np.full((1, 28, 28), 255.0), "from 255 to 255, expected 0 to 1"),
        (np.full((1, 28, 28), -0.1), "from -0.1 to -0.1"),
    ],
)
def test_invalid_digits_raise(images, message):
    with pytest.raises(UserError, match=message):
        readers.check_digits(images, "here")


def test_labels_are_converted_to_int32():
    result = readers.check_labels(np.array([0, 9, 3], np.uint8), 3, 10, "here")
    np.testing.assert_array_equal(result, [0, 9, 3])
    assert result.dtype == np.int32


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 10, 11], "label 10 is out of range 0 to 9"),
        ([0, -1, 3], "label -1 is out of range"),
        ([0, 1], r"\(2,\) labels for 3 images"),
        ([[0, 1, 2]], "do not belong together"),
    ],
)
def test_invalid_labels_raise(labels, message):
    with pytest.raises(UserError, match=message):
        readers.check_labels(np.array(labels), 3, 10, "here")


def test_missing_or_empty_folder_and_file_raise(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        readers.check_folder(tmp_path, "sounds")
    with pytest.raises(UserError, match="does not exist"):
        readers.check_folder(tmp_path / "gone", "sounds")
    with pytest.raises(UserError, match="not a folder"):
        readers.check_folder(write_bytes(tmp_path / "file", b"x"), "sounds")
    readers.check_folder(tmp_path, "sounds")


def test_unreadable_folder_raises(tmp_path):
    write_bytes(tmp_path / "file", b"x")
    tmp_path.chmod(0)
    try:
        with enforce_permissions(), pytest.raises(UserError, match="not readable"):
            readers.check_folder(tmp_path, "sounds")
    finally:
        tmp_path.chmod(0o700)
