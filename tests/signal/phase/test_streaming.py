"""Streaming inversion: equal to inversion of the whole spectrogram, with bounded look-ahead and bounded state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.signal.inversion import DIRECT
from specjax.signal.phase import streaming
from specjax.signal.polar import polar
from specjax.signal.short_time_fourier import Stft, istft, magnitude

TRANSFORM = Stft(256, 64, center=False)
LOOK_AHEAD = {"spsi": 0, "rtpghi": 1, "rtisi_la": 3}
RATE = 8000
SAMPLES = 64 * 60


def clip():
    time = np.arange(SAMPLES) / RATE
    glide = np.sin(2 * np.pi * (300 * time + 900 * time**2)) * (0.3 + 0.7 * np.sin(2 * np.pi * 2 * time) ** 2)
    return jnp.asarray(0.5 * glide + 0.2 * np.sin(2 * np.pi * 1700 * time), jnp.float32)


def stream_all(levels, transform, method):
    """Return the final state, and the sound from the first frame on."""

    def step(stream, row):
        return streaming.advance(stream, row, transform, method)

    rows = jnp.moveaxis(levels, -1, 0)
    rows = jnp.concatenate([rows, *[rows[-1:]] * LOOK_AHEAD[method]])
    stream, hops = jax.jit(lambda rows: jax.lax.scan(step, streaming.begin(rows[0], transform, method), rows))(rows)
    np.testing.assert_array_equal(hops[: LOOK_AHEAD[method]], 0.0)
    return stream, jnp.concatenate(list(hops[LOOK_AHEAD[method] :]), axis=-1)


@pytest.mark.parametrize("method", streaming.METHODS)
@pytest.mark.parametrize("transform", [TRANSFORM, Stft(256, 48, "hamming", center=False)], ids=["even", "odd hop"])
def test_streamed_sound_equals_inversion_of_the_whole_spectrogram(method, transform):
    levels = jax.jit(magnitude, static_argnums=1)(clip(), transform)
    _, result = stream_all(levels, transform, method)
    whole = jax.jit(lambda m: istft(polar(m, DIRECT[method](m, transform)), transform))(levels)
    assert len(result) == levels.shape[-1] * transform.hop_length
    inside = slice(transform.n_fft, len(result) - transform.n_fft)  # fewer frames overlap at the ends
    np.testing.assert_allclose(result[inside], whole[inside], atol=2e-4 * float(jnp.abs(whole).max()))


@pytest.mark.parametrize("method", streaming.METHODS)
def test_a_batch_equals_its_clips_streamed_alone(method):
    levels = jnp.stack([magnitude(clip() * gain, TRANSFORM) for gain in (1.0, 0.25)])
    _, both = stream_all(levels, TRANSFORM, method)
    for clip_levels, result in zip(levels, both, strict=True):
        np.testing.assert_allclose(result, stream_all(clip_levels, TRANSFORM, method)[1], atol=1e-5)


@pytest.mark.parametrize("method", streaming.METHODS)
def test_a_hop_depends_on_exactly_look_ahead_later_frames(method):
    levels = magnitude(clip(), TRANSFORM)
    _, result = stream_all(levels, TRANSFORM, method)
    changed = levels.at[:, 30:].set(levels[::-1, 30:])
    _, other = stream_all(changed, TRANSFORM, method)
    unaffected = (30 - LOOK_AHEAD[method]) * 64
    np.testing.assert_array_equal(result[:unaffected], other[:unaffected])
    assert np.abs(result[unaffected : unaffected + 64] - other[unaffected : unaffected + 64]).max() > 1e-4


@pytest.mark.parametrize("method", streaming.METHODS)
def test_silence_gives_silence(method):
    _, result = stream_all(jnp.zeros((129, 12)), TRANSFORM, method)
    np.testing.assert_array_equal(result, 0.0)


@pytest.mark.parametrize("method", ["spsi", "rtpghi"])
def test_phases_stay_wrapped_in_a_long_stream(method):
    """Wrapped phases keep their float32 precision however long the stream is."""
    tone = magnitude(clip(), TRANSFORM)[:, 30]
    stream = streaming.begin(tone, TRANSFORM, method)
    step = jax.jit(lambda stream: streaming.advance(stream, tone, TRANSFORM, method)[0])
    for _ in range(300):
        stream = step(stream)
    phases = stream.method_state if method == "spsi" else stream.method_state.phase
    assert 1 < np.abs(phases).max() < 3.2


def test_delay_is_one_frame_plus_one_hop_per_look_ahead_frame():
    assert {method: streaming.delay_samples(Stft(1024, 256), method) for method in LOOK_AHEAD} == {
        "spsi": 1024, "rtpghi": 1280, "rtisi_la": 1792,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("transform", "method", "message"),
    [(TRANSFORM, "magic", "choose one of spsi, rtpghi, rtisi_la"), (Stft(256, 300), "spsi", "cannot be inverted")],
)
def test_unsupported_methods_and_transforms_raise_errors(transform, method, message):
    with pytest.raises(ValueError, match=message):
        streaming.begin(jnp.ones(129), transform, method)
