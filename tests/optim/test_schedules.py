"""Values of schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.optim.schedules import ScheduleSpec

STEPS = 8  # length of the training, for schedules without a length of their own


def evaluate(spec, steps):
    return [float(spec.build(STEPS)(step)) for step in steps]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ScheduleSpec(), {0: 1.0, 10: 1.0}),
        (ScheduleSpec("constant", 0.3), {0: 0.3, 1: 0.3, 10**6: 0.3}),
        (ScheduleSpec("linear", 1.0, 0.2, over=4), {0: 1.0, 1: 0.8, 2: 0.6, 4: 0.2, 5: 0.2, 100: 0.2}),
        (ScheduleSpec("linear", 0.0, 1.0, over=10), {0: 0.0, 3: 0.3, 10: 1.0, 11: 1.0}),
        (ScheduleSpec("steps", 2.0, 0.5, over=3), {0: 2.0, 2: 2.0, 3: 0.5, 50: 0.5}),
        (
            ScheduleSpec("cosine", 2.0, 1.0, over=8),
            {0: 2.0, 2: 1.5 + np.sqrt(2) / 4, 4: 1.5, 6: 1.5 - np.sqrt(2) / 4, 8: 1.0, 9: 1.0},
        ),
        (ScheduleSpec("cosine", 1.0, 3.0, over=4), {0: 1.0, 2: 2.0, 4: 3.0, 9: 3.0}),
        (ScheduleSpec("cosine", 0.0, 1.0, over=4), {0: 0.0, 1: 0.5 - np.sqrt(2) / 4, 2: 0.5, 4: 1.0, 9: 1.0}),
        (
            ScheduleSpec("restarts", 1.0, 0.0, over=4, restart_scale=0.5, cycles=3),
            {0: 1.0, 2: 0.5, 4: 0.5, 6: 0.25, 8: 0.25, 10: 0.125, 12: 0.0, 13: 0.0, 100: 0.0},
        ),
        (ScheduleSpec("restarts", 1.0, 0.2, over=2, cycles=2), {0: 1.0, 1: 0.6, 2: 1.0, 3: 0.6, 4: 0.2, 5: 0.2}),
        (ScheduleSpec("restarts", 1.0, 0.0, over=5, cycles=1), {0: 1.0, 5: 0.0, 6: 0.0}),
    ],
)
def test_schedule_has_the_expected_values(spec, expected):
    np.testing.assert_allclose(evaluate(spec, expected), list(expected.values()), atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ScheduleSpec("constant", 2.0, warmup=4), {0: 0.0, 1: 0.5, 3: 1.5, 4: 2.0, 5: 2.0}),
        (ScheduleSpec("linear", 1.0, 0.0, over=4, warmup=2), {0: 0.0, 1: 0.5, 2: 1.0, 3: 0.75, 6: 0.0}),
        (ScheduleSpec("cosine", 1.0, 0.0, over=4, warmup=2), {0: 0.0, 2: 1.0, 4: 0.5, 6: 0.0}),
        (ScheduleSpec("steps", 1.0, 0.1, over=3, warmup=2), {1: 0.5, 2: 1.0, 4: 1.0, 5: 0.1}),
        (
            ScheduleSpec("restarts", 1.0, 0.0, over=2, warmup=2, restart_scale=0.5, cycles=2),
            {1: 0.5, 2: 1.0, 3: 0.5, 4: 0.5, 5: 0.25, 6: 0.0},
        ),
    ],
)
def test_warmup_is_linear_and_delays_the_schedule(spec, expected):
    np.testing.assert_allclose(evaluate(spec, expected), list(expected.values()), atol=1e-6)


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine", "restarts", "steps"])
def test_every_kind_can_be_traced(kind):
    spec = ScheduleSpec(kind, 0.7, 0.1, over=5, warmup=2, restart_scale=0.9, cycles=3)
    steps = jnp.arange(20)
    eager = evaluate(spec, range(20))
    with jax.numpy_dtype_promotion("standard"):  # optax compares integer steps with floats
        np.testing.assert_allclose(jax.jit(jax.vmap(spec.build(STEPS)))(steps), eager, atol=1e-6)
        np.testing.assert_allclose([jax.jit(spec.build(STEPS))(step) for step in steps[:3]], eager[:3], atol=1e-6)


def test_specs_are_comparable_and_hashable():
    spec = ScheduleSpec("linear", 1.0, 0.0, over=3)
    assert spec == ScheduleSpec("linear", 1.0, 0.0, over=3)
    assert hash(spec) == hash(ScheduleSpec("linear", 1.0, 0.0, over=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"over": -1}, "over=-1"), ({"warmup": -1}, "warmup=-1"), ({"cycles": 0}, "cycles=0")],
)
def test_numbers_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        ScheduleSpec(**options)


def test_unknown_kind_raises():
    spec = ScheduleSpec()
    object.__setattr__(spec, "kind", "sawtooth")  # bypasses the type checks, which run only in tests
    with pytest.raises(ValueError, match="'sawtooth' is unknown: choose one of constant, linear, cosine"):
        spec.__post_init__()


@pytest.mark.parametrize("kind", ["linear", "cosine", "restarts"])
def test_schedule_without_length_covers_the_whole_training(kind):
    default, explicit = ScheduleSpec(kind, 1.0, 0.1), ScheduleSpec(kind, 1.0, 0.1, over=STEPS)
    np.testing.assert_array_equal(evaluate(default, range(STEPS + 3)), evaluate(explicit, range(STEPS + 3)))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_schedule_without_length_ends_with_the_training_when_it_warms_up(kind):
    values = evaluate(ScheduleSpec(kind, 1.0, 0.1, warmup=3), [0, 3, STEPS - 1, STEPS])
    np.testing.assert_allclose([values[0], values[1], values[3]], [0.0, 1.0, 0.1], atol=1e-6)
    assert values[2] > 0.1


def test_warmup_longer_than_the_training_is_not_an_error():
    assert evaluate(ScheduleSpec("cosine", 1.0, warmup=2 * STEPS), [0, STEPS]) == [0.0, 0.5]
