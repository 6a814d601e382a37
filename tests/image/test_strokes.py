"""Strokes of capsules and rings get the width of ideal ones, keep their place, and never vanish."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from specjax.image.strokes import change_stroke_width, random_stroke_width

SIDE, FINE = 28, 8  # pixels of a side, and points per pixel from which drawings are averaged
MAX_CHANGE = 3.0
change_width = jax.jit(partial(change_stroke_width, max_change=MAX_CHANGE))


def average(inside):
    return jnp.asarray(inside.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3)), jnp.float32)


def draw_capsule(length, width, degrees, shift=0.2):
    """Draw a stroke with round ends, beside the center of the image."""
    y, x = (np.mgrid[: SIDE * FINE, : SIDE * FINE] + 0.5) / FINE - SIDE / 2 - shift
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    across = y * np.cos(np.radians(degrees)) - x * np.sin(np.radians(degrees))
    return average(np.hypot(across, along - np.clip(along, -length / 2, length / 2)) < width / 2)


def draw_ring(radius, width):
    y, x = (np.mgrid[: SIDE * FINE, : SIDE * FINE] + 0.5) / FINE - SIDE / 2
    return average(abs(np.hypot(x, y) - radius) < width / 2)


@pytest.mark.parametrize("degrees", [0, 30, 45, 100])
@pytest.mark.parametrize("change", [-2.0, -0.7, 0.0, 0.7, 3.0])
def test_strokes_become_as_wide_as_asked_and_stay_in_place(change, degrees):
    image = draw_capsule(12, 4, degrees)
    result = change_width(image, jnp.float32(change))
    expected = draw_capsule(12, 4 + change, degrees)
    lengths = 12 + np.pi / 4 * (4 + change)
    assert result.sum() / lengths == pytest.approx(expected.sum() / lengths, abs=0.25), "mean width in pixels"
    assert jnp.abs(result - expected).mean() < 0.006
    centers = [scipy.ndimage.center_of_mass(np.asarray(x)) for x in (result, image)]
    np.testing.assert_allclose(*centers, atol=0.1)


@pytest.mark.parametrize("width", [1.5, 2.5])
def test_narrow_strokes_are_reduced_to_an_unbroken_line(width):
    result = np.asarray(change_width(draw_ring(9, width), jnp.float32(-MAX_CHANGE)))
    assert 0.35 < result.sum() / (2 * np.pi * 9) < 0.85, "mean width in pixels"
    _, inks = scipy.ndimage.label(result > 0.1, np.ones((3, 3)))
    _, papers = scipy.ndimage.label(result <= 0.1)
    assert (inks, papers) == (1, 2)


@pytest.mark.parametrize("image", [jnp.zeros((28, 20)), jnp.ones((28, 20))])
@pytest.mark.parametrize("change", [-3.0, 0.0, 3.0])
def test_images_without_edges_are_unchanged(image, change):
    np.testing.assert_allclose(change_width(image, jnp.float32(change)), image, atol=1e-6)


def test_random_changes_are_uniform_within_the_bound(key):
    image, keys = draw_capsule(12, 4, 0), jax.random.split(key, 100)
    draw = partial(random_stroke_width, max_change=2.0)
    results = jax.jit(jax.vmap(draw, (0, None)))(keys, image)
    assert results.min() >= 0
    assert results.max() <= 1
    widths = results[:, :, SIDE // 2].sum(axis=1)
    assert 1.8 < widths.min() < 2.3
    assert 5.8 < widths.max() < 6.1
    assert widths.mean() == pytest.approx(4, abs=0.4)
    np.testing.assert_allclose(jax.jit(draw)(keys[0], image), results[0], atol=1e-5)
