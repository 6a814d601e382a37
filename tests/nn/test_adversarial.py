"""Losses of GANs against closed forms, and gradient penalties against exact gradients and finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.nn.adversarial import LOSSES, PenaltyConfig, penalize_difference, penalize_gradient

RNG = np.random.default_rng(0)
REAL, FAKE = jnp.asarray(RNG.normal(size=(2, 7)), jnp.float32)


def softplus(x):
    return np.log1p(np.exp(np.asarray(x, float)))


# Discriminator's and generator's loss.
EXPECTED = {
    "least_squares": (0.5 * ((REAL - 1) ** 2).mean() + 0.5 * (FAKE**2).mean(), 0.5 * ((FAKE - 1) ** 2).mean()),
    "hinge": (np.maximum(0, 1 - np.asarray(REAL)).mean() + np.maximum(0, 1 + np.asarray(FAKE)).mean(), -FAKE.mean()),
    "non_saturating": (softplus(-REAL).mean() + softplus(FAKE).mean(), softplus(-FAKE).mean()),
    "smoothed": (
        # The sum over both outcomes of -target log(probability), for the targets .8 and .2.
        0.5 * (0.8 * softplus(-REAL) + 0.2 * softplus(REAL)).mean()
        + 0.5 * (0.2 * softplus(-FAKE) + 0.8 * softplus(FAKE)).mean(),
        softplus(-FAKE).mean(),
    ),
    "relativistic": (softplus(FAKE - REAL).mean(), softplus(REAL - FAKE).mean()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_their_closed_forms(name):
    for loss, expected in zip(LOSSES[name], EXPECTED[name], strict=True):
        np.testing.assert_allclose(loss(REAL, FAKE), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_the_gradients_of_finite_differences(name):
    with jax.enable_x64(True):
        real, fake = jnp.asarray(REAL, float), jnp.asarray(FAKE, float)
        for loss in LOSSES[name]:
            for argument, gradient in enumerate(jax.grad(loss, (0, 1))(real, fake)):
                for i in range(len(real)):
                    step = np.zeros((2, len(real)))
                    step[argument, i] = 1e-6
                    high, low = (float(loss(real + sign * step[0], fake + sign * step[1])) for sign in (1, -1))
                    assert gradient[i] == pytest.approx((high - low) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_generator_and_discriminator_pull_fake_scores_apart(name):
    discriminator, generator = (jax.grad(loss, 1)(REAL, jnp.clip(FAKE, -0.9, 0.9)) for loss in LOSSES[name])
    mixed = name in ("least_squares", "smoothed")  # pull scores to two values from both sides
    assert mixed or (np.all(discriminator > 0) and np.all(generator < 0))


def test_only_the_relativistic_loss_ignores_a_shift_of_all_scores():
    for name, losses in LOSSES.items():
        same = [np.isclose(loss(REAL + 3, FAKE + 3), loss(REAL, FAKE), atol=1e-6) for loss in losses]
        assert all(same) == (name == "relativistic")


X, Y = jnp.asarray(RNG.normal(size=(2, 5, 3, 4)), jnp.float32)
WEIGHT = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)


def linear(x):
    return jnp.sum(x * WEIGHT[None], axis=(1, 2)) + 2


def nonlinear_score(x):
    return jnp.sum(jnp.tanh(x * WEIGHT[None]), axis=(1, 2)) ** 2


def test_penalties_of_a_linear_discriminator_are_its_squared_norm():
    norm = (WEIGHT**2).sum()
    exact = penalize_gradient(linear, X, Y)
    np.testing.assert_allclose([exact.r1, exact.r2], norm, rtol=1e-5)
    # (w.e)^2 has the mean |w|^2 and the variance 2 |w|^4.
    estimate = jax.vmap(partial(penalize_difference, linear, X, Y))(jax.random.split(jax.random.key(0), 2000))
    np.testing.assert_allclose([jnp.mean(estimate.r1), jnp.mean(estimate.r2)], norm, rtol=4 * (2 / 10_000) ** 0.5)


def test_real_and_generated_examples_are_not_mixed_up():
    for result in (
        penalize_gradient(nonlinear_score, X, Y),
        penalize_difference(nonlinear_score, X, Y, jax.random.key(0)),
    ):
        np.testing.assert_allclose(result.real, nonlinear_score(X), rtol=1e-6)
        np.testing.assert_allclose(result.fake, nonlinear_score(Y), rtol=1e-6)
    expected = [
        jnp.mean(jnp.sum(jax.vmap(jax.grad(lambda x: nonlinear_score(x[None])[0]))(x) ** 2, (1, 2))) for x in (X, Y)
    ]
    exact = penalize_gradient(nonlinear_score, X, Y)
    np.testing.assert_allclose([exact.r1, exact.r2], expected, rtol=1e-5)


def test_estimate_tends_to_the_exact_penalty():
    exact = penalize_gradient(nonlinear_score, X, Y)
    keys = jax.random.split(jax.random.key(1), 4000)
    errors = []
    for sigma in (1.0, 0.1, 0.01):
        estimate = jax.vmap(lambda key, s=sigma: penalize_difference(nonlinear_score, X, Y, key, s))(keys)
        errors.append(abs(float(jnp.mean(estimate.r1) / exact.r1) - 1))
    assert errors[0] > 0.2
    assert max(errors[1:]) < 0.05


def test_gradient_of_the_penalty_equals_finite_differences():
    """With respect to the parameters of the discriminator, which needs second derivatives."""
    with jax.enable_x64(True):
        weight, x, y = (jnp.asarray(array, float) for array in (WEIGHT, X, Y))

        def penalty(weight):
            result = penalize_gradient(lambda x: jnp.sum(jnp.tanh(x * weight[None]), axis=(1, 2)) ** 2, x, y)
            return result.r1 + 2 * result.r2

        gradient = jax.grad(penalty)(weight)
        for index in [(0, 0), (1, 2), (2, 3)]:
            step = np.zeros(weight.shape)
            step[index] = 1e-6
            expected = (penalty(weight + step) - penalty(weight - step)) / 2e-6
            assert gradient[index] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("scale", "auc", "expected"),
    [(1.0, 0.95, 1.25), (1.0, 0.5, 0.8), (1000.0, 1.0, 1000.0), (0.001, 0.0, 0.001)],
)
def test_the_factor_of_the_penalty_rises_while_the_discriminator_wins_and_falls_otherwise(scale, auc, expected):
    adapted = PenaltyConfig(adapt=0.25).adapt_scale(jnp.float32(scale), jnp.float32(auc))
    assert float(adapted) == pytest.approx(expected)


def test_the_factor_of_the_penalty_is_constant_by_default():
    assert float(PenaltyConfig().adapt_scale(jnp.float32(2.0), jnp.float32(1.0))) == 2


@pytest.mark.parametrize("change", [{"adapt": 1.0}, {"adapt": -0.1}, {"target_auc": 1.0}])
def test_unusable_settings_of_the_penalty_raise(change):
    with pytest.raises(ValueError, match="adapt must lie in"):
        PenaltyConfig(**change)
