"""SSIM and MS-SSIM against dm_pix, a float64 scipy form, and figures published for a real picture."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from conftest import modes
from specjax.arrays import batching
from specjax.image import similarity
from specjax.image.similarity import ms_ssim, ssim

MODES = ["plain", "jit", "vmap"]
RNG = np.random.default_rng(0)
SCALES = (0.2, 0.3, 0.4)  # three fit (45, 47): 45, 22, 11


def pair(shape, noise=0.3):
    """A blurred picture and a noisy copy, as float64 numbers that float32 holds exactly."""
    x = scipy.signal.convolve(RNG.random((*shape[:-2], shape[-2] + 4, shape[-1] + 4)), np.full((5, 5), 0.04)[(None,) * (
        len(shape) - 2
    )], "valid")  # fmt: skip
    y = np.clip(x + noise * RNG.standard_normal(x.shape), 0, 1)
    return x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)


def as_jax(*arrays):
    return tuple(jnp.asarray(a, jnp.float32) for a in arrays)


def window(side=11, sigma=1.5):
    line = scipy.signal.windows.gaussian(side, sigma)
    return np.outer(line, line) / line.sum() ** 2


def scale_maps(x, y, max_value=1.0, side=11, sigma=1.5):
    """Luminance and contrast-structure maps, straight from the papers' definitions."""
    mean = partial(scipy.signal.correlate, in2=window(side, sigma), mode="valid", method="direct")
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * cov + c2) / (vx + vy + c2)


