"""Losses against numpy references; the weighted sum, its gated losses, and weights of examples."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.special

from conftest import modes
from specjax.arrays import batching
from specjax.image.similarity import ms_ssim
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.chord import losses
from specjax.papers.chord.losses import LOSSES, LossOptions, mix, weighted_sum

SIZE = 44
CONFIG = LossOptions(huber_delta=0.25, ms_ssim_weights=(0.3, 0.5), wave_rate=264, n_fft=64, hop_length=24)
MODES = ["plain", "jit", "vmap"]


@pytest.fixture
def pictures():
    """Prediction and target: smooth enough to be similar, with some errors larger than Huber's delta."""
    rng = np.random.default_rng(0)
    prediction, target = (scipy.ndimage.gaussian_filter(rng.random((2, SIZE, SIZE)), (0, 1, 1)) for _ in range(2))
    prediction[0, 3] += 0.8
    return jnp.asarray(prediction, jnp.float32), jnp.asarray(target, jnp.float32)


@lru_cache
def compile_value_and_grad(name):
    return jax.jit(jax.value_and_grad(lambda p, t: LOSSES[name](p, t, CONFIG).sum()))


def to_float64(pictures):
    return (np.asarray(x, float) for x in pictures)


def compute_huber_reference(p, t):
    error, delta = np.abs(p - t), 0.25
    return np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)).mean((1, 2))


def compute_fft_reference(p, t):
    return ((np.abs(np.fft.rfft2(p)) - np.abs(np.fft.rfft2(t))) ** 2).mean((1, 2))


def compute_sobel_reference(p, t):
    gradients = [[scipy.ndimage.sobel(x, axis, mode="reflect") for axis in (0, 1)] for x in p - t]
    return np.mean(np.square(gradients), (1, 2, 3))


def synthesize_reference(pictures):
    """Synthesize row r at r Hz with fixed phases, with levels interpolated between the borders of 6-sample columns."""
    width = CONFIG.wave_rate // SIZE
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, SIZE)
    time = np.arange(CONFIG.wave_rate) / CONFIG.wave_rate
    sines = np.sin(2 * np.pi * np.arange(SIZE)[:, None] * time + phases[:, None])
    ends = np.clip(np.arange(SIZE + 1) - 0.5, 0, SIZE - 1)
    waves = []
    for picture in pictures:
        levels = [np.interp(ends, np.arange(SIZE), row) for row in picture]
        levels = [np.interp(np.arange(CONFIG.wave_rate) / width, np.arange(SIZE + 1), row) for row in levels]
        waves.append(np.sum(levels * sines, axis=0))
    return np.array(waves)


def compute_spectra_reference(pictures):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    waves = synthesize_reference(pictures)
    frames = [[wave[i : i + 64] * window for i in range(0, CONFIG.wave_rate - 63, 24)] for wave in waves]
    return np.abs(np.fft.rfft(frames))


REFERENCES = {
    "mse": lambda p, t: ((p - t) ** 2).mean((1, 2)),
    "l1": lambda p, t: np.abs(p - t).mean((1, 2)),
    "huber": compute_huber_reference,
    "ms_ssim": lambda p, t: 1 - np.asarray(
        ms_ssim(jnp.asarray(p, jnp.float32), jnp.asarray(t, jnp.float32), weights=(0.3, 0.5))
    ),
    "fft": compute_fft_reference,
    "sobel": compute_sobel_reference,
    "rows": lambda p, t: ((p.mean(2) - t.mean(2)) ** 2).sum(1),
    "waveform": lambda p, t: ((synthesize_reference(p) - synthesize_reference(t)) ** 2).mean(1),
    "stft": lambda p, t: ((compute_spectra_reference(p) - compute_spectra_reference(t)) ** 2).mean((1, 2)),
}  # fmt: skip


def test_every_loss_has_a_reference():
    assert set(LOSSES) == set(REFERENCES)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_matches_its_reference(name, mode, pictures):
    result = modes(lambda p, t: LOSSES[name](p, t, CONFIG))[mode](*pictures)
    assert result.shape == (2,)
    np.testing.assert_allclose(result, REFERENCES[name](*to_float64(pictures)), rtol=2e-4)


