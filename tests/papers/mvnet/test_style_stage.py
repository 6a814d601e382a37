"""The second stage: styles of pictures, the nearest painting, refinement, and its bundles."""

from dataclasses import asdict, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_museum import ERAS

from specjax.cli.errors import UserError
from specjax.engine import bundle
from specjax.engine.task import Part
from specjax.papers.mvnet import data
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.pictures import to_values
from specjax.papers.mvnet.refinement import Refinement, Refiner, load_style, match_colors, open_style
from specjax.papers.mvnet.representation import Representation
from specjax.papers.mvnet.style import (
    StyleConfig,
    StyleInference,
    check_size,
    collect_styles,
    describe_pixels,
    measure_moments,
    shrink,
)
from specjax.papers.mvnet.style_task import StyleTask
from specjax.papers.mvnet.task import GanTask

CONFIG = StyleConfig(data=MuseumConfig(eras=ERAS, representation=Representation("power")), widths=(4, 6), paintings=2)
RNG = np.random.default_rng(0)


def paint(brightness, contrast, size=256):
    """Paint a picture with coarse random strokes."""
    strokes = RNG.standard_normal((size // 16, size // 16, 3)).repeat(16, 0).repeat(16, 1)
    return np.clip(brightness + contrast * strokes, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def paintings():
    """Two paintings of each of two eras, from dark to light."""
    return np.array([[paint(40, 10), paint(90, 40)], [paint(150, 60), paint(220, 20)]])


@pytest.fixture(scope="module")
def refiner(paintings):
    inference = StyleInference(CONFIG)
    network = jax.device_get(jax.jit(inference.init)(jax.random.key(0)))["network"]
    return Refiner(inference, collect_styles(inference, network, paintings))


def test_a_style_has_means_and_deviations_of_each_channel():
    maps = RNG.standard_normal((2, 5, 7, 3)).astype(np.float32)
    expected = np.concatenate([maps.mean(axis=(1, 2)), maps.std(axis=(1, 2))], axis=1)
    np.testing.assert_allclose(measure_moments(jnp.asarray(maps)), expected, rtol=1e-5, atol=1e-6)


def test_pixels_are_described_by_values_and_absolute_differences():
    values = RNG.uniform(-1, 1, (1, 6, 6, 3)).astype(np.float32)
    below, right = (np.abs(np.diff(values, axis=axis)) for axis in (1, 2))
    expected = np.concatenate([values[:, :-1, :-1], below[:, :, :-1], right[:, :-1]], axis=-1)
    np.testing.assert_allclose(describe_pixels(jnp.asarray(values)), expected, atol=2e-3)


def test_smaller_pictures_are_means_of_larger_ones():
    values = RNG.uniform(-1, 1, (1, 256, 256, 3)).astype(np.float32)
    sizes = shrink(jnp.asarray(values))
    assert [x.shape[1] for x in sizes] == [64, 128, 256]
    np.testing.assert_allclose(sizes[0][0, 1, 2], values[0, 4:8, 8:12].mean(axis=(0, 1)), atol=1e-6)
    assert [x.shape[1] for x in shrink(sizes[0])] == [64]


def test_all_layers_have_equal_weights(refiner):
    weights = refiner.inference.weights
    assert weights.sum() == pytest.approx(1)
    for layer in np.split(weights, np.cumsum([18, 8])):
        assert layer.sum() == pytest.approx(1 / 3)


def test_noise_and_edges_of_equal_variance_differ_in_style(refiner):
    """The same pixel values, in order and shuffled."""
    ordered = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 64, 0)[..., None].repeat(3, -1)
    shuffled = RNG.permutation(ordered.reshape(-1, 3)).reshape(ordered.shape)
    styles = refiner.measure(np.stack([ordered, shuffled]))
    color = [0, 1, 2, 9, 10, 11]  # means and deviations of the values
    np.testing.assert_allclose(styles[0, 0, color], styles[1, 0, color], atol=0.03)
    assert refiner.measure_distance(ordered[None], styles[1:]) > 1


def test_colors_get_the_means_and_deviations_of_a_style(refiner):
    values = jnp.asarray(RNG.uniform(-0.2, 0.2, (64, 64, 3)), jnp.float32)
    style = refiner.variables["paintings"][1, 0]
    matched = match_colors(values, jnp.asarray(style))
    np.testing.assert_allclose(matched.mean(axis=(0, 1)), style[-1, :3], atol=0.02)
    np.testing.assert_allclose(matched.std(axis=(0, 1)), style[-1, 9:12], rtol=0.1)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_the_nearest_painting_to_a_painting_is_itself(refiner, paintings, size):
    factor = 256 // size
    small = paintings.reshape(4, size, factor, size, factor, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    nearest = refiner.find_nearest(small)
    sizes = nearest.shape[1]
    np.testing.assert_array_equal(nearest, refiner.variables["paintings"].reshape(4, 3, -1)[:, :sizes])
    of_era = refiner.find_nearest(small, ERAS[1])
    assert set(map(float, of_era[:, 0, 0])) <= set(map(float, refiner.variables["paintings"][1, :, 0, 0]))


def test_refinement_changes_the_style_and_keeps_the_content(refiner):
    picture = paint(60, 20, 64)[None]
    style = refiner.find_nearest(picture, ERAS[1])
    refined, interrupted = refiner.refine(picture, style, Refinement(content_weight=0.1, iterations=10))
    assert not interrupted
    before, after = (refiner.measure_distance(pixels, style) for pixels in (picture, refined))
    assert after < 0.5 * before
    assert np.corrcoef(picture.ravel(), refined.ravel())[0, 1] > 0.6
    faithful, _ = refiner.refine(picture, style, Refinement(content_weight=100.0, iterations=10))
    network = jax.tree.map(jnp.asarray, refiner.variables["network"])
    own, changed, kept = (
        refiner.inference.content(network, to_values(jnp.asarray(x))) for x in (picture, refined, faithful)
    )
    assert np.linalg.norm(kept - own) < np.linalg.norm(changed - own)


def test_ctrl_c_ends_a_refinement_with_the_best_picture_so_far(refiner):
    picture = paint(60, 20, 64)[None]
    style = refiner.find_nearest(picture, ERAS[1])

    def interrupt(done, loss):
        raise KeyboardInterrupt

    refined, interrupted = refiner.refine(picture, style, Refinement(iterations=1000), interrupt)
    assert interrupted
    assert refiner.measure_distance(refined, style) < refiner.measure_distance(picture, style)


def test_sizes_eras_and_settings_that_do_not_exist_are_errors(refiner):
    with pytest.raises(UserError, match="pictures of 65 pixels cannot be refined: choose one of 64, 128, 256"):
        check_size(65)
    with pytest.raises(UserError, match="--era=rococo is unknown: choose one of baroque, modern"):
        refiner.find_nearest(paint(60, 20, 64)[None], "rococo")
    for bad in ({"content_weight": -1.0}, {"content_weight": float("nan")}, {"iterations": 0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Refinement(**bad)
    with pytest.raises(ValueError, match="must name at least 2 convolutions"):
        replace(CONFIG, widths=(4,))


@pytest.fixture(scope="module")
def style_bundle(refiner, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "style"
    bundle.save(folder, "mvnet/style", {"style": Part(refiner.variables, asdict(CONFIG))}, {})
    return folder


def test_a_trained_network_is_exported_with_the_styles_of_its_paintings(monkeypatch, paintings, tmp_path):
    monkeypatch.setattr(data, "choose_pictures", lambda config, count, size: paintings)
    task = StyleTask(CONFIG)
    state = jax.device_get(jax.jit(task.init)(jax.random.key(0)))
    bundle.save(tmp_path / "b", task.name, task.parts(state, {}), {})
    opened = open_style(bundle.load(tmp_path / "b"), "b")
    np.testing.assert_array_equal(
        opened.variables["paintings"][1, 0], opened.measure(paintings[1, :1])[0].astype(np.float32)
    )
    np.testing.assert_allclose(opened.variables["spread"], opened.variables["paintings"].std(axis=(0, 1)), rtol=1e-5)


def test_a_gan_exports_its_second_stage_and_knows_the_same_eras(style_bundle):
    task = GanTask(GanConfig(data=CONFIG.data, style=str(style_bundle)))
    assert task.refiner.eras == ERAS
    assert load_style("", ERAS) is None
    with pytest.raises(UserError, match="knows the eras baroque, modern, expected modern, baroque: name a model"):
        load_style(str(style_bundle), ERAS[::-1])
