"""Gram matrices with numpy, gradients with automatic differentiation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.texture.style import networks
from specjax.papers.texture.style.ulyanov import UlyanovLoss
from specjax.papers.texture.style.wyse import WyseLoss


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def correlate(x, kernel, padding):
    """Cross-correlation over time, computed by numpy."""
    if padding == "SAME":
        x = np.pad(x, (((len(kernel) - 1) // 2, len(kernel) // 2), (0, 0)))
    return np.einsum("tcw,wcf->tf", np.lib.stride_tricks.sliding_window_view(x, len(kernel), axis=0), kernel)


def test_gram_loss_and_its_gradient():
    features, target = draw(0, 7, 5), draw(1, 5, 5)
    target = target + target.T

    def plain(features):
        return jnp.sum((jnp.einsum("ti,tj->ij", features, features) / 7 - target) ** 2)

    value, grad = jax.value_and_grad(networks.gram_loss)(jnp.asarray(features), jnp.asarray(target))
    expected, expected_grad = jax.value_and_grad(plain)(features)
    np.testing.assert_allclose(value, np.sum((features.T @ features / 7 - target) ** 2), rtol=1e-5)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-4, atol=1e-5)


def rows_of(features):
    return networks.factor_gram(jnp.asarray(features), len(features))


@pytest.mark.parametrize("frames", [3, 9])
@pytest.mark.parametrize("rows", [2, 5])
def test_factored_gram_loss_is_the_gram_loss(frames, rows):
    features, style = draw(0, frames, 5), draw(1, rows, 5)
    target = jnp.asarray(style.T @ style / rows)
    value, grad = jax.value_and_grad(networks.factored_gram_loss)(jnp.asarray(features), rows_of(style))
    expected, expected_grad = jax.value_and_grad(networks.gram_loss)(jnp.asarray(features), target)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-4, atol=1e-5)


def test_factored_gram_loss_is_precise_near_the_target():
    style = np.abs(draw(0, 60, 200))
    gram, target = style.T.astype(np.float64) @ style / 60, rows_of(style)
    errors = []
    for seed in range(1, 9):
        features = (style * (1 + 0.01 * draw(seed, 60, 200))).astype(np.float32)
        exact = np.sum((features.T.astype(np.float64) @ features / 60 - gram) ** 2)
        errors.append(float(networks.factored_gram_loss(jnp.asarray(features), target)) - exact)
    # A constant error does not matter to a line search.
    assert np.std(errors) < 3e-8 * np.sum(gram**2)


def test_rows_beyond_the_number_of_filters_are_reduced_without_changing_their_gram_matrix():
    pieces = [draw(seed, length, 6) for seed, length in enumerate((4, 5, 9, 1))]
    rows = jnp.zeros((0, 6))
    for piece in pieces:
        rows = networks.add_rows(rows, jnp.asarray(piece))
        assert len(rows) <= 6
    whole = np.concatenate(pieces)
    np.testing.assert_allclose(rows.T @ rows, whole.T @ whole, rtol=1e-4, atol=1e-4)


def test_stacked_grams_of_different_lengths_keep_their_matrices():
    styles = [draw(0, 3, 6), draw(1, 5, 6)]
    stacked = networks.stack_factored([rows_of(style) for style in styles])
    for rows, energy, style in zip(*stacked, styles, strict=True):
        expected = style.T @ style / len(style)
        np.testing.assert_allclose(rows.T @ rows, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(energy, np.sum(expected**2), rtol=1e-5)


def test_random_weights_have_the_published_distributions(key):
    kernel = jax.jit(partial(networks.random_kernel, width=11, bins=257, filters=64))(key)
    assert float(kernel.std()) == pytest.approx(np.sqrt(2) * np.sqrt(2 / ((257 + 64) * 11)), rel=0.01)
    params = jax.jit(partial(networks.random_params, bins=12, filters=(32, 8)))(key)
    assert {name: layer["kernel"].shape for name, layer in params.items()} == {
        "conv1": (5, 12, 32),
        "conv2": (5, 32, 8),
    }
    for array in jax.tree.leaves(params):
        assert 0.08 < float(jnp.max(jnp.abs(array))) <= 0.1
        assert abs(float(array.mean())) < 0.05


def relu(x):
    return np.maximum(x, 0)


def gram_error(features, target):
    return np.sum((features.T @ features / len(features) - target) ** 2)


def test_loss_of_ulyanov_agrees_with_numpy():
    x, kernel, style = draw(0, 16, 6), draw(1, 11, 6, 8), draw(2, 7, 8)
    features = relu(correlate(x, kernel, "VALID"))
    content = draw(3, *features.shape)
    value = jax.jit(UlyanovLoss(0.01))(x, content, rows_of(style), kernel)
    expected = 0.01 * np.sum((features - content) ** 2) + gram_error(features, style.T @ style / 7)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_loss_of_wyse_agrees_with_numpy(key):
    params = jax.jit(partial(networks.random_params, bins=6, filters=(8, 4)))(key)
    x = (100 * draw(0, 12, 6)).astype(np.float32)
    weights = jax.tree.map(np.asarray, params)
    first = relu(correlate(x, weights["conv1"]["kernel"], "SAME") + weights["conv1"]["bias"])
    pooled = first.reshape(6, 2, 8).max(axis=1)
    second = relu(correlate(pooled, weights["conv2"]["kernel"], "SAME") + weights["conv2"]["bias"])
    content, style, gram2 = draw(1, *second.shape), draw(2, 7, 8), draw(3, 4, 4)
    expected = (
        10 * np.sum((second - content) ** 2) / (4 * content.size)
        + 200 * (gram_error(first, style.T @ style / 7) / (4 * 8**2) + 2 * gram_error(second, gram2) / (4 * 4**2))
        + 0.01 * 0.5 * (np.sum(np.minimum(x, 0) ** 2) + np.sum(np.maximum(x - 255, 0) ** 2))
    )
    loss = jax.jit(WyseLoss(10.0, 200.0, ("conv1", "conv2")))
    value = loss(jnp.asarray(x), jnp.asarray(content), rows_of(style), jnp.asarray(gram2), params)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
