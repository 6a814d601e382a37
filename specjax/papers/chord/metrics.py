"""Metrics of predicted chord spectrograms: notes, off-chord energy, likeness to the digit, and pitch.

Row r of a spectrogram stands for r Hz. A row profile holds the mean of each row over time. All functions are pure and
take a single example; use `jax.vmap` for a batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Spectrogram = Float[Array, "size size"]
Profile = Float[Array, " size"]

GUARD_ROWS = 6  # number of rows to either side over which targets spread the energy of a note
PEAK_FLOOR = 0.2  # a local maximum is a partial if it exceeds this fraction of the strongest row


def row_profile(spectrogram: Spectrogram) -> Profile:
    """Compute the row profile of a spectrogram: the mean of each row over time."""
    return jnp.mean(spectrogram, axis=1)


def local_maxima(profile: Profile) -> Bool[Array, " size"]:
    """Return a mask of the local maxima of a profile.

    A value is a local maximum if it is greater than the value before it, and not less than the value after it. The
    first and the last value are compared with their only neighbor.
    """
    before = jnp.concatenate([jnp.full((1,), -jnp.inf), profile[:-1]])
    after = jnp.concatenate([profile[1:], jnp.full((1,), -jnp.inf)])
    return (profile > before) & (profile >= after)


def exact_notes(profile: Profile, rows: Int[Array, " notes"]) -> Bool[Array, ""]:
    """Check whether the peaks of a row profile lie exactly in the rows of a chord's notes.

    If the chord has n notes, the peaks are the n strongest local maxima of the profile.

    Args:
      profile: row profile of a spectrogram.
      rows: rows of the chord's notes; negative entries are padding.
    """
    peaks = jnp.where(local_maxima(profile), profile, -jnp.inf)
    count = jnp.sum(rows >= 0)
    levels, peak_rows = jax.lax.top_k(peaks, rows.shape[0])
    used = jnp.arange(rows.shape[0]) < count
    correct = jnp.any(peak_rows[:, None] == rows[None, :], axis=1) & jnp.isfinite(levels)
    return jnp.all(correct | ~used)


def row_f1(profile: Profile, reference: Profile) -> Float[Array, ""]:
    """Compute the F1 score of the partials found in a row profile against those found in the reference.

    A partial is a row that is a local maximum and exceeds a fifth of the strongest row.

    Args:
      profile: row profile of a predicted spectrogram.
      reference: row profile of the noise-free target.
    """
    predicted, expected = _find_partials(profile), _find_partials(reference)
    hits, total = jnp.sum(predicted & expected), jnp.sum(predicted) + jnp.sum(expected)
    return 2.0 * hits.astype(jnp.float32) / jnp.maximum(total, 1).astype(jnp.float32)


def off_chord_db(spectrogram: Spectrogram, rows: Int[Array, " partials"]) -> Float[Array, ""]:
    """Compute the energy outside of a chord relative to the energy in the chord, in dB.

    Rows within 6 rows of one of the chord's partials are in the chord. The lowest possible result is about -120 dB.

    Args:
      spectrogram: values are clipped to [0, 1].
      rows: rows of the chord's partials; negative entries are padding.
    """
    energy = jnp.sum(jnp.clip(spectrogram, 0.0, 1.0) ** 2, axis=1)
    distance = jnp.abs(jnp.arange(spectrogram.shape[0])[:, None] - rows[None, :])
    near = jnp.any((distance <= GUARD_ROWS) & (rows >= 0)[None, :], axis=1)
    off, on = jnp.sum(jnp.where(near, 0.0, energy)), jnp.sum(jnp.where(near, energy, 0.0))
    return 10.0 * jnp.log10((off + 1e-12 * on + 1e-30) / (on + 1e-30))


def r_squared(spectrogram: Spectrogram, reference: Spectrogram) -> Float[Array, ""]:
    """Compute R^2 (coefficient of determination), the fraction of the reference's variance that is explained."""
    residual = jnp.sum((spectrogram - reference) ** 2)
    return 1.0 - residual / jnp.maximum(jnp.sum((reference - jnp.mean(reference)) ** 2), 1e-12)


def envelope_correlation(
    spectrogram: Spectrogram,
    rows: Int[Array, " partials"],
    digit: Float[Array, "28 28"],
    upscale: Float[Array, "size 28"],
) -> Float[Array, ""]:
    """Compute how closely the loudness of a chord over time follows the digit that it was predicted from.

    The result is the Pearson correlation of two curves over time: the mean of the chord's rows in the spectrogram, and
    the mean of each column of the digit.

    Args:
      spectrogram: predicted spectrogram; values are clipped to [0, 1].
      rows: rows of the chord's partials; negative entries are padding.
      digit: image of the digit.
      upscale: matrix that resamples the 28 columns of the digit to those of the spectrogram.
    """
    weights = (rows >= 0).astype(spectrogram.dtype)
    envelope = weights @ jnp.clip(spectrogram, 0.0, 1.0)[jnp.maximum(rows, 0)]
    columns = upscale @ jnp.mean(digit, axis=0)
    a, b = envelope - jnp.mean(envelope), columns - jnp.mean(columns)
    return jnp.sum(a * b) / jnp.maximum(jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)), 1e-12)


def chord_correlations(
    profile: Profile, templates: Float[Array, "labels qualities size"]
) -> Float[Array, "labels qualities"]:
    """Compute the correlation of the row profile of a spectrogram with the ideal row profile of every chord.

    A row profile is the mean of each spectrogram row over time.

    Args:
      profile: row profile of the spectrogram. If it is constant, the correlations are 0.
      templates: ideal row profile of every chord, with zero mean and unit norm, from `profile_templates`.
    """
    centered = profile - jnp.mean(profile)
    return jnp.einsum("lqr,r->lq", templates, centered / jnp.maximum(jnp.linalg.norm(centered), 1e-12))


def decode_chord(
    profile: Profile, templates: Float[Array, "labels qualities size"]
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Find the chord whose ideal row profile has the highest correlation with the row profile of a spectrogram.

    Args:
      profile: row profile of the spectrogram.
      templates: see `chord_correlations`.

    Returns:
      The label of the chord, and the index of its chord quality. They are the first two indices into `templates`.
    """
    scores = chord_correlations(profile, templates)
    best = jnp.argmax(scores)
    return best // scores.shape[1], best % scores.shape[1]


def profile_templates(
    spread: Float[np.ndarray, "labels qualities size partials"],
) -> Float[np.ndarray, "..."]:
    """Compute the ideal row profile of every chord: the sum of its blurred partials, with zero mean and unit norm.

    Args:
      spread: matrices that blur each partial of a chord over the spectrogram rows (`conditioning.Operators.spread`).

    Returns:
      Array of shape (labels, qualities, size).
    """
    ideal = spread.sum(axis=-1)
    centered = ideal - ideal.mean(axis=-1, keepdims=True)
    return (centered / np.linalg.norm(centered, axis=-1, keepdims=True)).astype(np.float32)


def pitch_error_cents(
    wave: Float[Array, " samples"], frequencies_hz: Float[Array, " notes"], sample_rate: int
) -> Float[Array, ""]:
    """Measure the notes of a sound, and return their largest deviation from the expected frequencies, in cents.

    The frequency of a note is measured at the peak of the zero-padded, Hann-windowed spectrum within a semitone of the
    expected frequency, refined by parabolic interpolation.

    Args:
      wave: the sound.
      frequencies_hz: expected frequencies of the notes, in Hz; negative entries are padding.
      sample_rate: sample rate in Hz.
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
