"""Measures of the rows of the table of generators, and the table itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from specjax.data.beats import Beats
from specjax.measure.kernel import kernel_distance
from specjax.papers.melody.evaluation import OpenJudge
from specjax.papers.melody.judge import JudgeConfig, JudgeInference
from specjax.papers.melody.representation import FRAMES, MELS, Representation, Statistics
from specjax.papers.melody.studies import embedding, rows, sounds, table
from specjax.papers.melody.studies.embedding import Judged
from specjax.papers.melody.studies.table import Context
from specjax.papers.melody.tracks import MusicConfig

REPRESENTATION = Representation(statistics=Statistics(1.0, (-30.0,) * MELS, (10.0,) * MELS))
JUDGE = OpenJudge(
    JudgeInference(JudgeConfig(MusicConfig(genres=("a", "b")), REPRESENTATION, widths=(8, 8))), variables=None
)


def make_clips(count, seed=0):
    """Clips of two genres, of which one has its energy in the lower bands, the other in the upper ones."""
    mel = np.random.default_rng(seed).uniform(0.5, 1, (2, count, MELS, FRAMES)).astype(np.float32)
    mel[0, :, MELS // 2 :] *= 1e-4
    mel[1, :, : MELS // 2] *= 1e-4
    return mel


def test_a_judge_hears_every_clip_in_blocks(monkeypatch):
    monkeypatch.setattr(embedding, "_BLOCK", 4)
    inference = JUDGE.inference
    variables = jax.jit(inference.init)(jax.random.key(0))
    clips = make_clips(3).reshape(6, MELS, FRAMES)
    judged = embedding.judge_clips(OpenJudge(inference, variables), clips)
    verdict = jax.jit(inference.judge)(variables, jnp.asarray(clips))
    np.testing.assert_allclose(judged.embedding, verdict.embedding, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(judged.guess, np.argmax(verdict.logits, axis=1))


@pytest.fixture
def ears(monkeypatch):
    """A judge that knows genre 0 by louder lower bands, and whose embedding is the mean of every 16th band."""

    def judge_clips(judge, mel_power):
        halves = mel_power.reshape(len(mel_power), 2, -1).mean(axis=2)
        return Judged(mel_power.mean(axis=2)[:, ::16], np.argmax(halves, axis=1), np.zeros(len(halves), bool))

    monkeypatch.setattr(embedding, "judge_clips", judge_clips)


def test_copies_are_found_and_quiet_clips_are_quiet(ears):
    reference, train = make_clips(6, seed=1), make_clips(6, seed=2)
    judged = embedding.judge_clips(JUDGE, train.reshape(12, MELS, FRAMES)).embedding
    copies = embedding.compare_clips(JUDGE, reference, train, judged, np.arange(12))
    assert copies["memorization"] == copies["memorization_lowest"] == 0
    assert copies["accuracy"] == copies["accuracy_reference"] == 1
    assert copies["clips"] == 12
    quiet = embedding.compare_clips(JUDGE, reference, reference[:, :, :, ::-1] / 100, judged, np.arange(12))
    assert quiet["level_db"] == pytest.approx(-20, abs=1e-3)
    assert quiet["outer_thirds_db"] == pytest.approx(0, abs=1e-3)
    assert quiet["memorization"] > 1
    assert quiet["precision"] == quiet["coverage"] == 0
    assert quiet["kernel_distance"] > copies["kernel_distance"]
    others = embedding.judge_clips(JUDGE, reference.reshape(12, MELS, FRAMES)).embedding
    assert copies["kernel_distance"] == pytest.approx(kernel_distance(others, judged).distance)


@pytest.mark.long  # trains a judge
def test_a_judge_trained_on_clips_of_swapped_genres_is_always_wrong(monkeypatch):
    monkeypatch.setattr(embedding, "TRAIN_STEPS", 30)
    reference = make_clips(4, seed=1)
    assert embedding.train_and_test(make_clips(4), reference, REPRESENTATION) == 1
    assert embedding.train_and_test(make_clips(4)[::-1].copy(), reference, REPRESENTATION) == 0


def test_levels_of_a_sine_and_tempos_of_regular_beats(monkeypatch):
    sine = 0.5 * np.sin(2 * np.pi * np.arange(1000) / 100)
    tracked = iter([Beats(120.0, np.arange(0, 10, 0.5)), Beats(0.0, np.zeros(0)), Beats(60.0, np.arange(0.0, 10.0))])
    monkeypatch.setattr(sounds, "_invert", lambda mel: np.broadcast_to(sine, (len(mel), 1000)))
    monkeypatch.setattr(sounds.beats, "track", lambda *_: next(tracked))
    monkeypatch.setattr(sounds, "CLIPS", 1)
    measured = sounds.measure_sounds(np.zeros((3, 2, 4, 5), np.float32), 120.0)
    np.testing.assert_allclose(measured["rms_db"], 20 * np.log10(0.5 / np.sqrt(2)), atol=1e-3)
    np.testing.assert_allclose(measured["crest_db"], 3.01, atol=1e-2)
    np.testing.assert_allclose(measured["octaves"], [0, np.nan, -1], atol=1e-6)
    assert sounds.count_in_tempo(measured["octaves"]) == (1, 1)


def test_tempos_are_right_within_4_percent():
    assert sounds.count_in_tempo([float(np.log2(ratio)) for ratio in (1.039, 0.965, 1.05, 2.05, 0.49, 1.5)]) == (2, 2)


def test_joined_clips_have_higher_ranks_than_recordings():
    """Each recording is noise with levels of its own in every band."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(2, 3, 60 * rows.SAMPLE_RATE)).astype(np.float32)
    kernels = rng.normal(size=(2, 3, 8))
    waves = np.stack(
        [[np.convolve(w, k, "same") for w, k in zip(*own, strict=True)] for own in zip(waves, kernels, strict=True)]
    )
    waves = waves.astype(np.float32)
    assert min(rows.rank_joined(waves)["pieces"]) > 0.99
    assert max(rows.rank_recordings(waves)["pieces"]) < 0.9
    assert len(rows.rank_recordings(waves)["loops"]) == 6


