"""The network of the example paper, and how its bundle is opened."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from example_paper.config import LineConfig
from specjax.engine import bundle
from specjax.engine.bundle import Bundle


def init_params(config: LineConfig, key: jax.Array) -> dict[str, jax.Array]:
    """Initial parameters."""
    return {"w": jax.random.normal(key, (config.width,)), "b": jnp.zeros((1,))}


def predict(params: Any, x: jax.Array) -> jax.Array:
    """Values at points `x` of shape (batch, width)."""
    return x @ params["w"] + params["b"]


class Line(NamedTuple):
    """A trained line."""

    config: LineConfig
    params: Any


def open_line(opened: Bundle, where: str) -> Line:
    """Check a bundle's tensors against its config and return the trained line.

    Raises:
      UserError: the bundle has other parts, settings or tensors than a line.
    """
    return Line(*bundle.open_part(opened, where, "line", LineConfig, lambda config: config, init_params))
