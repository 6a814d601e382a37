"""Metrics of predicted chord spectrograms: notes, off-chord energy, likeness to the digit, and pitch.

All functions are pure and take one spectrogram, or one row profile; a task maps them over a batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Spectrogram = Float[Array, "size size"]
Profile = Float[Array, " size"]

GUARD_ROWS = 6  # the smear of a target spreads the energy of a note that far
PEAK_FLOOR = 0.2  # a local maximum below this fraction of the strongest row is not a partial


def row_profile(spectrogram: Spectrogram) -> Profile:
    """Compute the mean of each row over time."""
    return jnp.mean(spectrogram, axis=1)


def local_maxima(profile: Profile) -> Bool[Array, " size"]:
    """Find local maxima: rows that exceed the row before and are not below the row after."""
    before = jnp.concatenate([jnp.full((1,), -jnp.inf), profile[:-1]])
    after = jnp.concatenate([profile[1:], jnp.full((1,), -jnp.inf)])
    return (profile > before) & (profile >= after)


def exact_notes(profile: Profile, rows: Int[Array, " notes"]) -> Bool[Array, ""]:
    """Check whether the strongest local maxima of the profile, as many as there are `rows`, lie exactly in `rows`.

    Negative entries of `rows` are padding.
    """
    peaks = jnp.where(local_maxima(profile), profile, -jnp.inf)
    count = jnp.sum(rows >= 0)
    levels, peak_rows = jax.lax.top_k(peaks, rows.shape[0])
    used = jnp.arange(rows.shape[0]) < count
    correct = jnp.any(peak_rows[:, None] == rows[None, :], axis=1) & jnp.isfinite(levels)
    return jnp.all(correct | ~used)


def row_f1(profile: Profile, reference: Profile) -> Float[Array, ""]:
    """Compute the F1 score of the rows of partials against those of the reference, the noise-free target.

    Partials are local maxima above a fifth of the strongest row.
    """
    predicted, expected = _find_partials(profile), _find_partials(reference)
    hits, total = jnp.sum(predicted & expected), jnp.sum(predicted) + jnp.sum(expected)
    return 2.0 * hits.astype(jnp.float32) / jnp.maximum(total, 1).astype(jnp.float32)


def off_chord_db(spectrogram: Spectrogram, rows: Int[Array, " partials"]) -> Float[Array, ""]:
    """Compute the energy farther than 6 rows from every chord row relative to the other energy, in dB; floor -120.

    Negative entries of `rows` are padding.
    """
    energy = jnp.sum(jnp.clip(spectrogram, 0.0, 1.0) ** 2, axis=1)
    distance = jnp.abs(jnp.arange(spectrogram.shape[0])[:, None] - rows[None, :])
    near = jnp.any((distance <= GUARD_ROWS) & (rows >= 0)[None, :], axis=1)
    off, on = jnp.sum(jnp.where(near, 0.0, energy)), jnp.sum(jnp.where(near, energy, 0.0))
    return 10.0 * jnp.log10((off + 1e-12 * on + 1e-30) / (on + 1e-30))


def r_squared(spectrogram: Spectrogram, reference: Spectrogram) -> Float[Array, ""]:
    """Compute R^2, the fraction of the variance of the reference that the spectrogram explains."""
    residual = jnp.sum((spectrogram - reference) ** 2)
    return 1.0 - residual / jnp.maximum(jnp.sum((reference - jnp.mean(reference)) ** 2), 1e-12)


def envelope_correlation(
    spectrogram: Spectrogram,
    rows: Int[Array, " partials"],
    digit: Float[Array, "28 28"],
    upscale: Float[Array, "size 28"],
) -> Float[Array, ""]:
    """Compute the Pearson correlation of the mean level of the chord rows with the digit's mean over rows, along time.

    Negative entries of `rows` are padding. `upscale` resamples the digit to the columns of the spectrogram.
    """
    weights = (rows >= 0).astype(spectrogram.dtype)
    envelope = weights @ jnp.clip(spectrogram, 0.0, 1.0)[jnp.maximum(rows, 0)]
    columns = upscale @ jnp.mean(digit, axis=0)
    a, b = envelope - jnp.mean(envelope), columns - jnp.mean(columns)
    return jnp.sum(a * b) / jnp.maximum(jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)), 1e-12)


def decode_chord(
    profile: Profile, templates: Float[Array, "labels qualities size"]
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Decode the chord: label and quality whose ideal row profile correlates best with `profile`.

    The decoder is fixed, not trained.
    """
    scores = jnp.einsum("lqr,r->lq", templates, profile - jnp.mean(profile))
    best = jnp.argmax(scores)
    return best // scores.shape[1], best % scores.shape[1]


def profile_templates(
    spread: Float[np.ndarray, "labels qualities size partials"],
) -> Float[np.ndarray, "..."]:
    """Compute the ideal row profile of every chord, with zero mean and unit norm."""
    ideal = spread.sum(axis=-1)
    centered = ideal - ideal.mean(axis=-1, keepdims=True)
    return (centered / np.linalg.norm(centered, axis=-1, keepdims=True)).astype(np.float32)


def pitch_error_cents(
    wave: Float[Array, " samples"], frequencies_hz: Float[Array, " notes"], sample_rate: int
) -> Float[Array, ""]:
    """Compute the largest deviation of the notes of a sound from `frequencies_hz`, in cents.

    The pitch of a note is the peak of the zero-padded, Hann-windowed spectrum within a semitone of it, refined by a
    parabola. Negative entries of `frequencies_hz` are padding.
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
        peak_hz = (peak.astype(jnp.float32) + jnp.clip(offset, -0.5, 0.5)) * (sample_rate / padded)
        return jnp.where(target > 0, jnp.abs(1200.0 * jnp.log2(peak_hz / jnp.maximum(target, 1e-3))), 0.0)

    return jnp.max(jax.vmap(deviation)(frequencies_hz))


def _find_partials(profile: Profile) -> Bool[Array, " size"]:
    return local_maxima(profile) & (profile > PEAK_FLOOR * jnp.max(profile))
