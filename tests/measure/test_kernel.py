"""Tests of the kernel distance against its definition, a closed form, and many draws."""

import numpy as np
import pytest

from specjax.measure.kernel import BLOCK, kernel_distance

RNG = np.random.default_rng(0)


def distance_by_loops(real, fake):
    """The unbiased estimate of Binkowski et al. (2018), pair by pair."""

    def mean_kernel(x, y, pairs):
        return np.mean([(float(x[i] @ y[j]) / x.shape[1] + 1) ** 3 for i, j in pairs])

    def others(count):
        return [(i, j) for i in range(count) for j in range(count) if i != j]

    between = mean_kernel(real, fake, [(i, j) for i in range(len(real)) for j in range(len(fake))])
    return mean_kernel(real, real, others(len(real))) + mean_kernel(fake, fake, others(len(fake))) - 2 * between


def jackknife_half_width(real, fake):
    without_real = [distance_by_loops(np.delete(real, i, axis=0), fake) for i in range(len(real))]
    without_fake = [distance_by_loops(real, np.delete(fake, i, axis=0)) for i in range(len(fake))]
    return 1.959964 * np.sqrt(sum((len(d) - 1) * np.var(d) for d in (without_real, without_fake)))


def test_distance_and_interval_match_the_definitions_for_unequal_numbers():
    real, fake = RNG.standard_normal((8, 3)), 1.5 * RNG.standard_normal((5, 3)) + 0.5
    distance, half_width = kernel_distance(real, fake)
    assert distance == pytest.approx(distance_by_loops(real, fake))
    assert half_width == pytest.approx(jackknife_half_width(real, fake), rel=1e-6)


def test_blocks_do_not_change_the_distance():
    real, fake = RNG.standard_normal((BLOCK + 40, 2)), RNG.standard_normal((2 * BLOCK + 1, 2)) + 1
    kernels = [(x @ y.T / 2 + 1) ** 3 for x, y in ((real, real), (fake, fake), (real, fake))]
    within = [(np.sum(k) - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    assert kernel_distance(real, fake).distance == pytest.approx(sum(within) - 2 * np.mean(kernels[2]))


def test_distance_grows_if_examples_are_exchanged_for_shifted_ones():
    real = RNG.standard_normal((60, 4)).astype(np.float32)
    fakes = [RNG.standard_normal((50, 4)).astype(np.float32) + np.float32(shift) for shift in (0, 0.5, 1)]
    small, middle, large = (kernel_distance(real, fake).distance for fake in fakes)
    assert small < middle < large
    assert kernel_distance(real, fakes[2]) == pytest.approx(kernel_distance(fakes[2], real))


def test_distance_of_equal_distributions_is_unbiased_and_its_interval_conservative():
    values = [kernel_distance(RNG.standard_normal((30, 4)), RNG.standard_normal((20, 4))) for _ in range(400)]
    distances, half_widths = np.array(values).T
    standard_error = distances.std() / np.sqrt(len(values))
    assert abs(distances.mean()) < 3 * standard_error
    assert np.mean(abs(distances) <= half_widths) > 0.95


def test_distance_of_different_distributions_matches_the_closed_form_on_average():
    shift, scale = 0.3, 0.5
    # On a line the kernel is a sum of products of powers up to 3, so the distance follows from the normal moments.
    moments = shift, shift**2, shift**3 + 3 * shift * scale**2  # differences of E[x], E[x^2] and E[x^3]
    truth = np.dot([3, 3, 1], np.square(moments))
    pairs = [(scale * RNG.standard_normal((60, 1)), scale * RNG.standard_normal((40, 1)) + shift) for _ in range(400)]
    distances = np.array([kernel_distance(*pair).distance for pair in pairs])
    assert abs(distances.mean() - truth) < 3 * distances.std() / np.sqrt(len(distances))


def test_interval_covers_the_distance_of_different_distributions():
    values = [kernel_distance(RNG.standard_normal((60, 16)), RNG.standard_normal((50, 16)) + 0.3) for _ in range(300)]
    distances, half_widths = np.array(values).T
    assert np.mean(abs(distances - distances.mean()) <= half_widths) == pytest.approx(0.95, abs=0.04)
