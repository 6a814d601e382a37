"""Blockwise attention against the plain form: values, gradients, and the memory of the compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.attention import SelfAttention, attend

RNG = np.random.default_rng(0)


def random(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def plain(queries, keys, values):
    scores = jnp.einsum("bqd,bkd->bqk", queries, keys)
    return jax.nn.softmax(scores, axis=-1) @ values


@pytest.mark.parametrize("block", [5, 7, 64], ids=["divisor", "no divisor", "one block"])
def test_values_and_gradients_are_those_of_the_plain_form(block):
    inputs, weights = (random(2, 20, 4), random(2, 15, 4), random(2, 15, 6)), random(2, 20, 6)

    def derive(attention):
        def loss(*args):
            return jnp.sum(attention(*args) * weights)

        return jax.jit(lambda *args: (attention(*args), jax.grad(loss, (0, 1, 2))(*args)))(*inputs)

    actual, expected = derive(lambda *args: attend(*args, block)), derive(plain)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=1e-5), actual, expected)


def test_large_scores_do_not_overflow():
    queries = jnp.full((1, 3, 2), 100.0)
    keys = jnp.array([[[100.0, 100.0], [0.0, 0.0]]])
    np.testing.assert_allclose(attend(queries, keys, jnp.array([[[1.0], [2.0]]])), np.ones((1, 3, 1)))


def test_the_matrix_of_weights_is_never_whole():
    count = 2048
    shapes = [jax.ShapeDtypeStruct((2, count, size), jnp.float32) for size in (2, 2, 4)]

    def measure(attention):
        gradient = jax.grad(lambda *args: jnp.sum(attention(*args) ** 2), (0, 1, 2))
        return jax.jit(gradient).lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    matrix = 4 * count**2
    assert measure(lambda *args: attend(*args, 128)) < matrix / 4
    assert measure(plain) > 2 * matrix


def test_self_attention_starts_as_the_identity_and_mixes_all_pixels():
    x = random(2, 3, 4, 16)
    variables = SelfAttention().init(jax.random.key(0), x)
    np.testing.assert_array_equal(SelfAttention().apply(variables, x), x)
    params = variables["params"] | {"gamma": jnp.ones(())}
    pixels = x.reshape(2, 12, 16)
    queries, keys, values = (
        pixels @ params[name]["kernel"] + params[name]["bias"].reshape(1, 1, -1)
        for name in ("queries", "keys", "values")
    )
    assert queries.shape[-1] == 2
    expected = x + plain(queries, keys, values).reshape(x.shape)
    np.testing.assert_allclose(SelfAttention().apply({"params": params}, x), expected, atol=1e-5)
