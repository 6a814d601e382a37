"""Drawings and photographs of digits: what a person reads alike gives the same image of 28 x 28 pixels."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from specjax.cli.errors import UserError
from specjax.papers.chord import drawings
from specjax.papers.chord.drawings import fit_digit

STROKES = {
    "2": [(80, 90), (100, 60), (150, 50), (190, 80), (190, 120), (90, 220), (200, 225)],
    "4": [(190, 160), (70, 160), (150, 50), (150, 230)],
}
RNG = np.random.default_rng(0)


def draw(name="4", width=24, size=(280, 280), shift=(0, 0)):
    """Draw a digit in black on white."""
    picture = Image.new("L", size, 255)
    points = [(x + shift[0], y + shift[1]) for x, y in STROKES[name]]
    ImageDraw.Draw(picture).line(points, 0, width, joint="curve")
    return np.asarray(picture)


def photograph(name, darkest=60, shadow=1.0):
    """Take a photograph of a gray pen on paper, with light that fades to a corner, a shadow at the left, and noise."""
    pen = 0.25 + 0.75 * draw(name, 12).astype(np.float32) / 255
    x, y = np.meshgrid(np.linspace(0, 1, 280), np.linspace(0, 1, 280))
    light = darkest + (230 - darkest) * (x + y) / 2
    light[:, :50] *= shadow
    return np.clip(pen * light + RNG.normal(0, 3, pen.shape), 0, 255).astype(np.uint8)


def draw_on_ruled_paper(name):
    picture = draw(name).copy()
    picture[::20] = 215
    return picture


def draw_with_specks(name):
    picture = draw(name).copy()
    picture[30:33, 30:33] = picture[250:254, 20:24] = 0
    return picture


LIKENESSES = {
    "bright on dark": lambda name: 255 - draw(name),
    "pale": lambda name: 200 + draw(name) // 8,
    "other place": lambda name: draw(name, size=(500, 300), shift=(180, 20)),
    "thin": lambda name: draw(name, 5),
    "thick": lambda name: draw(name, 40),
    "small": lambda name: np.asarray(Image.fromarray(draw(name)).resize((28, 28), Image.Resampling.BOX)),
    "ruled paper": draw_on_ruled_paper,
    "specks": draw_with_specks,
    "uneven light": photograph,
    "dark corner": lambda name: photograph(name, darkest=20),
    "hard shadow": lambda name: photograph(name, shadow=0.4),
}


def correlate(image, other):
    """Return the greatest correlation of two images that may be shifted by one pixel, because centers are rounded."""
    shifted = [np.roll(other, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(np.corrcoef(image.ravel(), other.ravel())[0, 1] for other in shifted)


@pytest.mark.parametrize("name", STROKES)
@pytest.mark.parametrize("likeness", LIKENESSES)
def test_digit_looks_alike_in_any_light_size_and_stroke_width(likeness, name):
    clean, result = (fit_digit(picture, "here") for picture in (draw(name), LIKENESSES[likeness](name)))
    assert correlate(clean, result) > 0.9
    assert result.mean() == pytest.approx(clean.mean(), rel=0.2)


def test_ink_fills_twenty_pixels_around_the_center_with_strokes_as_wide_as_those_of_mnist(real_data):
    from specjax.data.readers import read_idx

    digits = read_idx(real_data / "mnist" / "train-images-idx3-ubyte.gz", 3)[:60]
    results = [fit_digit(digit, "here") for digit in digits]
    for digit, result in zip(digits, results, strict=True):
        rows, columns = (np.flatnonzero(result.any(axis=axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) == 19
        assert result.max() == 255
        assert correlate(digit, result) > 0.65
    assert np.mean(results) == pytest.approx(np.mean(digits), rel=0.1)


@pytest.mark.parametrize("width", [4, 10, 30, 50])
def test_strokes_get_the_width(width):
    mask = np.zeros((300, 300), bool)
    mask[20:280, 100 : 100 + width] = True
    result = drawings.set_stroke_width(mask[20:280, 100 : 100 + width], 0.1)
    assert np.median(result.sum(axis=1)) == pytest.approx(0.1 * result.any(axis=1).sum(), abs=4)


def dots(*corners):
    picture = np.full((280, 280), 255, np.uint8)
    for x, y in corners:
        picture[y : y + 8, x : x + 8] = 0
    return picture


FAULTS = {
    "blank": (lambda: np.full((28, 28), 80, np.uint8), "no digit stands out"),
    "blank photograph": (lambda: RNG.normal(150, 3, (300, 300)).astype(np.uint8), "no digit stands out|marks, exp"),
    "noise": (lambda: RNG.integers(0, 256, (280, 280), dtype=np.uint8), "marks, expected one digit"),
    "two digits": (
        lambda: np.hstack([draw("2")[:, 60:220], draw("4")[:, 50:210]]),
        "beside or far from each other, expected one digit",
    ),
    "two dots": (lambda: dots((20, 20), (250, 200)), "beside or far from each other"),
    "dots above each other": (lambda: dots((20, 20), (20, 200)), "beside or far from each other"),
    "one dot": (lambda: dots((100, 100)), "a solid mark without strokes"),
    "one row": (lambda: np.array([[0] * 4 + [255] * 5], np.uint8), "is 1 x 9 pixels, expected at least 8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_picture_without_one_digit_raises(fault):
    picture, message = FAULTS[fault]
    with pytest.raises(UserError, match=f"here.*{message}"):
        fit_digit(picture(), "here")
