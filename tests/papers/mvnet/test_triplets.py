"""Triplet losses against loops over all triplets, and the random choice of partners."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.papers.mvnet.triplets import TripletConfig, draw_partners, mined_loss, triplet_loss

RNG = np.random.default_rng(0)
RAISED = pytest.mark.parametrize("raise_to_p", [False, True], ids=["norm", "raised"])
CONFIG = TripletConfig(margin=0.7)


def embeddings(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def distance(config, a, b):
    total = np.sum(np.abs(np.asarray(a, float) - b + 1e-6) ** config.p)
    return total if config.raise_to_p else total ** (1 / config.p)


def hinge(config, positive, negative):
    return max(positive - negative + config.margin, 0.0)


def mine(config, x, era):
    """Losses of the mined triplets, one triplet at a time."""
    d = np.array([[distance(config, a, b) for b in x] for a in x])
    losses = []
    for i in range(len(x)):
        positives = [j for j in range(len(x)) if era[j] == era[i] and j != i]
        negatives = [d[i, k] for k in range(len(x)) if era[k] != era[i]]
        if not positives or not negatives:
            continue
        if config.mining == "batch_hard":
            losses.append(hinge(config, max(d[i, j] for j in positives), min(negatives)))
            continue
        for j in positives:
            farther = [value for value in negatives if value > d[i, j]]
            losses.append(hinge(config, d[i, j], min(farther) if farther else max(negatives)))
    return np.mean(losses) if losses else 0.0


@RAISED
@pytest.mark.parametrize("p", [1.0, 2.0, 5.0])
def test_given_triplets(raise_to_p, p):
    config = replace(CONFIG, p=p, raise_to_p=raise_to_p)
    triplets = embeddings(3, 6, 4)
    cases = zip(*triplets, strict=True)
    expected = np.mean([hinge(config, distance(config, a, q), distance(config, a, n)) for a, q, n in cases])
    assert float(triplet_loss(config, *jnp.asarray(triplets))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("p", [2.0, 5.0])
def test_given_triplets_have_the_loss_and_the_gradients_of_torch(p):
    torch = pytest.importorskip("torch")
    triplets = embeddings(3, 6, 10)
    ours, gradients = jax.value_and_grad(lambda x: triplet_loss(TripletConfig(p=p), *x))(jnp.asarray(triplets))
    tensors = torch.tensor(triplets, requires_grad=True)
    theirs = torch.nn.TripletMarginLoss(margin=3.0, p=p)(*tensors)
    theirs.backward()
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-5)
    np.testing.assert_allclose(gradients, tensors.grad, atol=1e-6)


@RAISED
@pytest.mark.parametrize("mining", ["semi_hard", "batch_hard"])
@pytest.mark.parametrize(
    "era", [(0, 1, 0, 2, 1, 0, 2, 1), (0, 0, 0, 1, 2, 3, 4, 4), (0, 1, 2, 3, 4, 5, 6, 7), (1,) * 8]
)
def test_mined_triplets(mining, era, raise_to_p):
    config = replace(CONFIG, mining=mining, raise_to_p=raise_to_p)
    x = embeddings(8, 4)
    assert float(mined_loss(config, jnp.asarray(x), jnp.array(era))) == pytest.approx(mine(config, x, era), rel=1e-4)


@RAISED
@pytest.mark.parametrize("mining", ["semi_hard", "batch_hard"])
def test_gradients_are_finite_for_equal_embeddings(mining, raise_to_p):
    config = replace(CONFIG, mining=mining, raise_to_p=raise_to_p)
    x = jnp.asarray(embeddings(6, 4)).at[1].set(0.0).at[0].set(0.0)
    gradient = jax.grad(lambda x: mined_loss(config, x, jnp.array([0, 0, 1, 1, 2, 2])))(x)
    assert np.isfinite(gradient).all()
    assert float(jnp.abs(gradient).max()) > 0


def test_the_norm_neither_overflows_nor_vanishes():
    x = jnp.asarray(embeddings(2, 4))
    unit = float(TripletConfig().distance(x[0], x[1]))
    for factor in (1e3, 1e12):
        assert float(TripletConfig().distance(factor * x[0], factor * x[1])) == pytest.approx(factor * unit, rel=1e-5)


def test_partners_are_another_clip_of_the_era_and_one_of_another_era():
    era = np.repeat([0, 1, 2], [2, 5, 3])
    anchors = np.repeat(np.arange(10), 200)
    keys = jax.random.split(jax.random.key(0), len(anchors))
    positive, negative = jax.jit(draw_partners, static_argnums=3)(keys, jnp.asarray(anchors), jnp.asarray(era), 3)
    assert np.all(era[positive] == era[anchors])
    assert np.all(positive != anchors)
    assert np.all(era[negative] != era[anchors])
    for anchor in range(10):
        assert set(np.asarray(positive)[anchors == anchor]) == set(np.flatnonzero(era == era[anchor])) - {anchor}
        assert set(np.asarray(negative)[anchors == anchor]) == set(np.flatnonzero(era != era[anchor]))


@pytest.mark.parametrize(("change", "message"), [({"margin": 0.0}, "above 0"), ({"p": 0.5}, "at least 1")])
def test_settings_out_of_range_raise(change, message):
    with pytest.raises(ValueError, match=message):
        TripletConfig(**change)
