"""The U-Net: its parameters, its starting values, and its arithmetic against scipy's correlation."""

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
def built(config):
    """A network of random, lively parameters: its output as a function of parameters, digits and qualities."""
    rng = np.random.default_rng(0)

    def lively(leaf):
        spread = np.sqrt(2 / max(np.prod(leaf.shape[:-1]), 1)) if len(leaf.shape) > 1 else 0.1
        return jnp.asarray(spread * rng.standard_normal(leaf.shape), jnp.float32)

    params = jax.tree.map(lively, shapes(config, SIZE))
    model = UNet(config, SIZE, SIZE)

    @partial(jax.jit, static_argnames="training")
    def apply(params, x, quality=None, training=False):
        return model.apply({"params": params}, x, quality, training)

    return apply, params


@lru_cache
def started(config):
    """Parameters as training starts from them. This generator of random bits compiles quickly."""
    quality = jnp.zeros((1,), jnp.int32) if config.qualities else None
    init = jax.jit(UNet(config, SIZE, SIZE).init)
    return init(jax.random.key(0, impl="rbg"), jnp.zeros((1, 28, 28)), quality)["params"]


def shapes(config, size=1008):
    quality = jnp.zeros((1,), jnp.int32) if config.qualities else None
    return jax.eval_shape(UNet(config, size, size).init, jax.random.key(0), jnp.zeros((1, 28, 28)), quality)["params"]


def correlated(x, kernel, bias):
    """Same-size correlation of a map (height, width, channels)."""
    out = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for f in range(kernel.shape[-1]):
        out[..., f] = sum(
            scipy.signal.correlate(x[..., c], kernel[..., c, f], "same", "direct") for c in range(x.shape[-1])
        )
    return out + bias


