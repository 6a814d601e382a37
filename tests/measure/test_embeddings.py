"""Tests of the checks of embeddings."""

import jax.numpy as jnp
import numpy as np
import pytest

from specjax.measure.embeddings import check_embeddings
from specjax.measure.frechet import extrapolated_frechet_distance, frechet_distance
from specjax.measure.kernel import kernel_distance
from specjax.measure.memorization import memorization_ratios
from specjax.measure.precision_recall import prdc

GOOD = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
MEASURES = {
    "prdc": prdc,
    "kernel": kernel_distance,
    "frechet": frechet_distance,
    "extrapolated": extrapolated_frechet_distance,
    "memorization": lambda real, fake: memorization_ratios(fake, real, np.arange(len(real))),
}


def test_good_embeddings_are_returned_as_numpy_arrays():
    real, fake = check_embeddings(3, real=jnp.asarray(GOOD), fake=GOOD[:3])
    assert isinstance(real, np.ndarray)
    np.testing.assert_array_equal(real, GOOD)
    np.testing.assert_array_equal(fake, GOOD[:3])


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_every_measure_rejects_unusable_embeddings(measure):
    with pytest.raises(ValueError, match="has 0 examples, expected at least"):
        measure(GOOD, GOOD[:0])
    with pytest.raises(ValueError, match="has width .*, expected .*: compute both with the same network"):
        measure(GOOD, GOOD[:, :2])
    broken = GOOD.copy()
    broken[[1, 4], 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="fake has non-finite values in 2 of 8 examples"):
        measure(GOOD, broken)
