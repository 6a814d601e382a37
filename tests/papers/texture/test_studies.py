"""Tests of the studies: inversion methods, mel inversion, parity with librosa, classifiers and style transfer."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from specjax.cli.config import load
from specjax.cli.errors import UserError
from specjax.engine.study import Options
from specjax.papers import build
from specjax.papers.texture.studies import classifiers, inversion, mel, parity, style
from specjax.papers.texture.studies.inversion import Score
from specjax.signal.inversion import Inversion
from specjax.signal.short_time_fourier import Stft


@pytest.fixture
def sounds(tmp_path):
    time = np.arange(8000) / 22050
    for name, hz in (("a.wav", 440), ("b.flac", 660)):
        soundfile.write(tmp_path / name, 0.3 * np.sin(2 * np.pi * (hz * time + 300 * time**2)), 22050)
    return tmp_path


@pytest.mark.long  # compiles every method
def test_inversion_study_runs_every_method_on_every_sound(sounds, monkeypatch):
    methods = {"SPSI": Inversion("spsi"), "fast": Inversion(iterations=16), inversion.LIBROSA: None}
    monkeypatch.setattr(inversion, "METHODS", methods)
    monkeypatch.setattr(inversion, "TRANSFORMS", {"Hann, redundancy 4": Stft(512, 128)})
    monkeypatch.setattr(inversion, "DURATION_S", 0.5)
    clips = inversion.load_clips(inversion.check_sounds([str(sounds), str(sounds / "a.wav")]), 0.5)
    assert [len(wave) for wave in clips.values()] == [11025, 11025], "a file that is named twice counts once"
    lines = []
    results = inversion.compare(clips, lines.append)
    assert lines == [f"Hann, redundancy 4: {name}" for name in methods]
    mean = {
        name: np.mean([score.convergence_db for score in scores])
        for name, scores in results["Hann, redundancy 4"].items()
    }
    assert mean["fast"] < mean[inversion.LIBROSA] - 5
    text = inversion.format_table(results)
    assert f"| fast | {mean['fast']:.1f} ± " in text


def test_load_clips_trims_leading_silence_and_skips_invalid_files(tmp_path, caplog):
    tone = 0.3 * np.sin(np.arange(22050) / 9)
    soundfile.write(tmp_path / "late.wav", np.concatenate([np.zeros(22050 * 6), tone]), 22050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    (wave,) = inversion.load_clips([tmp_path]).values()
    np.testing.assert_allclose(wave[:22000], tone[1:22001], atol=1e-4)
    assert "skipped: " in caplog.text
    assert "silent.wav" in caplog.text
    with pytest.raises(UserError, match="none of 1 sound files can be used"):
        inversion.load_clips([tmp_path / "silent.wav"])


def test_table_cell_has_mean_interval_and_median_real_time_factor(monkeypatch):
    monkeypatch.setattr(inversion, "METHODS", {"x": Inversion("spsi")})
    text = inversion.format_table({"Hann": {"x": [Score(-10.0, 0.1), Score(-12.0, 0.3), Score(-11.0, 0.2)]}})
    assert text.splitlines() == ["| | Hann |", "|---|--:|", "| x | -11.0 ± 2.5 (0.200) |"]
    assert "| x | -10.0 (0.100) |" in inversion.format_table({"Hann": {"x": [Score(-10.0, 0.1)]}})


@pytest.mark.long
def test_mel_study_compares_reconstructions_with_the_original_sound(sounds, monkeypatch):
    methods = {name: mel.METHODS[name] for name in list(mel.METHODS)[:3]}
    monkeypatch.setattr(mel, "METHODS", methods)
    monkeypatch.setattr(mel, "CONVENTIONS", ("mvnet",))
    monkeypatch.setattr(inversion, "DURATION_S", 0.5)
    results = mel.compare(inversion.load_clips([sounds / "a.wav"]), lambda line: None)
    (magnitudes,), (sound,), (refined,) = results["mvnet"].values()
    assert magnitudes.mel_db < -40, "the estimated magnitudes reproduce the energy in every filter"
    assert refined.mel_db < sound.mel_db - 5
    assert magnitudes.linear_db < 0
    text = mel.format_table(results).splitlines()
    assert text[0] == "| | mvnet, linear | mvnet, mel |"
    assert text[2] == f"| {mel.MAGNITUDES_ONLY} | {magnitudes.linear_db:.1f} | {magnitudes.mel_db:.1f} |"


@pytest.mark.parametrize(("paths", "message"), [([], "--sounds is missing"), (["/nowhere"], "does not exist")])
def test_missing_sounds_raise(paths, message):
    with pytest.raises(UserError, match=message):
        inversion.check_sounds(paths)


def test_every_representation_agrees_with_librosa():
    time = np.arange(22050) / 22050
    wave = 0.3 * np.sin(2 * np.pi * (440 * time + 300 * time**2)) + 0.01 * np.random.default_rng(0).standard_normal(
        22050
    )
    errors = parity.compute_errors({"tone": wave.astype(np.float32)})
    assert max(max(values) for name, values in errors.items()) < 1e-2, errors
    assert max(max(errors[name]) for name in ("STFT", "inverse STFT", "MFCC", "centroid", "RMS")) < 1e-5
    rows = parity.format_table(errors).splitlines()
    assert len(rows) == 2 + len(errors)
    assert rows[2].startswith("| STFT | ")


def test_style_study_judges_controls_and_variants_and_resumes(tmp_path, monkeypatch):
    """The content equals itself, the style is nearest to itself, and saved results are not computed again."""
    monkeypatch.setattr(style, "SAMPLE_RATE", 22050)
    monkeypatch.setattr(style, "VARIANTS", {"wyse": style.Variant("wyse", {"steps": 2, "filters": 4, "noise": 0.0})})
    rng = np.random.default_rng(0)
    sounds = {name: 0.1 * rng.normal(size=16384).astype(np.float32) * (i + 1) for i, name in enumerate("ab")}
    lines = []
    first = style.compare(sounds, tmp_path, 2, report=lines.append)
    assert lines == ["wyse: pair 1/2, a in the style of b", "wyse: pair 2/2, b in the style of a"]
    assert list(first) == ["content", "style", "equalized content", "wyse"]
    np.testing.assert_allclose(first["content"]["content"], 1, atol=1e-4)
    np.testing.assert_allclose(first["style"]["texture"], 0, atol=1e-4)
    monkeypatch.setattr(style, "transfer", None)
    again = style.compare(sounds, tmp_path, 2)
    np.testing.assert_array_equal(first["wyse"]["mfcc"], again["wyse"]["mfcc"])
    with pytest.raises(UserError, match="1 sounds, expected at least 2"):
        style.compare({"a": sounds["a"]}, tmp_path, 2)


def test_every_fold_is_held_out_in_turn(tmp_path, monkeypatch):
    asked = []

    def answer(study, flags, repetitions, folder, examples):
        asked.append(repetitions)
        return {name: [{"eval/accuracy": 0.5}] * len(repetitions) for name in study.variants}

    monkeypatch.setattr(classifiers, "answer", answer)
    values = load("classifier:tiny").to_dict()
    options = Options(values, ["--config=classifier:tiny"], tmp_path, seeds=0, examples=0, sounds=[])
    classifiers.cross_validate(classifiers.STUDIES["folds"], options)
    assert [r["data.held_out_folds"] for r in asked[0].values()] == [(fold,) for fold in range(1, 6)]
    wrong = replace(options, config=load("unet:tiny").to_dict())
    with pytest.raises(UserError, match="task chord/unet, expected a classifier"):
        classifiers.cross_validate(classifiers.STUDIES["folds"], wrong)


def test_the_nested_study_chooses_settings_without_the_held_out_fold(tmp_path, monkeypatch, capsys):
    """Log is best wherever fold 2 takes part, mel elsewhere: the held-out fold 2 gets mel, the others get log."""

    def answer(study, flags, repetitions, folder, examples):
        def accuracy(name, values):
            used = (*values["data.held_out_folds"], *values.get("data.train_folds", ()))
            if "data.train_folds" not in values:
                return 0.25 * used[0] / 2
            return 0.9 if name == ("log, one task" if 2 in used else "mel, one task") else 0.5

        return {
            name: [{"eval/accuracy": accuracy(name, values)} for values in repetitions.values()]
            for name in study.variants
        }

    monkeypatch.setattr(classifiers, "answer", answer)
    monkeypatch.setattr(classifiers, "fold_numbers", lambda _: [1, 2, 3])
    options = Options(load("classifier:tiny").to_dict(), [], tmp_path, seeds=0, examples=0, sounds=[])
    classifiers.cross_validate_nested(options)
    assert capsys.readouterr().out.splitlines()[4:] == [
        "| 1 | log, one task | 90.0% | 12.5% |",
        "| 2 | mel, one task | 90.0% | 25.0% |",
        "| 3 | log, one task | 90.0% | 37.5% |",
        "| all | | | 25.0% ± 31.1% |",
    ]


@pytest.mark.parametrize("folds", [[1, 2, 3], [1, 2, 3, 4]])
def test_inner_folds_leave_the_held_out_fold_out(folds):
    for name, values in classifiers.inner_repetitions(folds).items():
        outer = int(name.rsplit(" ", 1)[1])
        assert sorted((outer, *values["data.held_out_folds"], *values["data.train_folds"])) == folds


@pytest.mark.parametrize("name", classifiers.STUDIES["axes"].variants)
def test_every_variant_of_the_axes_study_is_a_valid_config(name):
    values = load("classifier:best")
    for key, value in classifiers.STUDIES["axes"].variants[name].items():
        group, _, leaf = key.rpartition(".")
        values[group][leaf] = value
    build(values.to_dict())
