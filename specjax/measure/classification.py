"""Classification metrics: accuracy, accuracy of the worst class, and cross-entropy."""

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

Labels = Int[np.ndarray, " examples"]


def worst_class_mean(values: Float[np.ndarray, " examples"] | Bool[np.ndarray, " examples"], label: Labels) -> float:
    """Compute the mean of `values` over the examples of each class, and return the lowest."""
    return float(min(values[label == value].mean() for value in np.unique(label)))


def measure_predictions(logits: Float[Array, "batch classes"], label: Int[Array, " batch"]) -> dict[str, Array]:
    """Compute `guess`, the class with the greatest logit of each example, and its `cross_entropy` in nats."""
    return {
        "guess": jnp.argmax(logits, axis=1),
        "cross_entropy": optax.softmax_cross_entropy_with_integer_labels(logits, label),
    }


def summarize_predictions(
    guess: Labels, cross_entropy: Float[np.ndarray, " examples"], label: Labels, class_name: str
) -> dict[str, float]:
    """Compute metrics of held-out examples from the results of `measure_predictions`.

    Args:
      guess: predicted class of each example.
      cross_entropy: cross-entropy of each example in nats.
      label: true class of each example.
      class_name: what a class is, such as `genre`; part of the name of a metric.

    Returns:
      Accuracies in [0, 1] of all examples, `eval/accuracy`, and of the class with the lowest accuracy,
      `eval/accuracy_worst_genre` for the `class_name` `genre`; and the mean `eval/cross_entropy` in nats.
    """
    right = guess == label
    return {
        "eval/accuracy": float(right.mean()),
        f"eval/accuracy_worst_{class_name}": worst_class_mean(right, label),
        "eval/cross_entropy": float(cross_entropy.mean()),
    }
