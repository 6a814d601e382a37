"""Frame in, hop out: as the whole spectrogram at once, with bounded look-ahead and nothing that grows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.signal.inversion import DIRECT
from specjax.signal.phase import streaming
from specjax.signal.polar import polar
from specjax.signal.stft import Stft, istft, magnitude

TRANSFORM = Stft(256, 64, center=False)
AHEAD = {"spsi": 0, "rtpghi": 1, "rtisi_la": 3}
RATE = 8000
N = 64 * 60


def clip():
    time = np.arange(N) / RATE
    glide = np.sin(2 * np.pi * (300 * time + 900 * time**2)) * (0.3 + 0.7 * np.sin(2 * np.pi * 2 * time) ** 2)
    return jnp.asarray(0.5 * glide + 0.2 * np.sin(2 * np.pi * 1700 * time), jnp.float32)


def streamed(levels, transform, method):
    """All hops from the first frame on, and the state after them."""

    def tick(stream, row):
        return streaming.advance(stream, row, transform, method)

    rows = jnp.moveaxis(levels, -1, 0)
    rows = jnp.concatenate([rows, *[rows[-1:]] * AHEAD[method]])
    stream, hops = jax.jit(lambda rows: jax.lax.scan(tick, streaming.begin(rows[0], transform, method), rows))(rows)
    np.testing.assert_array_equal(hops[: AHEAD[method]], 0.0)
    return stream, jnp.concatenate(list(hops[AHEAD[method] :]), axis=-1)


@pytest.mark.parametrize("method", streaming.METHODS)
@pytest.mark.parametrize("transform", [TRANSFORM, Stft(256, 48, "hamming", center=False)], ids=["even", "odd hop"])
def test_it_is_the_whole_at_once_hop_by_hop(method, transform):
    levels = jax.jit(magnitude, static_argnums=1)(clip(), transform)
    _, found = streamed(levels, transform, method)
    whole = jax.jit(lambda m: istft(polar(m, DIRECT[method](m, transform)), transform))(levels)
    assert len(found) == levels.shape[-1] * transform.hop_length
    inside = slice(transform.n_fft, len(found) - transform.n_fft)  # at the ends fewer frames lie over a sample
    np.testing.assert_allclose(found[inside], whole[inside], atol=2e-4 * float(jnp.abs(whole).max()))


@pytest.mark.parametrize("method", streaming.METHODS)
def test_a_batch_is_its_clips(method):
    levels = jnp.stack([magnitude(clip() * gain, TRANSFORM) for gain in (1.0, 0.25)])
    _, both = streamed(levels, TRANSFORM, method)
    for one, found in zip(levels, both, strict=True):
        np.testing.assert_allclose(found, streamed(one, TRANSFORM, method)[1], atol=1e-5)


@pytest.mark.parametrize("method", streaming.METHODS)
def test_a_hop_knows_so_many_frames_beyond_its_own_and_no_more(method):
    levels = magnitude(clip(), TRANSFORM)
    _, found = streamed(levels, TRANSFORM, method)
    changed = levels.at[:, 30:].set(levels[::-1, 30:])
    _, other = streamed(changed, TRANSFORM, method)
    known = (30 - AHEAD[method]) * 64
    np.testing.assert_array_equal(found[:known], other[:known])
    assert np.abs(found[known : known + 64] - other[known : known + 64]).max() > 1e-4


@pytest.mark.parametrize("method", streaming.METHODS)
def test_silence_stays_silent(method):
    _, found = streamed(jnp.zeros((129, 12)), TRANSFORM, method)
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("method", ["spsi", "rtpghi"])
def test_a_long_stream_is_as_exact_as_a_short_one(method):
    """Phases are wrapped: an hour in, they are as fine as at the start."""
    tone = magnitude(clip(), TRANSFORM)[:, 30]
    stream = streaming.begin(tone, TRANSFORM, method)
    tick = jax.jit(lambda stream: streaming.advance(stream, tone, TRANSFORM, method)[0])
    for _ in range(300):
        stream = tick(stream)
    phases = stream.past if method == "spsi" else stream.past.phase
    assert 1 < np.abs(phases).max() < 3.2


def test_the_delay_is_a_frame_and_a_hop_for_each_frame_ahead():
    assert {method: streaming.delay_samples(Stft(1024, 256), method) for method in AHEAD} == {
        "spsi": 1024, "rtpghi": 1280, "rtisi_la": 1792,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("transform", "method", "says"),
    [(TRANSFORM, "magic", "choose one of spsi, rtpghi, rtisi_la"), (Stft(256, 300), "spsi", "cannot be inverted")],
)
def test_what_cannot_be_streamed_is_refused(transform, method, says):
    with pytest.raises(ValueError, match=says):
        streaming.begin(jnp.ones(129), transform, method)
