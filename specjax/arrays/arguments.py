"""Checks of the arguments of public functions against their signatures.

One rule holds for all of them. An array may be a JAX array, a NumPy array, or nested lists of numbers. It gets the
precision of JAX: float64 becomes float32, unless JAX is set to 64 bits. Integers in the place of floats are an error,
because only the caller knows their scale: 8-bit pixels are divided by 255, 16-bit samples by 32768.
"""

import dataclasses
import functools
import inspect
import textwrap
import typing
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray, Array, Int, Shaped, jaxtyped

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def check_arguments(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wrap a function so that it checks its arguments before it runs.

    An argument whose annotation is a type of jaxtyping, such as `Float[Array, "rows frames"]`, is converted to an array
    as the docstring of this module says. It must have this type and shape; an axis of the same name has the same size
    in all arguments. An argument whose annotation is a dataclass must be an instance of it. Other arguments are not
    checked.

    Returns:
      The wrapped function. It raises `ValueError` with one line that names the argument, what it is, and what was
      expected.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def check_and_call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from None
        shapes: dict[str, tuple[int, ...]] = {}
        with jaxtyped("context"):  # remembers the sizes of named axes
            for name, value in bound.arguments.items():
                annotation = signature.parameters[name].annotation
                where = f"{function.__name__}: {name}"
                if choices := _array_types(annotation, value):
                    array = _to_array(value, choices, where)
                    if not any(isinstance(array, choice) for choice in choices):
                        raise ValueError(f"{where} is {_describe_mismatch(array, choices[0], shapes)}")
                    bound.arguments[name], shapes[name] = array, array.shape
                elif isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
                    _check_instance(value, annotation, where)
        return function(*bound.args, **bound.kwargs)

    return check_and_call


def check_indices(indices: Int[Array, "..."], size: int, name: str) -> None:
    """Check that indices lie between 0 and `size - 1`, where their values are known. Under `jax.jit` they are not.

    Without this check, JAX uses the last entry in place of entries beyond it.

    Raises:
      ValueError: an index is out of range. The message calls it `name`.
    """
    if not isinstance(indices, jax.core.Tracer) and indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= size:
            raise ValueError(f"{name} is {high if high >= size else low}, expected 0 to {size - 1}")


def _array_types(annotation: Any, value: Any) -> list[Any]:
    """Return the array types of an annotation; none if it also allows other values and `value` is not an array."""
    members = typing.get_args(annotation) or (annotation,)
    arrays = [member for member in members if isinstance(member, type) and issubclass(member, AbstractArray)]
    is_array = isinstance(value, jax.Array | np.ndarray)
    return arrays if is_array or len(arrays) == len(members) else []


def _to_array(value: Any, choices: list[Any], where: str) -> Shaped[Array, "..."] | Shaped[np.ndarray, "..."]:
    if isinstance(value, np.ndarray) and any(choice.array_type is np.ndarray for choice in choices):
        return value
    convert = jnp.asarray if any(choice.array_type is jax.Array for choice in choices) else np.asarray
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is {_shorten(value)}, expected {_describe(choices[0])}") from error


def _describe_mismatch(
    array: Shaped[Array, "..."] | Shaped[np.ndarray, "..."], choice: Any, shapes: dict[str, tuple[int, ...]]
) -> str:
    found = f"{array.dtype} of shape {array.shape}, expected {_describe(choice)}"
    if array.ndim and jnp.issubdtype(array.dtype, jnp.integer) and choice.dtype.__name__ == "Float":
        return f"{found}: scale integers to floats first, for example pixels / 255 or samples / 32768"
    return found + "".join(f", with {name} of shape {shape}" for name, shape in shapes.items())


def _check_instance(value: Any, cls: type, where: str) -> None:
    if not isinstance(value, cls):
        raise ValueError(f"{where} is {_shorten(value)}, expected {cls.__name__}(...)")


def _describe(choice: Any) -> str:
    return f"{choice.dtype.__name__.lower()} of shape ({', '.join(choice.dim_str.split())})"


def _shorten(value: Any) -> str:
    return textwrap.shorten(repr(value), 60, placeholder="...")
