"""U-Net: number of parameters, initialization, and outputs against a scipy reference."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.special

from conftest import modes
from specjax.nn import norm
from specjax.papers.chord.model import UNet, UNetConfig, parameter_count

SMALL = partial(UNetConfig, widths=(4, 6, 8))
SIZE = 56


@pytest.fixture
def digits():
    return jnp.asarray(np.random.default_rng(0).random((2, 28, 28), np.float32))


@lru_cache
def build(config):
    """Build a network with random parameters of useful scale; return its jitted apply function and the parameters."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        sigma = np.sqrt(2 / max(np.prod(leaf.shape[:-1]), 1)) if len(leaf.shape) > 1 else 0.1
        return jnp.asarray(sigma * rng.standard_normal(leaf.shape), jnp.float32)

    params = jax.tree.map(draw, compute_shapes(config, SIZE))
    model = UNet(config, SIZE, SIZE)

    @partial(jax.jit, static_argnames="training")
    def apply(params, x, quality=None, training=False):
        return model.apply({"params": params}, x, quality, training)

    return apply, params


@lru_cache
def init_params(config):
    """Initialize parameters as for training. The `rbg` generator compiles quickly."""
    quality = jnp.zeros((1,), jnp.int32) if config.qualities else None
    init = jax.jit(UNet(config, SIZE, SIZE).init)
    return init(jax.random.key(0, impl="rbg"), jnp.zeros((1, 28, 28)), quality)["params"]


def compute_shapes(config, size=1008):
    quality = jnp.zeros((1,), jnp.int32) if config.qualities else None
    return jax.eval_shape(UNet(config, size, size).init, jax.random.key(0), jnp.zeros((1, 28, 28)), quality)["params"]


def correlate(x, kernel, bias):
    """Correlate a map (height, width, channels) with a kernel, keeping its size."""
    out = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for f in range(kernel.shape[-1]):
        out[..., f] = sum(
            scipy.signal.correlate(x[..., c], kernel[..., c, f], "same", "direct") for c in range(x.shape[-1])
        )
    return out + bias


def convolve_transposed(x, kernel, bias):
    """Apply PyTorch's ConvTranspose2d(4, stride 2, padding 1): add a scaled kernel per input pixel, crop the border."""
    height, width, _ = x.shape
    canvas = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            canvas[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("i,abio->abo", x[i, j], kernel)
    return canvas[1:-1, 1:-1] + bias


def compute_unet_reference(params, digit, quality=None, tell=None):
    """Compute the authors' network layer by layer in float64, without the last activation.

    `tell` maps the logits of the classifier to the class weights that a dense layer adds to the feature map.
    """
    p = jax.tree.map(lambda x: np.asarray(x, float), params)

    def convs(x, name):
        for i in range(3):
            x = np.maximum(correlate(x, **p[f"{name}_{i}"]), 0)
        return x

    def pool(x):
        return np.max([x[i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)

    fine = convs(digit[..., None], "encode_fine")
    middle = convs(pool(fine), "encode_middle")
    x = pool(middle)
    for i in range(2):
        x = correlate(x, **p[f"bottleneck_{i}"])
        if i == 0 and quality is not None:
            x = x + p["quality"]["embedding"][quality]
        x = np.where(x > 0, x, 0.2 * x)
    if "read" in p:
        read = x.ravel() @ p["read"]["kernel"] + p["read"]["bias"]
        x = x + tell(read) @ p["tell"]["kernel"] + p["tell"]["bias"]
    x = convs(np.concatenate([convolve_transposed(x, **p["up_middle"]), middle], -1), "decode_middle")
    x = convs(np.concatenate([convolve_transposed(x, **p["up_fine"]), fine], -1), "decode_fine")
    large = scipy.ndimage.zoom(x, (SIZE / 28, SIZE / 28, 1), order=1, mode="nearest", grid_mode=True)
    return correlate(large, **p["head"])[..., 0]


def test_default_network_has_2722753_parameters():
    assert parameter_count(compute_shapes(UNetConfig())) == 2_722_753


def test_row_head_replaces_the_last_convolution_by_1x1_convolution_and_row_matrices():
    extra = parameter_count(compute_shapes(UNetConfig(head="rows"))) - 2_722_753
    assert extra == (64 * 16 + 16) + 16 * 1008 * 28 + 1 - (9 * 64 + 1)


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"skips": False}, -9 * 128 * 128 - 9 * 64 * 64),
        ({"qualities": 9}, 9 * 256),
        ({"bottleneck_depth": 3}, 9 * 256 * 256 + 256),
        ({"depth": 4}, 2 * (9 * 64 * 64 + 64) + 2 * (9 * 128 * 128 + 128)),
        ({"activation": "sigmoid"}, 0),
        ({"batch_norm": True}, 0),
        ({"labels": 10}, (49 * 256 + 1) * 10 + (10 + 1) * 256),
    ],
    ids=[
        "no skips",
        "qualities",
        "deeper bottleneck",
        "deeper stages",
        "sigmoid",
        "batch normalization",
        "classifier",
    ],
)
def test_parameter_count_of_variants(options, difference):
    assert parameter_count(compute_shapes(UNetConfig(**options))) - 2_722_753 == difference