def halved(x):
    return np.mean([x[i : x.shape[0] // 2 * 2 : 2, j : x.shape[1] // 2 * 2 : 2] for i in (0, 1) for j in (0, 1)], 0)


def ssim_by_hand(x, y, **options):
    light, cs = scale_maps(x, y, **options)
    return np.mean(light * cs)


def ms_ssim_by_hand(x, y, weights, **options):
    product = 1.0
    for i, weight in enumerate(weights):
        light, cs = scale_maps(x, y, **options)
        last = i == len(weights) - 1
        product *= max(np.mean(light * cs) if last else np.mean(cs), 0) ** weight
        x, y = halved(x), halved(y)
    return product


class TestSsim:
    @pytest.mark.parametrize(
        ("shape", "mode"),
        [((30, 37), "plain"), ((30, 37), "jit"), ((30, 37), "vmap"), ((11, 11), "jit"), ((11, 40), "jit")],
    )
    def test_it_is_the_definition(self, shape, mode):
        x, y = pair(shape)
        np.testing.assert_allclose(modes(ssim)[mode](*as_jax(x, y)), ssim_by_hand(x, y), atol=2e-6)

    def test_it_is_dm_pixs(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import dm_pix

        x, y = pair((3, 30, 37))
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            expected = dm_pix.ssim(*(jnp.asarray(a[..., None], jnp.float32) for a in (x, y)))
        np.testing.assert_allclose(ssim(*as_jax(x, y)), expected, atol=1e-5)

    def test_other_windows(self):
        x, y = pair((20, 24))
        found = ssim(*as_jax(x, y), window=7, sigma=1.0)
        np.testing.assert_allclose(found, ssim_by_hand(x, y, side=7, sigma=1.0), atol=2e-6)

    def test_it_may_be_negative(self):
        x, _ = pair((30, 30))
        found = ssim(*as_jax(x, 1 - x))
        np.testing.assert_allclose(found, ssim_by_hand(x, 1 - x), atol=2e-6)
        assert float(found) < 0

    def test_its_gradient_is_the_slope_of_the_definition(self):
        x, y = pair((20, 20))
        gradient = np.asarray(jax.grad(lambda a: ssim(a, as_jax(y)[0]))(*as_jax(x)), float)
        assert_slopes(gradient, lambda a: ssim_by_hand(a, y), x)


def assert_slopes(gradient, function, x, directions=4, rtol=2e-3):
    """The gradient along random directions against central differences of a float64 function."""
    step = 1e-6
    slopes, expected = [], []
    for direction in np.random.default_rng(1).standard_normal((directions, *x.shape)):
        slopes.append(np.sum(gradient * direction))
        expected.append((function(x + step * direction) - function(x - step * direction)) / (2 * step))
    np.testing.assert_allclose(slopes, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


class TestMsSsim:
    @pytest.mark.parametrize(
        ("shape", "mode"),
        [((45, 47), "plain"), ((45, 47), "jit"), ((45, 47), "vmap"), ((44, 44), "jit"), ((67, 45), "jit")],
    )
    def test_it_is_the_definition(self, shape, mode):
        x, y = pair(shape)
        found = modes(partial(ms_ssim, weights=SCALES))[mode](*as_jax(x, y))
        np.testing.assert_allclose(found, ms_ssim_by_hand(x, y, SCALES), atol=5e-6)

    def test_all_five_scales_of_the_paper(self):
        x, y = pair((176, 180))
        found = jax.jit(ms_ssim)(*as_jax(x, y))
        np.testing.assert_allclose(found, ms_ssim_by_hand(x, y, similarity.PAPER_WEIGHTS), atol=5e-6)

    @pytest.mark.parametrize("backend", ["cpu", "gpu"], ids=["one picture at a time", "vmap"])
    def test_batches_are_their_pictures_in_value_and_gradient(self, backend, monkeypatch):
        monkeypatch.setattr(batching.jax, "default_backend", lambda: backend)
        x, y = pair((2, 2, 22, 24))
        weights = (0.4, 0.6)
        value, slopes = jax.jit(jax.value_and_grad(lambda a, b: ms_ssim(a, b, weights=weights).sum(), (0, 1)))(
            *as_jax(x, y)
        )
        found = jax.jit(partial(ms_ssim, weights=weights))(*as_jax(x, y))
        assert found.shape == (2, 2)
        by_hand = [ms_ssim_by_hand(x[i, j], y[i, j], weights) for i in (0, 1) for j in (0, 1)]
        np.testing.assert_allclose(found.ravel(), by_hand, atol=5e-6)
        np.testing.assert_allclose(value, sum(by_hand), atol=2e-5)
        single = jax.jit(jax.grad(lambda a, b: ms_ssim(a, b, weights=weights), (0, 1)))
        for slope, expected in zip(slopes, single(*as_jax(x[1, 0], y[1, 0])), strict=True):
            np.testing.assert_allclose(slope[1, 0], expected, atol=1e-6)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("argument", [0, 1])
    def test_its_gradient_is_the_slope_of_the_definition(self, argument, mode):
        """Odd sides: the rows that halving leaves out get no gradient from the coarser scales."""
        x, y = pair((45, 47))
        gradient = modes(jax.grad(partial(ms_ssim, weights=SCALES), argument))[mode](*as_jax(x, y))

        def function(a):
            return ms_ssim_by_hand(a, y, SCALES) if argument == 0 else ms_ssim_by_hand(x, a, SCALES)

        assert_slopes(np.asarray(gradient, float), function, (x, y)[argument])

    def test_single_pixels_slopes(self):
        """Corners, borders and the middle, each on its own."""
        x, y = pair((23, 24))
        weights = (0.4, 0.6)
        gradient = jax.grad(partial(ms_ssim, weights=weights))(*as_jax(x, y))
        for place in [(0, 0), (22, 23), (0, 12), (22, 3), (11, 11)]:
            nudge = np.zeros(x.shape)
            nudge[place] = 1e-5
            slope = (ms_ssim_by_hand(x + nudge, y, weights) - ms_ssim_by_hand(x - nudge, y, weights)) / 2e-5
            np.testing.assert_allclose(gradient[place], slope, atol=2e-3 * float(jnp.abs(gradient).max()))

    def test_it_is_symmetric_and_so_are_its_gradients(self):
        x, y = as_jax(*pair((24, 24)))
        function = jax.value_and_grad(partial(ms_ssim, weights=(0.4, 0.6)), (0, 1))
        forth, back = function(x, y), function(y, x)
        np.testing.assert_allclose(forth[0], back[0], rtol=1e-6)
        np.testing.assert_allclose(forth[1][0], back[1][1], atol=1e-6)
        np.testing.assert_allclose(forth[1][1], back[1][0], atol=1e-6)

    def test_the_gradient_of_both_arguments_together_is_the_sum(self):
        """d f(x, x + d) dx moves both."""
        x, y = pair((24, 24))
        gap = jnp.asarray(y - x, jnp.float32)
        gradient = jax.grad(lambda a: ms_ssim(a, a + gap, weights=(0.4, 0.6)))(*as_jax(x))
        assert_slopes(np.asarray(gradient, float), lambda a: ms_ssim_by_hand(a, a + y - x, (0.4, 0.6)), x)

    @pytest.mark.parametrize("case", ["textured", "black", "white", "grey"])
    def test_identical_pictures_are_one_and_do_not_pull(self, case):
        x = {"textured": as_jax(pair((30, 30))[0])[0]}.get(case)
        if x is None:
            x = jnp.full((30, 30), {"black": 0.0, "white": 1.0, "grey": 0.3}[case])
        value, gradients = jax.value_and_grad(partial(ms_ssim, weights=(0.4, 0.6)), (0, 1))(x, x)
        # On flat grey the rounding of E[x^2] - E[x]^2 is felt beside c2 = 9e-4.
        assert float(value) == pytest.approx(1.0, abs=2e-4 if case == "grey" else 1e-6)
        for gradient in gradients:
            np.testing.assert_allclose(gradient, 0.0, atol=1e-5)

    @pytest.mark.parametrize(("left", "right"), [(0.0, 1.0), (0.2, 0.8), (0.0, 0.001)])
    def test_constant_pictures_differ_in_luminance_alone(self, left, right):
        x, y = jnp.full((30, 30), left), jnp.full((30, 30), right)
        value, gradients = jax.value_and_grad(partial(ms_ssim, weights=(0.4, 0.6)), (0, 1))(x, y)
        light = (2 * left * right + 1e-4) / (left**2 + right**2 + 1e-4)
        np.testing.assert_allclose(value, light**0.6, rtol=1e-3)
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)

    @pytest.mark.parametrize("case", ["inverted", "black against texture"])
    def test_hopeless_pictures_have_a_finite_value_and_gradient(self, case):
        x = as_jax(pair((30, 30))[0])[0]
        y = 1.0 - x if case == "inverted" else jnp.zeros((30, 30))
        value, gradients = jax.value_and_grad(partial(ms_ssim, weights=(0.4, 0.6)), (0, 1))(x, y)
        assert 0 <= float(value) < 0.5
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)

    @pytest.mark.parametrize("function", [ssim, partial(ms_ssim, weights=SCALES)], ids=["ssim", "ms_ssim"])
    def test_bytes_range_is_the_unit_range_scaled(self, function):
        x, y = as_jax(*pair((45, 47)))
        scaled, slopes = jax.value_and_grad(partial(function, max_value=255.0))(x * 255, y * 255)
        expected, unit_slopes = jax.value_and_grad(function)(x, y)
        np.testing.assert_allclose(scaled, expected, atol=1e-5)
        np.testing.assert_allclose(slopes * 255, unit_slopes, atol=1e-6)

    def test_half_precision_pictures_are_compared_in_float32(self):
        x, y = (a.astype(jnp.bfloat16) for a in as_jax(*pair((30, 30))))
        found = ms_ssim(x, y, weights=(0.4, 0.6))
        assert found.dtype == jnp.float32
        expected = ms_ssim_by_hand(np.asarray(x, float), np.asarray(y, float), (0.4, 0.6))
        np.testing.assert_allclose(found, expected, atol=5e-6)

    def test_more_noise_is_less_alike(self):
        x, _ = pair((45, 47))
        noise = RNG.standard_normal(x.shape)
        values = [float(ms_ssim(*as_jax(x, x + s * noise), weights=SCALES)) for s in (0.0, 0.05, 0.2, 0.5)]
        assert values == sorted(values, reverse=True)


class TestFittingWeights:
    def test_large_pictures_keep_all(self):
        weights = similarity.fitting_weights(similarity.PAPER_WEIGHTS, 176)
        np.testing.assert_allclose(weights, similarity.PAPER_WEIGHTS)

    @pytest.mark.parametrize(("side", "scales"), [(175, 4), (88, 4), (87, 3), (28, 2), (22, 2), (21, 1), (11, 1)])
    def test_small_ones_keep_the_first_that_fit_at_the_same_sum(self, side, scales):
        weights = similarity.fitting_weights((0.1, 0.15, 0.2, 0.2, 0.2), side)
        assert len(weights) == scales
        assert sum(weights) == pytest.approx(0.85)
        np.testing.assert_allclose(np.array(weights) / weights[0], np.array((0.1, 0.15, 0.2, 0.2))[:scales] / 0.1)

    def test_ms_ssim_uses_them(self):
        x, y = pair((28, 28))
        fitted = similarity.fitting_weights(similarity.PAPER_WEIGHTS, 28)
        np.testing.assert_allclose(ms_ssim(*as_jax(x, y)), ms_ssim_by_hand(x, y, fitted), atol=5e-6)


@pytest.mark.parametrize("function", [ssim, ms_ssim])
class TestRefusals:
    def test_unequal_shapes(self, function):
        """By the function itself: the checked signatures of these tests would refuse them first."""
        with pytest.raises((ValueError, TypeError)):
            function(jnp.zeros((20, 20)), jnp.zeros((20, 21)))
        with pytest.raises(ValueError, match=r"differ in shape: \(20, 20\) and \(20, 21\)"):
            similarity._check(jnp.zeros((20, 20)), jnp.zeros((20, 21)), 11)

    @pytest.mark.parametrize("shape", [(10, 20), (20, 10)])
    def test_too_small(self, function, shape):
        with pytest.raises(ValueError, match="smaller than the 11 x 11 window"):
            function(jnp.zeros(shape), jnp.zeros(shape))


@pytest.mark.parametrize(
    ("noise", "one_scale", "all_scales"),
    [(10, 0.956666, 0.994819), (50, 0.528060, 0.908830), (100, 0.251728, 0.773585)],
)
def test_figures_of_einstein(real_data, noise, one_scale, all_scales):
    """What pytorch-msssim 1.0 says of the picture against itself plus noise * U[0, 1).

    The figures its page prints (0.9324 and 0.9911 at 10) it does not give itself, of this file and this noise.
    """
    from PIL import Image

    with Image.open(real_data / "msssim_ref" / "einstein.png") as file:
        picture = np.asarray(file.convert("L"), np.float32)
    noisy = picture + noise * np.random.default_rng(0).random(picture.shape, np.float32)
    x, y = jnp.asarray(picture), jnp.asarray(noisy)
    np.testing.assert_allclose(jax.jit(partial(ssim, max_value=255.0))(x, y), one_scale, atol=1e-4)
    np.testing.assert_allclose(jax.jit(partial(ms_ssim, max_value=255.0))(x, y), all_scales, atol=1e-4)
