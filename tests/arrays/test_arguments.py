"""Arguments of public functions: what is accepted gives the right answer, anything else one line that names it."""

import inspect
import re
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import AbstractArray, Array, Float

import specjax
from specjax import image, signal
from specjax.arrays.arguments import check_arguments

WAVE = np.sin(np.arange(4096) / 5)  # float64
TRANSFORM = signal.Stft(256, 64)
POWER = signal.power(WAVE, TRANSFORM)
FILTERS = signal.mel_filters(signal.Mel(20), 8000, 256)


@pytest.mark.parametrize("wave", [WAVE, WAVE.tolist(), jnp.asarray(WAVE), WAVE.astype(np.float32)], ids=type)
def test_arrays_of_all_kinds_give_the_same_result_in_the_precision_of_jax(wave):
    result = signal.stft(wave, TRANSFORM)
    assert result.dtype == jnp.complex64
    np.testing.assert_array_equal(result, signal.stft(jnp.asarray(WAVE, jnp.float32), TRANSFORM))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signal.stft(0.1), "stft: wave is float32 of shape (), expected float of shape (*batch, samples)"),
        (lambda: signal.stft("song.wav"), "stft: wave is 'song.wav', expected float of shape (*batch, samples)"),
        (lambda: signal.stft(WAVE, 512), "stft: transform is 512, expected Stft(...)"),
        (lambda: signal.istft(POWER), "istft: spectrum is float32 of shape (129, 65), expected complex"),
        (lambda: signal.mel_spectrogram(WAVE, 8000), "power is float32 of shape (4096,), expected float of"),
        (lambda: signal.mel_spectrogram(POWER, 8000), "filters is int32 of shape (), expected float of"),
        (lambda: signal.mel_spectrogram(POWER, FILTERS[:, :9]), "filters is float32 of shape (20, 9), expected"),
        (lambda: signal.spectrogram(WAVE, "librosa"), "spectrogram: preset is 'librosa', expected Preset(...)"),
        (lambda: signal.spectrogram(WAVE), "spectrogram: missing a required argument: 'preset'"),
        (lambda: image.ssim(np.zeros((20, 20)), np.zeros((20, 21))), "ssim: y is float32 of shape (20, 21), expected"),
        (lambda: image.perlin_noise(0, (8, 8)), "perlin_noise: key is int32 of shape (), expected key of shape ()"),
        (lambda: image.perlin_noise(jax.random.key(0), (8, 8), (0, 1)), "cells=(0, 1) and octaves=1 must be"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(call, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)


def float_parameters(function) -> list[str]:
    """Names of the parameters that only take arrays of floats."""
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        members = get_args(parameter.annotation) or (parameter.annotation,)
        if all(isinstance(x, type) and issubclass(x, AbstractArray) and x.dtype is Float for x in members):
            names.append(name)
    return names


@pytest.mark.parametrize(
    "function",
    [
        value
        for package in (specjax.signal, specjax.image)
        for name in package.__all__
        if inspect.isroutine(value := getattr(package, name)) and float_parameters(value)
    ],
    ids=lambda function: function.__name__,
)
def test_every_public_function_rejects_integers_in_place_of_floats(function):
    arguments = dict.fromkeys(inspect.signature(function).parameters)
    if "key" in arguments:
        arguments["key"] = jax.random.key(0)
    name = float_parameters(function)[0]
    arguments[name] = jnp.ones((2, 2), jnp.uint8)
    with pytest.raises(ValueError, match=rf"{function.__name__}: {name} is uint8 .*: scale integers to floats first"):
        function(**arguments)


def test_integers_are_accepted_where_their_unit_is_stated():
    np.testing.assert_allclose(signal.hz_to_mel([440, 880]), signal.hz_to_mel(np.array([440.0, 880.0])))
    np.testing.assert_array_equal(signal.phase_increment([440], 8000), signal.phase_increment(np.array([440.0]), 8000))


def test_axes_of_one_name_have_one_size_and_optional_arrays_may_be_left_out():
    @check_arguments
    def add(x: Float[Array, " n"], y: Float[Array, " n"] | None = None) -> Float[Array, " n"]:
        return x if y is None else x + y

    np.testing.assert_array_equal(add([1.0, 2.0]), [1.0, 2.0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(add))(jnp.ones((3, 2)), jnp.ones((3, 2))), np.full((3, 2), 2.0))
    with pytest.raises(ValueError, match=re.escape("y is float32 of shape (3,), expected float of shape (n), with x")):
        add(jnp.ones(2), jnp.ones(3))
