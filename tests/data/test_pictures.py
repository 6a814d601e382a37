"""Reading of image files of all kinds as square pictures, compared with NumPy and Pillow."""

import numpy as np
import pytest
from PIL import Image

from specjax.cli.errors import UserError
from specjax.data.pictures import picture_files, read_pictures, read_square

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)


def save(path, picture, **options):
    picture.save(path, **options)
    return path


def test_square_in_the_middle_is_averaged_over_areas(tmp_path):
    pixels = RNG.integers(0, 256, (24, 37, 3), dtype=np.uint8)
    expected = pixels[:, 6:30].reshape(8, 3, 8, 3, 3).mean(axis=(1, 3))
    path = save(tmp_path / "wide.png", Image.fromarray(pixels))
    np.testing.assert_allclose(read_square(path, 8), expected, atol=0.51)
    tall = save(tmp_path / "tall.png", Image.fromarray(pixels.swapaxes(0, 1)))
    np.testing.assert_array_equal(read_square(tall, 8), read_square(path, 8).swapaxes(0, 1))


def test_pixels_between_two_parts_count_by_their_share(tmp_path):
    pixels = np.zeros((3, 3, 3), np.uint8)
    pixels[1, 1] = 180
    # The middle pixel is shared by all four parts of 1.5 x 1.5 pixels.
    path = save(tmp_path / "x.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(read_square(path, 2), np.full((2, 2, 3), 20))


def test_small_picture_is_enlarged_like_in_pillow(tmp_path):
    path = save(tmp_path / "x.png", Image.fromarray(PIXELS))
    expected = np.asarray(Image.fromarray(PIXELS).resize((24, 24), Image.Resampling.BILINEAR), float)
    np.testing.assert_allclose(read_square(path, 24), expected, atol=1.01)


def test_size_of_the_picture_itself_changes_nothing(tmp_path):
    np.testing.assert_array_equal(read_square(save(tmp_path / "x.png", Image.fromarray(PIXELS)), 6), PIXELS)


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_gray_becomes_color(tmp_path, mode):
    levels = RNG.integers(0, 2, (4, 4)) * 255
    levels = levels.astype(np.uint16) * 257 if mode == "I;16" else levels.astype(np.uint8)
    picture = Image.fromarray(levels) if mode == "I;16" else Image.fromarray(levels).convert(mode)
    result = read_square(save(tmp_path / "x.png", picture), 4)
    np.testing.assert_array_equal(result, np.repeat((levels > 0)[..., None] * 255, 3, axis=2))


def test_sixteen_bit_gray_levels_are_scaled(tmp_path):
    levels = np.arange(0, 2**16, 2**12, dtype=np.uint16).reshape(4, 4)
    result = read_square(save(tmp_path / "x.tiff", Image.fromarray(levels)), 4)
    np.testing.assert_allclose(result[..., 0], levels / 257, atol=1)


def test_printing_colors_and_palettes_become_red_green_and_blue(tmp_path):
    solid = Image.new("RGB", (8, 8), (200, 40, 90))
    for name, picture in (("c.jpg", solid.convert("CMYK")), ("c.tif", solid.convert("CMYK")), ("p.gif", solid)):
        path = save(tmp_path / name, picture.quantize() if name == "p.gif" else picture)
        np.testing.assert_allclose(read_square(path, 4), np.broadcast_to([200, 40, 90], (4, 4, 3)), atol=3)


def test_transparent_pixels_are_laid_on_white(tmp_path):
    alpha = np.array([[0, 51], [255, 102]], np.uint8)
    pixels = np.dstack([np.full((2, 2, 3), 100, np.uint8), alpha])
    result = read_square(save(tmp_path / "x.png", Image.fromarray(pixels)), 2)
    np.testing.assert_array_equal(result[..., 0], [[255, 224], [100, 193]])
    palette = Image.fromarray(PIXELS).quantize(4)
    palette.info["transparency"] = 0
    hidden = np.asarray(palette) == 0
    assert np.all(read_square(save(tmp_path / "p.png", palette), 6)[hidden] == 255)


def test_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    path = save(tmp_path / "x.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_square(path, 4)[0, 0].tolist() == [255, 0, 0]


def test_picture_is_turned_as_its_exif_data_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    path = save(tmp_path / "x.png", Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_array_equal(read_square(path, 6), np.rot90(PIXELS, -1))


def test_pictures_of_32_bits_raise(tmp_path):
    path = save(tmp_path / "x.tif", Image.fromarray(RNG.integers(0, 256, (4, 4), dtype=np.int32)))
    with pytest.raises(UserError, match="has pixels of 32 bits, expected 8 or 16"):
        read_square(path, 4)


class TestManyPictures:
    @pytest.fixture
    def paths(self, tmp_path):
        good = [save(tmp_path / f"{i}.png", Image.fromarray(PIXELS)) for i in range(3)]
        bad = tmp_path / "1_bad.jpg"
        bad.write_bytes(good[0].read_bytes()[:60])
        return sorted([*good, bad])

    def test_bad_ones_are_skipped_with_a_reason(self, paths):
        read = read_pictures(paths, 6, max_bad_share=0.25)
        assert read.paths == [paths[0], paths[1], paths[3]]
        np.testing.assert_array_equal(read.pixels, [PIXELS] * 3)
        assert read.skipped[0].path == paths[2]
        assert "is not a readable image" in read.skipped[0].reason

    def test_too_many_bad_ones_and_none_raise(self, paths):
        with pytest.raises(UserError, match=r"1 of 4 pictures cannot be used, more than max_bad_share=0.2; .*bad"):
            read_pictures(paths, 6, max_bad_share=0.2)
        with pytest.raises(UserError, match="none of 1 pictures can be used"):
            read_pictures(paths[2:3], 6, max_bad_share=1.0)
        with pytest.raises(UserError, match="no pictures to read"):
            read_pictures([], 6, max_bad_share=1.0)

    def test_files_are_listed_by_suffix(self, paths, tmp_path):
        (tmp_path / "notes.txt").touch()
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "z.WEBP").touch()
        assert picture_files(tmp_path) == [*paths, tmp_path / "more" / "z.WEBP"]
