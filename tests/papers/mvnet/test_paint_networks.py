"""Networks of the GAN: those of the paper, and the residual ones."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.conv import conv
from specjax.nn.strided_conv import Window, strided_conv
from specjax.papers.mvnet import paper_model
from specjax.papers.mvnet.conditions import ConditionConfig
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.inference import GanInference
from specjax.papers.mvnet.model import Discriminator, Generator, ModelConfig, append_batch_deviation
from specjax.papers.mvnet.triplets import TripletConfig

RNG = np.random.default_rng(0)
SMALL = ModelConfig(widths=(4, 4, 6), latents=5, features=8)


def leak(x):
    return jnp.where(x > 0, x, 0.2 * x)


def count(tree):
    return {name: sum(x.size for x in jax.tree.leaves(leaves)) for name, leaves in tree.items()}


def test_the_papers_networks_have_its_numbers_of_parameters():
    generator, discriminator = jax.eval_shape(GanInference(GanConfig(approach="paper"), 10).init, jax.random.key(0))
    parameters = count(generator["params"])
    convs = {"conv1": 4_719_104, "conv2": 1_179_904, "conv3": 295_040, "conv4": 73_792, "output": 1_731}
    attention = {"attention3": 2 * 2_064 + 16_512 + 1, "attention4": 2 * 520 + 4_160 + 1}
    assert parameters == {"input": 1_818_624, **convs, **attention}
    assert sum(parameters.values()) == 8_114_037
    parameters = count(discriminator["params"])
    convs = {"conv1": 3_136, "conv2": 131_200, "conv3": 524_544, "conv4": 2_097_664, "conv5": 4_719_616}
    norms = {"norm2": 256, "norm3": 512, "norm4": 1_024, "norm5": 2_048}
    assert parameters == {**convs, **norms, "score": 16_385}
    assert sum(parameters.values()) == 7_496_385


def test_the_papers_generator_is_what_its_table_says():
    """With narrow maps, and against convolutions of upsampled maps."""
    network = paper_model.PaperGenerator((8, 8, 8, 8, 8))
    latents, embedding = jnp.asarray(RNG.normal(size=(2, 100)), jnp.float32), jnp.ones((2, 10))
    params = jax.jit(network.init)(jax.random.key(0), latents, embedding)["params"]
    for name in ("attention3", "attention4"):  # whose factor starts at 0
        params[name]["gamma"] = jnp.float32(0.7)

    def attend(x, weights):
        pixels = x.reshape(2, -1, 8)
        queries, keys, values = (
            pixels @ weights[name]["kernel"] + weights[name]["bias"][None, None]
            for name in ("queries", "keys", "values")
        )
        shares = jax.nn.softmax(queries @ keys.swapaxes(1, 2), axis=2)
        return x + weights["gamma"] * (shares @ values).reshape(x.shape)

    @jax.jit
    def oracle(params):
        x = jnp.concatenate([latents, embedding], axis=1) @ params["input"]["kernel"] + params["input"]["bias"][None]
        x = leak(x).reshape(2, 4, 4, 8)
        for i in range(1, 5):
            x = jax.image.resize(x, (2, 2 * x.shape[1], 2 * x.shape[2], 8), "linear")
            x = conv(x, params[f"conv{i}"]["kernel"]) + params[f"conv{i}"]["bias"].reshape(1, 1, 1, -1)
            mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
            x = leak((x - mean) / jnp.sqrt(var + 1e-5))
            x = attend(x, params[f"attention{i}"]) if i >= 3 else x
        x = strided_conv(x, params["output"]["kernel"], Window((1, 1), (1, 1)))
        return jnp.tanh(x + params["output"]["bias"].reshape(1, 1, 1, -1))

    actual = jax.jit(network.apply)({"params": params}, latents, embedding)
    assert actual.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(actual, oracle(params), atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_the_papers_discriminator_is_what_its_table_says(training):
    """With narrow maps, and against the convolutions of XLA."""
    network = paper_model.PaperDiscriminator((4, 4, 6, 6, 8))
    pictures = jnp.asarray(RNG.uniform(-1, 1, (3, 64, 64, 3)), jnp.float32)
    variables = jax.jit(network.init)(jax.random.key(0), pictures)
    moments = jax.tree.map(lambda x: x + jnp.asarray(RNG.uniform(0.1, 0.5, x.shape), x.dtype), variables)
    params, stats = moments["params"], moments["batch_stats"]

    @jax.jit
    def oracle(params, stats):
        x = pictures
        for i in range(1, 6):
            stride, dimensions = (2, 2) if i < 5 else (1, 1), ("NHWC", "HWIO", "NHWC")
            kernel = params[f"conv{i}"]["kernel"]
            x = jax.lax.conv_general_dilated(x, kernel, stride, [(1, 1), (1, 1)], dimension_numbers=dimensions)
            x = x + params[f"conv{i}"]["bias"].reshape(1, 1, 1, -1)
            if i > 1:
                own, saved = (tree[f"norm{i}"] for tree in (params, stats))
                mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else (saved["mean"], saved["var"])
                scale, bias = own["scale"] / jnp.sqrt(var + 1e-5), own["bias"]
                x = (x - mean.reshape(1, 1, 1, -1)) * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)
            x = leak(x)
        return x.reshape(3, -1) @ params["score"]["kernel"] + params["score"]["bias"][None]

    score, _ = jax.jit(partial(network.apply, training=training, mutable=["batch_stats"]))(moments, pictures)
    np.testing.assert_allclose(score, oracle(params, stats)[:, 0], rtol=1e-3, atol=1e-4)


def test_xavier_initialization_has_the_deviation_of_torch():
    kernel = paper_model.xavier_normal(jax.random.key(0), (3, 3, 64, 128), jnp.float32)
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / (9 * 64 + 9 * 128)), rel=0.02)


def test_the_scores_depend_on_the_condition_only_with_projection():
    pictures, conditions = jnp.asarray(RNG.uniform(-1, 1, (4, 64, 64, 3)), jnp.float32), jnp.eye(4)
    for projection in (True, False):
        network = Discriminator(replace(SMALL, projection=projection))
        variables = jax.jit(network.init)(jax.random.key(0), pictures, conditions)
        scores = [jax.jit(network.apply)(variables, pictures, x) for x in (conditions, conditions[::-1])]
        assert np.allclose(*scores) != projection


def test_pictures_depend_on_latents_and_condition_and_lie_within_limits():
    network = Generator(SMALL)
    latents, conditions = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32), jnp.eye(4)
    variables = jax.jit(network.init)(jax.random.key(0), latents, conditions)
    draw = jax.jit(network.apply)
    pictures = draw(variables, latents, conditions)
    assert pictures.shape == (4, 64, 64, 3)
    assert float(jnp.abs(pictures).max()) < 1
    assert 0.1 < float(pictures.std()) < 0.9
    assert not np.allclose(draw(variables, latents[::-1], conditions), pictures)
    assert not np.allclose(draw(variables, latents, conditions[::-1]), pictures)


def test_the_deviation_over_the_batch_is_that_of_each_group():
    x = RNG.normal(size=(8, 2, 3, 5)).astype(np.float32)
    x[4:] = x[4]
    actual = append_batch_deviation(jnp.asarray(x), 4)
    np.testing.assert_array_equal(actual[..., :5], x)
    np.testing.assert_allclose(actual[:4, ..., 5], x[:4].std(axis=0).mean(), rtol=1e-5)
    np.testing.assert_array_equal(actual[4:, ..., 5], 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(widths=()), "1 to 6 resolutions"),
        (lambda: ModelConfig(latents=0), "at least 1"),
        (lambda: ConditionConfig(fade_from=0.5, fade_to=0.2), "must be in order"),
        (lambda: ConditionConfig(spread=-1.0), "spread=-1.0 must be finite and not be negative"),
        (lambda: ConditionConfig(noise=float("nan")), "noise=nan and spread=0.0 must be finite"),
        (lambda: TripletConfig(margin=float("nan")), "margin=nan must be above 0"),
        (lambda: TripletConfig(p=float("inf")), "p=inf at least 1, and both finite"),
        (lambda: GanConfig(paper_divisor=3), "must be 1, 2, 4 or 8"),
    ],
)
def test_settings_out_of_range_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()
