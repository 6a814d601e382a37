"""Rendered images: shapes, a colormap of increasing lightness, and downsampling that keeps thin lines."""

import numpy as np
import pytest

from specjax.plots import render

RNG = np.random.default_rng(0)


def lightness(rgb):
    """Compute the CIE lightness L* of sRGB bytes."""
    c = np.asarray(rgb, float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


def test_colormap_increases_in_lightness():
    levels = lightness(render.apply_colormap(np.linspace(0, 1, 256)[None])[0])
    assert levels[0] < 2
    assert levels[-1] > 95
    assert np.diff(levels[::8]).min() > 0
    # Adjacent colors may decrease slightly because of rounding to bytes.
    assert np.diff(levels).min() > -0.5
    # No part of the scale may rise at more than twice the mean rate.
    assert np.diff(levels[::16]).max() < 2 * (levels[-1] - levels[0]) / 16


def test_colors_are_bytes_and_levels_are_clipped():
    levels = np.array([[-1.0, 0.0, 1.0, 2.0, np.nan, np.inf]])
    rgb = render.apply_colormap(levels)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (1, 6, 3)
    np.testing.assert_array_equal(rgb[0, 0], rgb[0, 1])
    np.testing.assert_array_equal(rgb[0, 3], rgb[0, 2])
    np.testing.assert_array_equal(rgb[0, 4], rgb[0, 1])
    np.testing.assert_array_equal(rgb[0, 5], rgb[0, 2])


@pytest.mark.parametrize(("shape", "factor"), [((12, 8), 4), ((13, 11), 4), ((5, 5), 1), ((6, 9), 3)])
def test_shrink_takes_block_maxima(shape, factor):
    picture = RNG.random(shape)
    small = render.shrink(picture, factor)
    assert small.shape == tuple(n // factor for n in shape)
    for i in range(small.shape[0]):
        for j in range(small.shape[1]):
            block = picture[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
            assert small[i, j] == block.max()


def test_thin_line_stays_visible():
    picture = np.zeros((100, 100))
    picture[37] = 1.0
    np.testing.assert_array_equal(render.shrink(picture, 10)[3], 1.0)


def test_tile_separates_images_by_the_margin():
    pictures = [[np.full((10, 20, 3), 40 * (3 * i + j), np.uint8) for j in range(3)] for i in range(2)]
    sheet = render.tile(pictures, ["a", "b", "c"], margin=5)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (22 + 2 * 15, 5 + 3 * 25, 3)
    for i in range(2):
        for j in range(3):
            top, left = 22 + 15 * i, 5 + 25 * j
            np.testing.assert_array_equal(sheet[top : top + 10, left : left + 20], pictures[i][j])


def test_titles_add_a_column_and_captions_are_drawn():
    picture = np.full((30, 60, 3), 255, np.uint8)
    plain, captioned = (render.tile([[picture]], [caption], ["row"]) for caption in ("", "caption"))
    assert plain.shape == (22 + 36, 110 + 66, 3)
    assert (plain[:, :110] < 128).any()
    assert (captioned[:22, 110:] < 128).any()
    assert not (plain[:22, 110:] < 128).any()


class TestSpectrogram:
    LEFT, TOP = 70, 30

    def field(self, levels, **options):
        size = (80, 60)
        sheet = render.spectrogram(levels, size=size, **options)
        assert sheet.dtype == np.uint8
        assert sheet.shape == (30 + 60 + 45, 70 + 80 + 20, 3)
        # The ticks of the axis touch the first column, so it is left out.
        return sheet[self.TOP : self.TOP + 60, self.LEFT + 1 : self.LEFT + 80]

    def test_low_frequencies_are_at_the_bottom_and_time_runs_to_the_right(self):
        levels = np.zeros((40, 40))
        levels[:4, :4] = 1.0
        bright = lightness(self.field(levels)) > 50
        rows, columns = np.nonzero(bright)
        assert rows.min() > 45
        assert columns.max() < 15

    def test_range_of_rows_fills_the_plot(self):
        levels = np.zeros((40, 40))
        levels[10:20] = 1.0
        assert lightness(self.field(levels, rows=(10, 20), title="part")).min() > 90
        assert lightness(self.field(levels, rows=(20, 40))).max() < 10

    def test_axes_are_drawn(self):
        sheet = render.spectrogram(np.zeros((40, 40)), size=(80, 60))
        assert (sheet[:, :70] < 128).any()
        assert (sheet[-45:] < 128).any()

    def test_line_is_drawn_at_its_frequency(self):
        """The brightest pixel row of a tone of 220 Hz is where the axis has 220 Hz."""
        levels = np.zeros((500, 20))
        levels[55] = 1.0
        field = lightness(self.field(levels, row_hz=4.0, rows=(40, 70)))
        height_of_line = float(np.argmax(field.mean(axis=1))) + 0.5
        lowest, highest = 39.5 * 4, 69.5 * 4
        assert height_of_line == pytest.approx((highest - 220) / (highest - lowest) * 60, abs=1.01)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.25, [0, 0.05, 0.1, 0.15, 0.2, 0.25]),
        (-4, 804, [0, 200, 400, 600, 800]),
        (158, 278, [160, 180, 200, 220, 240, 260]),
        (0, 60, [0, 10, 20, 30, 40, 50, 60]),
    ],
)
def test_round_numbers_lie_within_the_limits(low, high, expected):
    assert render.round_numbers(float(low), float(high)) == expected