@pytest.mark.parametrize("size", [28, 112, 1008])
@pytest.mark.parametrize("head", ["paper", "rows"])
def test_output_has_the_requested_size(size, head):
    config = SMALL(head=head)
    model = UNet(config, size, size)
    variables = {"params": compute_shapes(config, size)}
    picture = jax.eval_shape(model.apply, variables, jnp.zeros((3, 28, 28)))
    assert (picture.shape, picture.dtype) == ((3, size, size), jnp.float32)


@pytest.mark.parametrize("quality", [None, 2])
def test_output_matches_layer_by_layer_reference(digits, quality):
    apply, params = build(SMALL(qualities=0 if quality is None else 3))
    linear = compute_unet_reference(params, np.asarray(digits[1], float), quality)
    result = apply(params, digits, None if quality is None else jnp.full((2,), quality))[1]
    assert linear.min() < 0 < linear.max()
    np.testing.assert_allclose(result, np.where(linear > 0, linear, 0.01 * linear), atol=1e-5 * np.abs(linear).max())


@pytest.mark.parametrize(
    ("training", "tell"),
    [(True, scipy.special.softmax), (False, lambda logits: np.eye(5)[logits.argmax()])],
    ids=["probabilities", "decision"],
)
def test_output_with_classifier_matches_reference(digits, training, tell):
    apply, params = build(SMALL(labels=5))
    linear = compute_unet_reference(params, np.asarray(digits[1], float), tell=tell)
    result = apply(params, digits, training=training)[1]
    np.testing.assert_allclose(result, np.where(linear > 0, linear, 0.01 * linear), atol=1e-5 * np.abs(linear).max())


def test_sigmoid_replaces_only_the_last_activation(digits):
    apply, params = build(SMALL(activation="sigmoid"))
    linear = compute_unet_reference(params, np.asarray(digits[0], float))
    np.testing.assert_allclose(apply(params, digits)[0], 1 / (1 + np.exp(-linear)), atol=1e-5)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
def test_output_is_the_same_under_jit_and_vmap(digits, mode):
    config = SMALL(head="rows")
    apply, params = build(config)
    result = modes(lambda x: UNet(config, SIZE, SIZE).apply({"params": params}, x))[mode](digits)
    np.testing.assert_allclose(result, apply(params, digits), rtol=1e-4, atol=1e-5)


def test_without_skips_the_output_still_depends_on_the_digit(digits):
    apply, params = build(SMALL(skips=False))
    pictures = apply(params, digits)
    assert float(jnp.abs(pictures[0] - pictures[1]).max()) > 1e-2 * float(jnp.abs(pictures).max())


def test_examples_of_a_batch_are_independent(digits):
    apply, params = build(SMALL())
    swapped = apply(params, digits[::-1])
    np.testing.assert_allclose(swapped[::-1], apply(params, digits), rtol=1e-4, atol=1e-5)


