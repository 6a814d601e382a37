"""Conditions of the GAN: embeddings and standardized features of clips."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_museum import ERAS, make_museum

from specjax.cli.errors import UserError
from specjax.papers.mvnet import data, inference
from specjax.papers.mvnet.conditions import (
    ConditionConfig,
    ConditionStatistics,
    compute_conditions,
    describe_music,
    measure_condition_statistics,
)
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.representation import Representation

POWER = MuseumConfig(eras=ERAS, representation=Representation("power"))
ENCODER = EncoderInference(EncoderConfig(data=POWER, widths=(2, 2), embedding=3))
STATISTICS = ConditionStatistics((0.1, 0.2, 0.3), 2.0, (10.0, 2.0), (0.5, 4.0))
FEATURES = ConditionConfig(spread=0.5, features=True, statistics=STATISTICS)


@pytest.fixture(scope="module")
def clips():
    return jnp.abs(jnp.asarray(make_museum(0).mel[:4]))


@pytest.fixture(scope="module")
def variables():
    return jax.jit(ENCODER.init)(jax.random.key(0))


def test_a_condition_is_the_scaled_embedding_and_the_standardized_features(clips, variables):
    conditions = compute_conditions(FEATURES, ENCODER, variables, clips)
    assert conditions.shape == (4, FEATURES.size(3))
    embedding = ENCODER.embed_power(variables, clips)
    np.testing.assert_allclose(conditions[:, :3], (embedding - np.array([[0.1, 0.2, 0.3]])) / 4, rtol=1e-4, atol=1e-6)
    measured = measure_music(clips)
    np.testing.assert_allclose(conditions[:, 3], (np.log2(measured.centroid_hz) - 10) / 0.5, rtol=1e-4)
    np.testing.assert_allclose(conditions[:, 4], (measured.onset_rate_hz - 2) / 4, rtol=1e-4)
    scaled = compute_conditions(replace(FEATURES, features=False), ENCODER, variables, clips)
    np.testing.assert_array_equal(scaled, conditions[:, :3])
    np.testing.assert_array_equal(compute_conditions(ConditionConfig(), ENCODER, variables, clips), embedding)


def test_silence_counts_as_the_deepest_music_without_onsets():
    np.testing.assert_allclose(describe_music(jnp.zeros((1, 128, 256, 3))), [[np.log2(100), 0]], rtol=1e-6)


def test_embeddings_of_training_clips_have_the_spread_of_the_config_and_features_a_deviation_of_1(clips, variables):
    statistics = measure_condition_statistics(ENCODER.embed_power(variables, clips), describe_music(clips))
    conditions = compute_conditions(replace(FEATURES, statistics=statistics), ENCODER, variables, clips)
    np.testing.assert_allclose(conditions[:, :3].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.mean(np.sum(conditions[:, :3] ** 2, axis=1)), 0.5**2, rtol=1e-3)
    np.testing.assert_allclose(conditions[:, 3:].mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(conditions[:, 3:].std(axis=0), 1, rtol=1e-2)


def test_statistics_are_measured_on_training_clips_when_a_training_starts(monkeypatch, variables):
    train, held_out = (m._replace(mel=np.abs(m.mel)) for m in (make_museum(0), make_museum(1)))
    monkeypatch.setattr(data, "resolve", lambda config: config)
    monkeypatch.setattr(inference, "load_encoder", lambda folder, eras: inference.OpenEncoder(ENCODER, variables))
    monkeypatch.setattr(data, "_load_power", lambda config: (train, held_out))
    resolved = GanConfig(data=POWER, condition=ConditionConfig(spread=0.5, features=True)).resolve()
    mel = jnp.asarray(train.mel)
    embedding, features = np.asarray(ENCODER.embed_power(variables, mel)), np.asarray(describe_music(mel))
    measured = resolved.condition.statistics
    np.testing.assert_allclose(measured.embedding_mean, embedding.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(measured.embedding_spread, np.sqrt(embedding.var(axis=0).sum()), rtol=1e-4)
    np.testing.assert_allclose(measured.feature_mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.feature_deviation, features.std(axis=0), rtol=1e-4)
    assert resolved.resolve() == resolved
    assert GanConfig(data=POWER).resolve().condition.statistics is None


def test_a_missing_encoder_is_an_error_before_any_clip_is_read(monkeypatch):
    monkeypatch.setattr(data, "_load_power", lambda config: pytest.fail("clips were read"))
    with pytest.raises(UserError, match="names no encoder"):
        GanConfig(data=POWER, condition=ConditionConfig(features=True)).resolve()


def test_statistics_that_are_missing_or_of_another_length_are_errors(clips, variables):
    with pytest.raises(ValueError, match="statistics is not set: measure it on the training clips"):
        compute_conditions(ConditionConfig(features=True), ENCODER, variables, clips)
    with pytest.raises(ValueError, match="has 1 means and 2 deviations of features, expected 2 of each"):
        ConditionStatistics((0.0,), 1.0, (1.0,), (1.0, 1.0))
