"""The network of the example paper, and how its bundle is opened."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from example_paper.config import LineConfig
from specjax.engine import bundle
from specjax.engine.bundle import Bundle


@dataclass(frozen=True)
class LineInference:
    """The line that a config describes. Its variables are not stored here: methods take them as an argument."""

    config: LineConfig

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Initialize the variables."""
        return {"params": {"w": jax.random.normal(key, (self.config.width,)), "b": jnp.zeros((1,))}}

    def predict(self, variables: Any, x: jax.Array) -> jax.Array:
        """Compute the values at points `x` of shape (batch, width)."""
        return x @ variables["params"]["w"] + variables["params"]["b"]


def open_line(opened: Bundle, where: str) -> tuple[LineInference, Any]:
    """Check a bundle's tensors against its config, and return the line and its variables.

    Raises:
      UserError: the bundle has other parts, settings or tensors than a line.
    """
    return bundle.open_part(opened, where, "line", LineConfig, LineInference, LineInference.init)