def test_quality_changes_the_output(digits):
    apply, params = build(SMALL(qualities=3))
    major, minor = (apply(params, digits, jnp.full((2,), quality)) for quality in (0, 1))
    assert float(jnp.abs(major - minor).max()) > 1e-3


def test_classifier_affects_every_position_of_the_map(digits):
    """Without skips, a corner of the digit affects the last columns only through the classifier.

    While training, the effect is gradual.
    """
    apply, params = build(SMALL(labels=5, skips=False))
    assert params["read"]["kernel"].shape == (7 * 7 * 8, 5)
    assert params["tell"]["kernel"].shape == (5, 8)
    without_effect = params | {"tell": jax.tree.map(jnp.zeros_like, params["tell"])}
    plain, _ = build(SMALL(skips=False))
    without_classifier = {name: leaf for name, leaf in params.items() if name not in ("read", "tell")}
    np.testing.assert_allclose(apply(without_effect, digits), plain(without_classifier, digits), atol=1e-6)
    corner = digits.at[:, :4, :4].set(0.0)

    def measure_effect(params):
        changed, original = (apply(params, x, training=True) for x in (corner, digits))
        return np.abs(changed - original)[:, :, -2:].max()

    amplified = params | {"read": jax.tree.map(lambda x: 20 * x, params["read"])}
    assert measure_effect(amplified) > 1e-4 > 10 * measure_effect(without_effect)


def test_logits_are_sown_if_the_collection_is_mutable(digits):
    config = SMALL(labels=5)
    apply, params = build(config)
    model = UNet(config, SIZE, SIZE)
    pictures, sown = model.apply({"params": params}, digits, mutable=["intermediates"])
    np.testing.assert_allclose(pictures, apply(params, digits), rtol=1e-4, atol=1e-5)
    (logits,) = sown["intermediates"]["label"]
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)


def test_dropout_affects_only_the_classifier_and_only_in_training(digits):
    """Logits differ by key, and their mean is that without dropout. Without the classifier, dropout has no effect."""
    config = SMALL(labels=5, dropout=0.4)
    apply, params = build(SMALL(labels=5))
    model = UNet(config, SIZE, SIZE)
    np.testing.assert_allclose(model.apply({"params": params}, digits), apply(params, digits), rtol=1e-4, atol=1e-5)

    @jax.jit
    def draw_logits(key):
        rngs = {"dropout": key}
        _, collected = model.apply({"params": params}, digits, None, True, mutable=["intermediates"], rngs=rngs)
        return collected["intermediates"]

    def compute_full_logits():
        return model.apply({"params": params}, digits, mutable=["intermediates"])[1]["intermediates"]["label"][0]

    drawn = np.stack([draw_logits(key)["label"][0] for key in jax.random.split(jax.random.key(0), 400)])
    spread = drawn.std(axis=0)
    assert spread.min() > 0
    assert np.abs(drawn.mean(axis=0) - compute_full_logits()).max() < 4 * spread.max() / np.sqrt(400)

    without_effect = params | {"tell": jax.tree.map(jnp.zeros_like, params["tell"])}
    pictures = model.apply({"params": without_effect}, digits, None, True, rngs={"dropout": jax.random.key(1)})
    np.testing.assert_allclose(pictures, apply(without_effect, digits), rtol=1e-4, atol=1e-5)


def test_folded_batch_norm_gives_the_same_output(digits):
    """With the statistics of the batch folded in, the network without normalization matches the one with it."""
    config = SMALL(labels=5, batch_norm=True)
    apply, params = build(SMALL(labels=5))
    model = UNet(config, SIZE, SIZE)
    variables = jax.eval_shape(lambda key: model.init(key, digits, training=True), jax.random.key(0))
    rng = np.random.default_rng(1)
    norms = {name: {"scale": jnp.asarray(rng.uniform(0.5, 2, leaf["scale"].shape), jnp.float32),
                    "bias": jnp.asarray(rng.standard_normal(leaf["bias"].shape), jnp.float32)}
             for name, leaf in variables["params"].items() if name.endswith("_norm")}  # fmt: skip
    assert sorted(norms) == sorted(f"{name}_norm" for name in params if name.startswith(("encode", "bottleneck")))
    # Averages that start at 0 hold (1 - momentum) times the statistics of the batch.
    zero_stats = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), variables["batch_stats"])
    pictures, collected = model.apply(
        {"params": params | norms, "batch_stats": zero_stats},
        digits,
        training=True,
        mutable=["batch_stats", "intermediates"],
    )
    statistics = jax.tree.map(lambda x: x / (1 - norm.MOMENTUM), collected["batch_stats"])
    folded = norm.fold_batch_norm(params | norms, statistics)
    assert jax.tree.map(jnp.shape, folded) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(apply(folded, digits, training=True), pictures, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"dropout": 1.0, "labels": 5}, {"dropout": -0.1, "labels": 5}, {"dropout": 0.4}])