@pytest.mark.parametrize("name", ["ms_ssim", "sobel", "waveform", "stft"])
def test_batched_form_for_accelerators_gives_the_same_loss(name, pictures, monkeypatch):
    expected = jax.jit(lambda p, t: LOSSES[name](p, t, CONFIG))(*pictures)
    monkeypatch.setattr(batching.jax, "default_backend", lambda: "gpu")
    result = jax.jit(lambda p, t: LOSSES[name](p, t, CONFIG))(*pictures)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_equal_spectrograms_is_zero(name, pictures):
    np.testing.assert_allclose(LOSSES[name](pictures[0], pictures[0], CONFIG), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", ["silence", "one is silent", "equal", "constant"])
def test_gradients_are_finite_at_singular_points(name, case, pictures):
    zeros, spectrogram = jnp.zeros((2, SIZE, SIZE)), pictures[0]
    prediction, target = {
        "silence": (zeros, zeros),
        "one is silent": (zeros, spectrogram),
        "equal": (spectrogram, spectrogram),
        "constant": (zeros + 0.5, zeros + 0.2),
    }[case]
    value, gradient = compile_value_and_grad(name)(prediction, target)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", ["mse", "huber", "fft", "sobel", "rows", "waveform", "stft", "ms_ssim"])
def test_gradients_match_finite_differences_of_the_reference(name, pictures):
    """Compare derivatives along a random direction; the reference is float64, float32 for MS-SSIM."""
    prediction, target = to_float64(pictures)
    direction = np.random.default_rng(1).standard_normal(prediction.shape)
    step = 1e-2 if name == "ms_ssim" else 1e-5
    ahead, behind = (REFERENCES[name](prediction + s * step * direction, target).sum() for s in (1, -1))
    _, gradient = compile_value_and_grad(name)(*pictures)
    np.testing.assert_allclose(np.sum(gradient * direction), (ahead - behind) / (2 * step), rtol=1e-2)


@pytest.mark.parametrize(("delta", "error", "expected"), [(1.0, 0.5, 0.125), (0.5, 0.5, 0.125), (0.5, 2.0, 0.875)])
def test_huber_is_linear_beyond_delta(delta, error, expected):
    zeros = jnp.zeros((1, 4, 4))
    assert losses.huber(zeros + error, zeros, LossOptions(huber_delta=delta))[0] == pytest.approx(expected)


def test_rows_loss_ignores_the_order_in_time_but_not_the_rows(pictures):
    prediction, _ = pictures
    assert float(losses.rows(prediction[:, :, ::-1], prediction, CONFIG).max()) < 1e-9
    assert float(losses.rows(prediction[:, ::-1], prediction, CONFIG).min()) > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_label_loss_is_cross_entropy(mode):
    rng = np.random.default_rng(0)
    logits, label = rng.normal(0, 3, (5, 10)), rng.integers(0, 10, 5)
    expected = scipy.special.logsumexp(logits, axis=1) - logits[np.arange(5), label]
    result = modes(losses.label_loss)[mode](jnp.asarray(logits, jnp.float32), jnp.asarray(label, jnp.int32))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    confident = 50.0 * jax.nn.one_hot(label, 10)
    np.testing.assert_allclose(losses.label_loss(confident, jnp.asarray(label, jnp.int32)), 0.0, atol=1e-6)


class TestWeightedSum:
    def total(self, pictures, weights, importance=(1.0, 1.0), gated=()):
        weights = {name: jnp.float32(w) for name, w in weights.items()}
        losses = {name: partial(f, *pictures, CONFIG) for name, f in LOSSES.items()}
        return weighted_sum(losses, weights, jnp.asarray(importance, jnp.float32), gated)

    def test_total_is_weighted_sum_of_mean_losses(self, pictures):
        total, values = self.total(pictures, {"huber": 0.65, "ms_ssim": 0.34, "fft": 1e-4})
        expected = {name: REFERENCES[name](*to_float64(pictures)).mean() for name in values}
        for name, value in values.items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-4)
        expected_total = 0.65 * expected["huber"] + 0.34 * expected["ms_ssim"] + 1e-4 * expected["fft"]
        np.testing.assert_allclose(total, expected_total, rtol=2e-4)

    @pytest.mark.parametrize("mode", MODES)
    def test_result_is_the_same_under_jit_and_vmap(self, pictures, mode):
        def sum_both(prediction, target, weight, importance):
            losses = {name: partial(LOSSES[name], prediction, target, CONFIG) for name in ("mse", "l1")}
            return weighted_sum(losses, {"mse": weight, "l1": weight}, importance, ("l1",))

        total, values = modes(sum_both)[mode](*pictures, jnp.float32(0.5), jnp.ones(2))
        np.testing.assert_allclose(total, 0.5 * (values["mse"] + values["l1"]), rtol=1e-6)
        np.testing.assert_allclose(values["l1"], REFERENCES["l1"](*to_float64(pictures)).mean(), rtol=1e-5)

    def test_importance_weights_examples(self, pictures):
        each = REFERENCES["mse"](*to_float64(pictures))
        np.testing.assert_allclose(self.total(pictures, {"mse": 1.0}, (3.0, 1.0))[0], each @ [0.75, 0.25], rtol=1e-5)

    def test_masked_examples_change_neither_loss_nor_gradient(self, pictures):
        each = REFERENCES["mse"](*to_float64(pictures))
        np.testing.assert_allclose(self.total(pictures, {"mse": 1.0}, (0.0, 1.0))[0], each[1], rtol=1e-5)
        gradient = jax.grad(lambda p: self.total((p, pictures[1]), {"mse": 1.0, "ms_ssim": 1.0}, (0.0, 1.0))[0])
        gradients = gradient(pictures[0])
        np.testing.assert_array_equal(gradients[0], 0.0)
        assert float(jnp.abs(gradients[1]).max()) > 0

    def test_fully_masked_batch_gives_zero_loss_and_gradient(self, pictures):
        function = jax.value_and_grad(lambda p: self.total((p, pictures[1]), {"mse": 1.0}, (0.0, 0.0))[0])
        value, gradients = function(pictures[0])
        assert float(value) == 0.0
        np.testing.assert_array_equal(gradients, 0.0)

    def test_gated_loss_with_zero_weight_is_zero_and_not_computed(self, pictures):
        """If it were computed, the infinite level would make the total NaN."""
        broken = pictures[0].at[0, 0, 0].set(jnp.inf)

        @jax.jit
        def run(weight):
            return self.total((broken, pictures[1]), {"mse": weight, "rows": weight}, gated=("mse", "rows"))

        total, values = run(0.0)
        assert (float(total), float(values["mse"]), float(values["rows"])) == (0.0, 0.0, 0.0)
        assert not np.isfinite(run(1.0)[0])

    @pytest.mark.parametrize("weight", [0.0, 0.7])
    def test_gating_changes_neither_value_nor_gradient(self, pictures, weight):
        def run(gated):
            def total(picture):
                return self.total((picture, pictures[1]), {"mse": 1.0, "sobel": weight}, gated=gated)[0]

            return jax.jit(jax.value_and_grad(total))(pictures[0])

        for plain, gated in zip(run(()), run(("sobel",)), strict=True):
            np.testing.assert_allclose(plain, gated, rtol=1e-5, atol=1e-9)

    def test_total_of_no_losses_is_zero(self, pictures):
        total, values = self.total(pictures, {})
        assert float(total) == 0.0
        assert values == {}