def transposed(x, kernel, bias):
    """PyTorch's ConvTranspose2d(4, stride 2, padding 1): every point paints its kernel, the frame is cut off."""
    height, width, _ = x.shape
    canvas = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            canvas[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("i,abio->abo", x[i, j], kernel)
    return canvas[1:-1, 1:-1] + bias


def unet_by_hand(params, digit, quality=None, tell=None):
    """The authors' network, layer by layer, in float64; linear at its end. `tell`: logits to what the map is told."""
    p = jax.tree.map(lambda x: np.asarray(x, float), params)

    def convs(x, name):
        for i in range(3):
            x = np.maximum(correlated(x, **p[f"{name}_{i}"]), 0)
        return x

    def pool(x):
        return np.max([x[i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)

    fine = convs(digit[..., None], "encode_fine")
    middle = convs(pool(fine), "encode_middle")
    x = pool(middle)
    for i in range(2):
        x = correlated(x, **p[f"bottleneck_{i}"])
        if i == 0 and quality is not None:
            x = x + p["quality"]["embedding"][quality]
        x = np.where(x > 0, x, 0.2 * x)
    if "read" in p:
        read = x.ravel() @ p["read"]["kernel"] + p["read"]["bias"]
        x = x + tell(read) @ p["tell"]["kernel"] + p["tell"]["bias"]
    x = convs(np.concatenate([transposed(x, **p["up_middle"]), middle], -1), "decode_middle")
    x = convs(np.concatenate([transposed(x, **p["up_fine"]), fine], -1), "decode_fine")
    large = scipy.ndimage.zoom(x, (SIZE / 28, SIZE / 28, 1), order=1, mode="nearest", grid_mode=True)
    return correlated(large, **p["head"])[..., 0]


def test_the_authors_network_has_2722753_parameters():
    assert parameter_count(shapes(UNetConfig())) == 2_722_753


def test_the_row_head_trades_the_last_convolution_for_a_1x1_and_row_matrices():
    extra = parameter_count(shapes(UNetConfig(head="rows"))) - 2_722_753
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
        "one more at the bottleneck",
        "one more a stage",
        "sigmoid",
        "normalize_batch while it trains",
        "a reading",
    ],
)
def test_variants_differ_by_so_many_parameters(options, difference):
    assert parameter_count(shapes(UNetConfig(**options))) - 2_722_753 == difference


@pytest.mark.parametrize("size", [28, 112, 1008])
@pytest.mark.parametrize("head", ["paper", "rows"])
def test_a_picture_has_the_size_that_was_asked_for(size, head):
    config = SMALL(head=head)
    model = UNet(config, size, size)
    variables = {"params": shapes(config, size)}
    picture = jax.eval_shape(model.apply, variables, jnp.zeros((3, 28, 28)))
    assert (picture.shape, picture.dtype) == ((3, size, size), jnp.float32)


@pytest.mark.parametrize("quality", [None, 2])
def test_the_network_is_the_authors_layer_by_layer(digits, quality):
    apply, params = built(SMALL(qualities=0 if quality is None else 3))
    linear = unet_by_hand(params, np.asarray(digits[1], float), quality)
    result = apply(params, digits, None if quality is None else jnp.full((2,), quality))[1]
    assert linear.min() < 0 < linear.max()
    np.testing.assert_allclose(result, np.where(linear > 0, linear, 0.01 * linear), atol=1e-5 * np.abs(linear).max())


@pytest.mark.parametrize(
    ("training", "tell"),
    [(True, scipy.special.softmax), (False, lambda logits: np.eye(5)[logits.argmax()])],
    ids=["probabilities", "decision"],
)
def test_the_whole_bottleneck_is_read_and_the_map_told(digits, training, tell):
    apply, params = built(SMALL(labels=5))
    linear = unet_by_hand(params, np.asarray(digits[1], float), tell=tell)
    result = apply(params, digits, training=training)[1]
    np.testing.assert_allclose(result, np.where(linear > 0, linear, 0.01 * linear), atol=1e-5 * np.abs(linear).max())


def test_a_sigmoid_replaces_the_last_activation_alone(digits):
    apply, params = built(SMALL(activation="sigmoid"))
    linear = unet_by_hand(params, np.asarray(digits[0], float))
    np.testing.assert_allclose(apply(params, digits)[0], 1 / (1 + np.exp(-linear)), atol=1e-5)


@pytest.mark.parametrize("mode", ["plain", "jit", "vmap"])
def test_every_mode_paints_the_same(digits, mode):
    config = SMALL(head="rows")
    apply, params = built(config)
    result = modes(lambda x: UNet(config, SIZE, SIZE).apply({"params": params}, x))[mode](digits)
    np.testing.assert_allclose(result, apply(params, digits), rtol=1e-4, atol=1e-5)


def test_without_skips_the_picture_still_follows_the_digit(digits):
    apply, params = built(SMALL(skips=False))
    pictures = apply(params, digits)
    assert float(jnp.abs(pictures[0] - pictures[1]).max()) > 1e-2 * float(jnp.abs(pictures).max())


def test_one_digit_does_not_see_another(digits):
    apply, params = built(SMALL())
    swapped = apply(params, digits[::-1])
    np.testing.assert_allclose(swapped[::-1], apply(params, digits), rtol=1e-4, atol=1e-5)


def test_the_quality_changes_the_picture(digits):
    apply, params = built(SMALL(qualities=3))
    major, minor = (apply(params, digits, jnp.full((2,), quality)) for quality in (0, 1))
    assert float(jnp.abs(major - minor).max()) > 1e-3


def test_what_is_read_is_told_to_every_place(digits):
    """Without skips a far corner reaches the last columns through the reading alone: while training, by degrees."""
    apply, params = built(SMALL(labels=5, skips=False))
    assert params["read"]["kernel"].shape == (7 * 7 * 8, 5)
    assert params["tell"]["kernel"].shape == (5, 8)
    silent = params | {"tell": jax.tree.map(jnp.zeros_like, params["tell"])}
    plain, _ = built(SMALL(skips=False))
    without = {name: leaf for name, leaf in params.items() if name not in ("read", "tell")}
    np.testing.assert_allclose(apply(silent, digits), plain(without, digits), atol=1e-6)
    corner = digits.at[:, :4, :4].set(0.0)

    def far(params):
        near, whole = (apply(params, x, training=True) for x in (corner, digits))
        return np.abs(near - whole)[:, :, -2:].max()

    keen = params | {"read": jax.tree.map(lambda x: 20 * x, params["read"])}
    assert far(keen) > 1e-4 > 10 * far(silent)


def test_the_reading_is_sown_for_those_who_ask(digits):
    config = SMALL(labels=5)
    apply, params = built(config)
    model = UNet(config, SIZE, SIZE)
    pictures, sown = model.apply({"params": params}, digits, mutable=["reading"])
    np.testing.assert_allclose(pictures, apply(params, digits), rtol=1e-4, atol=1e-5)
    (logits,) = sown["reading"]["label"]
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)


