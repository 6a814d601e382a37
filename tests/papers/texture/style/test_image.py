"""Style transfer with an image network: exact statistics of styles read in pieces, and descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.texture.style import image
from specjax.papers.texture.style.image import Image, ImageLoss, style_grams
from specjax.papers.texture.style.source import Style
from specjax.papers.texture.style.vgg import Vgg19

LAYERS = ("conv1_1", "conv2_1")


@pytest.fixture(scope="module")
def params():
    """Random parameters of VGG-19."""
    return jax.jit(lambda key: Vgg19().init(key, jnp.zeros((1, 32, 32)))["params"])(jax.random.key(0))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="'conv9_1' is unknown: choose from conv1_1"):
        Image(layers=("conv9_1",))


@pytest.mark.long
def test_grams_of_pieces_are_those_of_the_whole(params):
    wave = np.random.default_rng(0).normal(size=1300 * 128).astype(np.float32)
    style = Style.measure([wave], 1)
    whole = style_grams(Style([wave], style.samples, style.gain), params, LAYERS)
    blocks = style_grams(Style(np.array_split(wave, 7), style.samples, style.gain), params, LAYERS)
    for name in LAYERS:
        np.testing.assert_allclose(whole[name], blocks[name], rtol=1e-3)


@pytest.mark.long
def test_loss_is_zero_for_the_style_itself_as_content(params):
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 255, (32, 48)), jnp.float32)
    features = image.extract_features(x, params)
    rows = {name: features[name].reshape(-1, features[name].shape[-1]) for name in LAYERS}
    grams = {name: r.T @ r / len(r) for name, r in rows.items()}
    content = {"conv4_2": features["conv4_2"]}
    loss = ImageLoss(1.0, 1.0, LAYERS)
    assert float(loss(x, content, grams, params)) < 1e-5
    assert float(loss(x * 0.5, content, grams, params)) > 1e-3