def make_row(**changes):
    judged = {
        "clips": 40.0,
        "accuracy": 0.9,
        "accuracy_reference": 0.95,
        "noise": 0.2,
        "precision": 0.8,
        "recall": 0.7,
        "density": 1.1,
        "coverage": 0.6,
        "kernel_distance": 0.5,
        "kernel_half_width": 0.125,
        "frechet": 12.0,
        "outer_thirds_db": -0.5,
        "level_db": 1.0,
        "memorization": 0.9,
        "memorization_lowest": 0.4,
    }
    levels = {"rms_db": [-20.0, -10.0], "crest_db": [14.0, 16.0], "octaves": [0.0, 1.0]}
    row = {"embedding": judged, "gan_train": {"accuracy": 0.5}, "sounds": levels, "seams": {"pieces": [0.5, 0.99]}}
    return row | changes


def test_the_table_has_a_line_for_each_row():
    floor = {"linear_db": [-10.0, -12.0], "mel_db": [-20.0], "rms_db": [0.5], "crest_db": [-1.0]}
    reference = {"rms_db": [-12.0], "crest_db": [15.0], "octaves": [0.0]}
    context = Context("0123456789ab", reference, floor, {"pieces": 0.9, "loops": 0.95})
    text = table.format_table(
        context, {rows.REAL: make_row(), "gan": make_row(seams={})}, {"gan": {"auc": 0.75, "won": 0.05}}
    )
    assert "Judge 0123456789ab, accuracy 95.0%" in text
    assert "N = 40 clips" in text
    assert "sound: -11.0 dB linear" in text
    head, _, real, gan = (line.split("|")[1:-1] for line in text.splitlines()[-4:])
    found = dict(zip((cell.strip() for cell in head), (cell.strip() for cell in gan), strict=True))
    assert found["RMS, dB"] == "-3.0"
    assert found["crest factor, dB"] == "+0.0"
    assert found["kernel distance"] == "0.5 ± 0.12"
    assert found["in tempo"].startswith("50% (")
    assert found["60 s with seams"] == ""
    assert found["AUC in training"] == "0.75 (won: 5%)"
    assert real[-1].strip() == ""
    assert real[-3].strip().startswith("50% (")


def test_auc_of_a_run_is_that_of_its_second_half(tmp_path):
    lines = [f'{{"step": {i}, "train/auc": {auc}}}' for i, auc in enumerate([1.0, 0.99, 0.7, 0.8, 0.6])]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert table.read_auc(tmp_path) == {"auc": pytest.approx(0.7), "won": pytest.approx(0.4)}
