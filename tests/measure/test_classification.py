"""Accuracy and cross-entropy against scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, recall_score

from specjax.measure.classification import measure_predictions, summarize_predictions, worst_class_mean

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(40, 3)).astype(np.float32)
LABEL = RNG.integers(0, 3, 40)


def test_figures_match_scikit_learn():
    measured = {name: np.asarray(x) for name, x in measure_predictions(jnp.asarray(LOGITS), jnp.asarray(LABEL)).items()}
    figures = summarize_predictions(measured["guess"], measured["cross_entropy"], LABEL, "genre")
    assert figures == pytest.approx(
        {
            "eval/accuracy": accuracy_score(LABEL, LOGITS.argmax(1)),
            "eval/accuracy_worst_genre": recall_score(LABEL, LOGITS.argmax(1), average=None).min(),
            "eval/cross_entropy": log_loss(LABEL, softmax(LOGITS.astype(float), axis=1)),
        },
        rel=1e-5,
    )


def test_only_classes_that_occur_count_as_the_worst():
    assert worst_class_mean(np.array([1.0, 0.0, 1.0]), np.array([5, 5, 9])) == 0.5