def test_invalid_dropout_raises(options):
    with pytest.raises(ValueError, match=f"model.dropout={options['dropout']} with model.labels"):
        UNetConfig(**options)


@pytest.mark.parametrize("head", ["paper", "rows"])
def test_bfloat16_gives_nearly_the_same_output_in_float32(digits, head):
    apply, params = build(SMALL(head=head))
    half, half_params = build(SMALL(head=head, compute_dtype="bfloat16"))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(half_params))
    pictures, rounded = np.asarray(apply(params, digits)), half(params, digits)
    assert rounded.dtype == jnp.float32
    error = np.sqrt(np.mean((pictures - rounded) ** 2) / np.mean(pictures**2))
    assert 0 < error < 0.03


def test_gradients_reach_every_parameter(digits):
    config = SMALL(head="rows", qualities=3)
    apply, params = build(config)
    quality = jnp.array([0, 1])
    gradients = jax.jit(jax.grad(lambda p: jnp.mean((apply(p, digits, quality) - 0.5) ** 2)))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(leaf)), path
        assert float(jnp.abs(leaf).max()) > 0, path


class TestInitialization:
    """The default is PyTorch's: uniform within 1 / sqrt(fan_in)."""

    CONFIG = UNetConfig(widths=(16, 24, 32))

    @pytest.mark.parametrize(
        ("name", "fan_in"),
        [
            ("encode_fine_0", 9),
            ("encode_fine_1", 9 * 16),
            ("encode_middle_0", 9 * 16),
            ("bottleneck_0", 9 * 24),
            ("decode_middle_0", 9 * 48),
            ("head", 9 * 16),
            ("up_middle", 16 * 24),  # PyTorch counts the output channels of transposed convolutions
            ("up_fine", 16 * 16),
        ],
    )
    def test_kernels_are_uniform_within_pytorchs_bounds(self, name, fan_in):
        kernel, bound = np.asarray(init_params(self.CONFIG)[name]["kernel"]), 1 / np.sqrt(fan_in)
        assert np.abs(kernel).max() <= bound
        assert np.abs(kernel).max() > 0.9 * bound
        assert np.std(kernel) == pytest.approx(bound / np.sqrt(3), rel=0.15)

    @pytest.mark.parametrize(
        ("name", "fan_in"), [("encode_fine_0", 9), ("bottleneck_1", 9 * 32), ("head", 9 * 16), ("up_fine", 16 * 16)]
    )
    def test_biases_lie_within_pytorchs_bounds(self, name, fan_in):
        bias = np.asarray(init_params(self.CONFIG)[name]["bias"])
        assert 0 < np.abs(bias).max() <= 1 / np.sqrt(fan_in)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "wide"}, "model.head='wide' is unknown: choose paper or rows"),
        ({"activation": "tanh"}, "model.activation"),
        ({"init": "zeros"}, "model.init"),
        ({"compute_dtype": "float16"}, "model.compute_dtype"),
        ({"widths": (4, 0, 8)}, "three channel counts above 0"),
        ({"depth": 0}, "at least 1"),
        ({"head_channels": 0}, "at least 1"),
    ],
)
def test_invalid_options_raise(options, message):
    config = UNetConfig()
    for name, value in options.items():  # bypasses the type checks, which run only in tests
        object.__setattr__(config, name, value)
    with pytest.raises(ValueError, match=message):
        config.__post_init__()
