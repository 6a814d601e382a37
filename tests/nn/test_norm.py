"""Batch normalization, and the equivalent network with the normalization folded in."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn import norm
from specjax.nn.conv import Conv

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(3.0, 2.0, (4, 6, 5, 3)), jnp.float32)


class Net(nn.Module):
    """A convolution that is batch-normalized during training, and a second one that is not."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, training=False):
        x = Conv(2, name="first", dtype=jnp.dtype(self.dtype))(x)
        x = norm.normalize_batch(x, "first") if training else x
        return Conv(4, name="second")(nn.relu(x))


def randomize(tree):
    return jax.tree.map(lambda x: jnp.asarray(RNG.uniform(0.5, 2.0, x.shape), jnp.float32), tree)


@pytest.mark.parametrize("compiled", [False, True])
def test_channels_are_normalized_over_batch_and_positions(compiled):
    class NormOnly(nn.Module):
        @nn.compact
        def __call__(self, x):
            return norm.normalize_batch(x, "x")

    params = randomize(NormOnly().init(jax.random.key(0), X)["params"])
    start = {"x_norm": {"mean": jnp.zeros(3), "var": jnp.ones(3)}}

    def call(x):
        return NormOnly().apply({"params": params, "batch_stats": start}, x, mutable=["batch_stats"])

    result, updated = (jax.jit(call) if compiled else call)(X)
    x = np.asarray(X, float)
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    scale, bias = (np.asarray(params["x_norm"][name], float) for name in ("scale", "bias"))
    np.testing.assert_allclose(result, (x - mean) / np.sqrt(var + 1e-5) * scale + bias, atol=1e-4)
    np.testing.assert_allclose(updated["batch_stats"]["x_norm"]["mean"], 0.01 * mean, rtol=1e-4)
    np.testing.assert_allclose(updated["batch_stats"]["x_norm"]["var"], 0.99 + 0.01 * var, rtol=1e-4)


def test_folded_network_gives_the_same_output():
    variables = Net().init(jax.random.key(0), X, True)
    params, statistics = randomize(variables["params"]), randomize(variables["batch_stats"])
    folded = norm.fold_batch_norm(params, statistics)
    assert sorted(folded) == ["first", "second"]
    hidden = Conv(2).apply({"params": params["first"]}, X)
    stats = statistics["first_norm"]
    normalized = (hidden - stats["mean"].reshape(1, 1, 1, 2)) / jnp.sqrt(stats["var"] + 1e-5).reshape(1, 1, 1, 2)
    normalized = normalized * params["first_norm"]["scale"].reshape(1, 1, 1, 2) + params["first_norm"]["bias"].reshape(
        1, 1, 1, 2
    )
    expected = Conv(4).apply({"params": params["second"]}, nn.relu(normalized))
    np.testing.assert_allclose(Net().apply({"params": folded}, X), expected, rtol=1e-4, atol=1e-4)


def test_groups_are_normalized_as_if_the_layer_were_applied_to_each_in_turn():
    layer = norm.BatchNormLeakyReLU(0.2, groups=2)
    variables = layer.init(jax.random.key(0), X)
    together, updated = layer.apply(variables, X, training=True, mutable=["batch_stats"])
    for i in (0, 2):
        alone, stats = norm.BatchNormLeakyReLU(0.2).apply(variables, X[i : i + 2], True, mutable=["batch_stats"])
        np.testing.assert_allclose(together[i : i + 2], alone, atol=1e-5)
        variables = variables | stats
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updated["batch_stats"], stats["batch_stats"])


def test_folding_without_normalization_returns_the_parameters():
    params = randomize(Net().init(jax.random.key(0), X)["params"])
    folded = norm.fold_batch_norm(params, {})
    assert all(folded[name] is params[name] for name in params)
    assert sorted(folded) == sorted(params)


def test_parameters_and_statistics_are_float32_in_a_bfloat16_network():
    out, variables = Net("bfloat16").init_with_output(jax.random.key(0), X, True)
    assert out.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_batch_norm_with_leaky_relu_agrees_with_the_two_layers(slope):
    """Values, moving averages and gradients are those of flax, in training and with the moving averages."""
    ours, flax_norm = norm.BatchNormLeakyReLU(slope), nn.BatchNorm(momentum=0.9, epsilon=norm.EPSILON)
    variables = randomize(ours.init(jax.random.key(0), X))
    weights = jnp.asarray(RNG.normal(size=X.shape), jnp.float32)

    def both(params, x, training):
        values = {"params": params, "batch_stats": variables["batch_stats"]}
        y, updates = ours.apply(values, x, training, mutable=["batch_stats"])
        z, expected = flax_norm.apply(values, x, use_running_average=not training, mutable=["batch_stats"])
        return (y, updates), (nn.leaky_relu(z, slope), expected)

    for training in (True, False):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *both(variables["params"], X, training)
        )
    found, expected = (
        jax.grad(lambda params, x, i=i: jnp.sum(weights * both(params, x, True)[i][0]), (0, 1))(variables["params"], X)
        for i in (0, 1)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)