def test_mix_has_a_weight_for_every_loss():
    ramp = ScheduleSpec("linear", 0.0, 1.0, over=10)
    weights = mix(huber=0.65, fft=ramp, mse=1.0)
    assert set(weights) == {*LOSSES, "label"}
    assert weights["huber"] == ScheduleSpec(value=0.65)
    assert weights["mse"] == ScheduleSpec(value=1.0)
    assert weights["fft"] is ramp
    assert weights["sobel"] == ScheduleSpec(value=0.0)


def test_defaults_are_those_of_the_authors():
    assert LossOptions().ms_ssim_weights == (0.1, 0.15, 0.2, 0.2, 0.2)
    assert LossOptions().huber_delta == 1.0


def test_rows_above_half_the_sample_rate_raise(pictures):
    with pytest.raises(ValueError, match="below half the sample rate of 80 Hz"):
        losses.waveform(*pictures, LossOptions(wave_rate=80))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"huber_delta": 0.0}, "huber_delta=0.0 must be above 0"),
        ({"ms_ssim_weights": ()}, "non-empty tuple"),
        ({"ms_ssim_weights": (0.5, 0.0)}, "above 0"),
        ({"wave_rate": 0}, "wave_rate"),
        ({"n_fft": 0}, "n_fft"),
        ({"hop_length": 0}, "hop_length"),
    ],
)
def test_invalid_constants_raise(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)
