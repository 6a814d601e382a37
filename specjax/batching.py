"""How a function of one large example, a picture or a wave, is applied to a batch of them."""

from collections.abc import Callable
from typing import Any

import jax


def over_examples(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vmap`, or one example at a time on a single CPU, where several would fall out of its caches.

    Spread over several devices a loop along the batch would make every device do all of it, so there it is `vmap`.
    """
    if jax.default_backend() == "cpu" and jax.device_count() == 1:
        return lambda *args: jax.lax.map(lambda one: function(*one), args)
    return jax.vmap(function)
