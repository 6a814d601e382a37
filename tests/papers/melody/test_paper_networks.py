"""Networks of the paper's three approaches: shapes, parameters, and their layers against lax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.melody.paper_model import ARCHITECTURES, LATENT, PaperDiscriminator, PaperGenerator

SHAPES = {"images": (288, 432, 4), "tanh": (128, 431, 1), "relu": (128, 431, 1)}
Z = jnp.asarray(np.random.default_rng(0).standard_normal((2, LATENT)), jnp.float32)


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize("approach", ARCHITECTURES)
def test_both_networks_have_the_shapes_of_the_paper(approach):
    key = jax.random.key(0)
    images, _ = jax.eval_shape(lambda: PaperGenerator(approach).init_with_output(key, Z))
    assert images.shape == (2, *SHAPES[approach])
    scores, _ = jax.eval_shape(lambda: PaperDiscriminator(approach).init_with_output(key, jnp.zeros(images.shape)))
    assert scores.shape == (2,)


def test_parameters_of_the_third_approach():
    """Sums of height x width x inputs x outputs, of two numbers per normalized channel, and the last bias."""
    variables = jax.eval_shape(PaperGenerator("relu").init, jax.random.key(0), Z)
    kernels = 16 * 16 * 100 * 64 + 4 * 5 * 64 * 32 + 4 * 5 * 32 * 16 + 4 * 4 * 16
    assert count(variables["params"]) == kernels + 2 * (64 + 32 + 16) + 1
    assert count(variables["batch_stats"]) == 2 * (64 + 32 + 16)
    variables = jax.eval_shape(PaperDiscriminator("relu").init, jax.random.key(0), jnp.zeros((1, 128, 431, 1)))
    kernels = 4 * 4 * 64 + 4 * 5 * 64 * 32 + 4 * 5 * 32 * 16 + 16 * 16 * 16
    assert count(variables["params"]) == kernels + 2 * (64 + 32 + 16) + 1


def test_kernels_start_with_a_deviation_of_0_02():
    params = jax.jit(PaperGenerator("relu").init)(jax.random.key(0), Z)["params"]
    for name in ("conv1", "conv2", "conv3"):
        assert float(jnp.std(params[name]["kernel"])) == pytest.approx(0.02, rel=0.05)


def normalize(x):
    mean, variance = jnp.mean(x, (0, 1, 2), keepdims=True), jnp.var(x, (0, 1, 2), keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-5)


def oracle_generator(params, z):
    """The third approach, by lax."""
    x = z[:, None, None, :]
    layers = [((1, 1), (0, 0)), ((2, 3), (1, 1)), ((2, 3), (1, 1)), ((2, 3), (1, 1))]
    for i, (stride, padding) in enumerate(layers, 1):
        kernel = params[f"conv{i}"]["kernel"]
        sides = [(n - 1 - p,) * 2 for n, p in zip(kernel.shape[:2], padding, strict=True)]
        x = jax.lax.conv_transpose(x, kernel[::-1, ::-1], stride, sides)
        x = jax.nn.relu(normalize(x) if i < 4 else x + params["conv4"]["bias"].reshape(1, 1, 1, 1))
    return x


def oracle_discriminator(params, x):
    layers = [((2, 3), (1, 1)), ((2, 3), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (0, 0))]
    for i, (stride, padding) in enumerate(layers, 1):
        x = jax.lax.conv_general_dilated(
            x,
            params[f"conv{i}"]["kernel"],
            stride,
            [(p, p) for p in padding],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        if i < 4:
            x = normalize(x)
            x = jnp.maximum(x, 0.2 * x)
    return x[:, 0, 0, 0] + params["conv4"]["bias"]


@pytest.fixture(scope="module")
def training_outputs():
    """Variables of both networks, and what they compute in training."""
    generator, discriminator = PaperGenerator("relu"), PaperDiscriminator("relu")

    @jax.jit
    def compute(z):
        g = jax.jit(generator.init)(jax.random.key(0), z)
        images, g_stats = generator.apply(g, z, training=True, mutable=["batch_stats"])
        d = jax.jit(discriminator.init)(jax.random.key(1), images)
        scores, d_stats = discriminator.apply(d, images, training=True, mutable=["batch_stats"])
        expected = oracle_generator(g["params"], z)
        return g, g_stats, images, expected, d, d_stats, scores, oracle_discriminator(d["params"], images)

    return compute(Z)


def test_networks_equal_those_written_with_lax(training_outputs):
    _, _, images, expected_images, _, _, scores, expected_scores = training_outputs
    np.testing.assert_allclose(images, expected_images, atol=1e-4 * float(expected_images.max()))
    np.testing.assert_allclose(scores, expected_scores, atol=1e-4)


def test_last_activations_limit_the_values(training_outputs):
    assert float(jnp.min(training_outputs[2])) == 0.0
    tanh = PaperGenerator("tanh")
    images = jax.jit(lambda z: tanh.apply(tanh.init(jax.random.key(0), z), 100 * z, training=True, mutable=True)[0])(Z)
    assert -1 <= float(images.min()) < 0 < float(images.max()) <= 1


def test_running_statistics_move_by_a_tenth_in_training(training_outputs):
    g, g_stats, *_ = training_outputs
    x = Z @ g["params"]["conv1"]["kernel"].reshape(16, 16, LATENT, 64).transpose(2, 0, 1, 3).reshape(LATENT, -1)
    x = x.reshape(-1, 64)
    stats = g_stats["batch_stats"]["norm1"]
    np.testing.assert_allclose(stats["mean"], 0.1 * x.mean(0), atol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * x.var(0), atol=1e-5)


def test_discriminator_without_batch_normalization_has_biases_instead():
    network = PaperDiscriminator("tanh", batch_norm=False)
    variables = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 128, 431, 1)))
    assert set(variables) == {"params"}
    assert all(set(layer) == {"kernel", "bias"} for layer in variables["params"].values())
