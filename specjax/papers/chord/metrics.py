"""What a painted chord is worth: its notes, its cleanness, its likeness to the digit, its pitch.

All functions take one picture `(size, size)` and are pure; a task maps them over a batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Picture = Float[Array, "size size"]
Profile = Float[Array, " size"]

GUARD_ROWS = 6  # the smear itself spreads a note's energy that far
PEAK_FLOOR = 0.2  # share of the strongest row under which a local maximum is no partial


def row_profile(picture: Picture) -> Profile:
    """Mean over time of each row."""
    return jnp.mean(picture, axis=1)


def local_maxima(profile: Profile) -> Bool[Array, " size"]:
    """Rows above the one before and not below the one after."""
    before = jnp.concatenate([jnp.full((1,), -jnp.inf), profile[:-1]])
    after = jnp.concatenate([profile[1:], jnp.full((1,), -jnp.inf)])
    return (profile > before) & (profile >= after)


def exact_notes(profile: Profile, rows: Int[Array, " notes"]) -> Bool[Array, ""]:
    """Whether the strongest local maxima of the profile, as many as `rows`, are exactly `rows`.

    Unused places of `rows` are negative.
    """
    peaks = jnp.where(local_maxima(profile), profile, -jnp.inf)
    count = jnp.sum(rows >= 0)
    levels, found = jax.lax.top_k(peaks, rows.shape[0])
    counted = jnp.arange(rows.shape[0]) < count
    right = jnp.any(found[:, None] == rows[None, :], axis=1) & jnp.isfinite(levels)
    return jnp.all(right | ~counted)


def row_f1(profile: Profile, reference: Profile) -> Float[Array, ""]:
    """F1 of the rows of partials: local maxima above a fifth of the strongest, against the noise-free target's."""
    found, wanted = _partials(profile), _partials(reference)
    hits, either = jnp.sum(found & wanted), jnp.sum(found) + jnp.sum(wanted)
    return 2.0 * hits.astype(jnp.float32) / jnp.maximum(either, 1).astype(jnp.float32)


def off_chord_db(picture: Picture, rows: Int[Array, " partials"]) -> Float[Array, ""]:
    """Energy farther than 6 rows from any chord row, against the energy of the rest, in dB; floor -120."""
    energy = jnp.sum(jnp.clip(picture, 0.0, 1.0) ** 2, axis=1)
    distance = jnp.abs(jnp.arange(picture.shape[0])[:, None] - rows[None, :])
    near = jnp.any((distance <= GUARD_ROWS) & (rows >= 0)[None, :], axis=1)
    off, on = jnp.sum(jnp.where(near, 0.0, energy)), jnp.sum(jnp.where(near, energy, 0.0))
    return 10.0 * jnp.log10((off + 1e-12 * on + 1e-30) / (on + 1e-30))


def r_squared(picture: Picture, reference: Picture) -> Float[Array, ""]:
    """Share of the reference's variance that the picture explains."""
    residual = jnp.sum((picture - reference) ** 2)
    return 1.0 - residual / jnp.maximum(jnp.sum((reference - jnp.mean(reference)) ** 2), 1e-12)


def envelope_correlation(
    picture: Picture,
    rows: Int[Array, " partials"],
    digit: Float[Array, "28 28"],
    upscale: Float[Array, "size 28"],
) -> Float[Array, ""]:
    """Pearson correlation of the chord rows' mean level in time with the digit's mean over its rows."""
    weights = (rows >= 0).astype(picture.dtype)
    envelope = weights @ jnp.clip(picture, 0.0, 1.0)[jnp.maximum(rows, 0)]
    columns = upscale @ jnp.mean(digit, axis=0)
    a, b = envelope - jnp.mean(envelope), columns - jnp.mean(columns)
    return jnp.sum(a * b) / jnp.maximum(jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)), 1e-12)


def decode_chord(
    profile: Profile, templates: Float[Array, "labels qualities size"]
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Label and quality whose ideal row profile correlates best with this one: a fixed reading of the peaks."""
    scores = jnp.einsum("lqr,r->lq", templates, profile - jnp.mean(profile))
    best = jnp.argmax(scores)
    return best // scores.shape[1], best % scores.shape[1]


def profile_templates(
    spread: Float[np.ndarray, "labels qualities size partials"],
) -> Float[np.ndarray, "..."]:
    """Ideal row profiles of every chord, centred and of unit norm."""
    ideal = spread.sum(axis=-1)
    centred = ideal - ideal.mean(axis=-1, keepdims=True)
    return (centred / np.linalg.norm(centred, axis=-1, keepdims=True)).astype(np.float32)


def pitch_error_cents(
    wave: Float[Array, " samples"], frequencies_hz: Float[Array, " notes"], sample_rate: int
) -> Float[Array, ""]:
    """Largest deviation of the sounding notes from `frequencies_hz`, in cents; unused places are negative.

    A note sounds where the zero-padded, Hann-windowed spectrum peaks within a semitone of it.
    """
    padded = 2 ** int(np.ceil(np.log2(wave.shape[0] * 4)))
    window = jnp.asarray(np.hanning(wave.shape[0]), jnp.float32)
    level = jnp.log(jnp.abs(jnp.fft.rfft(wave * window, padded)) + 1e-12)
    hz = jnp.asarray(np.arange(level.shape[0]) * (sample_rate / padded), jnp.float32)

    def deviation(target: Float[Array, ""]) -> Float[Array, ""]:
        within = jnp.abs(hz - target) < target * (2 ** (1 / 12) - 1)
        peak = jnp.clip(jnp.argmax(jnp.where(within, level, -jnp.inf)), 1, level.shape[0] - 2)
        low, mid, high = level[peak - 1], level[peak], level[peak + 1]
        offset = 0.5 * (low - high) / jnp.minimum(low - 2 * mid + high, -1e-12)
        found = (peak.astype(jnp.float32) + jnp.clip(offset, -0.5, 0.5)) * (sample_rate / padded)
        return jnp.where(target > 0, jnp.abs(1200.0 * jnp.log2(found / jnp.maximum(target, 1e-3))), 0.0)

    return jnp.max(jax.vmap(deviation)(frequencies_hz))


def _partials(profile: Profile) -> Bool[Array, " size"]:
    return local_maxima(profile) & (profile > PEAK_FLOOR * jnp.max(profile))