def test_dropout_hides_from_the_reading_while_training_alone(digits):
    """As many logits as keys; their mean is that of the whole bottleneck, and the map itself is left whole."""
    config = SMALL(labels=5, dropout=0.4)
    apply, params = built(SMALL(labels=5))
    model = UNet(config, SIZE, SIZE)
    np.testing.assert_allclose(model.apply({"params": params}, digits), apply(params, digits), rtol=1e-4, atol=1e-5)

    @jax.jit
    def logits(key):
        rngs = {"dropout": key}
        return model.apply({"params": params}, digits, None, True, mutable=["reading"], rngs=rngs)[1]["reading"]

    def whole():
        return model.apply({"params": params}, digits, mutable=["reading"])[1]["reading"]["label"][0]

    drawn = np.stack([logits(key)["label"][0] for key in jax.random.split(jax.random.key(0), 400)])
    spread = drawn.std(axis=0)
    assert spread.min() > 0
    assert np.abs(drawn.mean(axis=0) - whole()).max() < 4 * spread.max() / np.sqrt(400)

    silent = params | {"tell": jax.tree.map(jnp.zeros_like, params["tell"])}
    pictures = model.apply({"params": silent}, digits, None, True, rngs={"dropout": jax.random.key(1)})
    np.testing.assert_allclose(pictures, apply(silent, digits), rtol=1e-4, atol=1e-5)


def test_normalisation_over_the_batch_is_folded_into_what_paints(digits):
    """By statistics equal to the batch's own, the network without it paints what the network with it does."""
    config = SMALL(labels=5, batch_norm=True)
    apply, params = built(SMALL(labels=5))
    model = UNet(config, SIZE, SIZE)
    variables = jax.eval_shape(lambda key: model.init(key, digits, training=True), jax.random.key(0))
    rng = np.random.default_rng(1)
    norms = {name: {"scale": jnp.asarray(rng.uniform(0.5, 2, leaf["scale"].shape), jnp.float32),
                    "bias": jnp.asarray(rng.standard_normal(leaf["bias"].shape), jnp.float32)}
             for name, leaf in variables["params"].items() if name.endswith("_norm")}  # fmt: skip
    assert sorted(norms) == sorted(f"{name}_norm" for name in params if name.startswith(("encode", "bottleneck")))
    # Where the average forgets at once it is the batch's own.
    forgotten = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), variables["batch_stats"])
    pictures, seen = model.apply(
        {"params": params | norms, "batch_stats": forgotten}, digits, training=True, mutable=["batch_stats", "reading"]
    )
    own = jax.tree.map(lambda x: x / (1 - norm.MOMENTUM), seen["batch_stats"])
    paints = norm.fold_batch_norm(params | norms, own)
    assert jax.tree.map(jnp.shape, paints) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(apply(paints, digits, training=True), pictures, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"dropout": 1.0, "labels": 5}, {"dropout": -0.1, "labels": 5}, {"dropout": 0.4}])
def test_only_a_share_of_what_is_read_can_be_hidden(options):
    with pytest.raises(ValueError, match=f"model.dropout={options['dropout']} with model.labels"):
        UNetConfig(**options)


@pytest.mark.parametrize("head", ["paper", "rows"])
def test_bfloat16_paints_nearly_the_same_picture_in_float32(digits, head):
    apply, params = built(SMALL(head=head))
    half, half_params = built(SMALL(head=head, compute_dtype="bfloat16"))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(half_params))
    pictures, rounded = np.asarray(apply(params, digits)), half(params, digits)
    assert rounded.dtype == jnp.float32
    error = np.sqrt(np.mean((pictures - rounded) ** 2) / np.mean(pictures**2))
    assert 0 < error < 0.03


def test_gradients_reach_every_parameter(digits):
    config = SMALL(head="rows", qualities=3)
    apply, params = built(config)
    quality = jnp.array([0, 1])
    gradients = jax.jit(jax.grad(lambda p: jnp.mean((apply(p, digits, quality) - 0.5) ** 2)))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(leaf)), path
        assert float(jnp.abs(leaf).max()) > 0, path


class TestStart:
    """PyTorch's defaults: everything uniform within 1 / sqrt(fan_in)."""

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
            ("up_middle", 16 * 24),  # of a transposed convolution PyTorch counts the output channels
            ("up_fine", 16 * 16),
        ],
    )
    def test_kernels_fill_pytorchs_bounds(self, name, fan_in):
        kernel, bound = np.asarray(started(self.CONFIG)[name]["kernel"]), 1 / np.sqrt(fan_in)
        assert np.abs(kernel).max() <= bound
        assert np.abs(kernel).max() > 0.9 * bound
        assert np.std(kernel) == pytest.approx(bound / np.sqrt(3), rel=0.15)

    @pytest.mark.parametrize(
        ("name", "fan_in"), [("encode_fine_0", 9), ("bottleneck_1", 9 * 32), ("head", 9 * 16), ("up_fine", 16 * 16)]
    )
    def test_biases_lie_within_pytorchs_bounds(self, name, fan_in):
        bias = np.asarray(started(self.CONFIG)[name]["bias"])
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
def test_options_that_make_no_network_are_refused(options, message):
    config = UNetConfig()
    for name, value in options.items():  # past the checked signatures of these tests, which users do not have
        object.__setattr__(config, name, value)
    with pytest.raises(ValueError, match=message):
        config.__post_init__()
