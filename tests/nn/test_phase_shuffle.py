"""Phase shuffle: shifts against NumPy, their range, and their independence."""

import jax
import jax.numpy as jnp
import numpy as np

from specjax.nn.phase_shuffle import phase_shuffle, shift_width


def shift_oracle(x, shift, max_shift):
    """Shift one example of shape (height, width, channels) along the width."""
    padded = np.pad(x, ((0, 0), (max_shift, max_shift), (0, 0)), mode="reflect")
    return np.roll(padded, shift, axis=1)[:, max_shift : max_shift + x.shape[1]]


def test_shifts_are_those_of_numpy_with_reflected_edges():
    x = np.random.default_rng(0).standard_normal((5, 2, 7, 3)).astype(np.float32)
    shifts = np.arange(-2, 3)
    actual = jax.jit(shift_width, static_argnums=2)(x, shifts, 2)
    expected = np.stack([shift_oracle(example, shift, 2) for example, shift in zip(x, shifts, strict=True)])
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(actual[2], x[2])
    np.testing.assert_array_equal(actual[3, :, 1:], x[3, :, :-1])  # later by one position


def test_gradient_is_the_adjoint_of_the_shift():
    x, y = np.random.default_rng(1).standard_normal((2, 5, 1, 6, 2)).astype(np.float32)
    shifts = jnp.arange(-2, 3)
    gradient = jax.grad(lambda x: jnp.sum(shift_width(x, shifts, 2) * y))(x)
    expected = np.vdot(np.asarray(shift_width(jnp.asarray(x), shifts, 2), float), y)
    np.testing.assert_allclose(np.vdot(np.asarray(gradient, float), x), expected, rtol=1e-5)


def test_every_example_has_its_own_shift_and_all_shifts_occur_alike():
    ramp = jnp.broadcast_to(jnp.arange(20.0)[None, None, :, None], (3000, 1, 20, 1))
    shifts = 10 - np.asarray(phase_shuffle(jax.random.key(0), ramp, 2))[:, 0, 10, 0]
    values, counts = np.unique(shifts, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(-2, 3))
    assert counts.min() > 500
    again = 10 - np.asarray(phase_shuffle(jax.random.key(1), ramp, 2))[:, 0, 10, 0]
    assert abs(np.corrcoef(shifts, again)[0, 1]) < 0.1
