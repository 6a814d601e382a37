"""Commands with the classifier: train, resume, evaluate, export and synth classify, as a user would run them."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from commands.conftest import make_once
from commands.run import error_in_process, final_digests, run_in_process

RATE = 22050
SMALL = (
    "--config=classifier:tiny",
    "--config.model.widths=(8,8)",
    "--config.model.centroid_classes=2",
    "--config.batch_size=4",
    "--config.eval_every=0",
    "--config.log_every=1",
    "--config.optimizer.learning_rate.over=6",
    "--config.optimizer.learning_rate.warmup=0",
    "--config.checkpoint_every=3",
)


def write_sound(path, hz, seed=0, seconds=2.0):
    """Write a tone with noise, long enough for the config."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = round(seconds * RATE)
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(count) / RATE)
    soundfile.write(path, wave + 0.01 * np.random.default_rng(seed).normal(size=count), RATE)


@pytest.fixture(scope="module")
def sounds(shared_folder):
    """Folder of two classes with five sounds each."""

    def write(folder):
        for hz, name in ((300, "low"), (3000, "high")):
            for i in range(5):
                write_sound(folder / name / f"{i}.wav", hz + i, i)

    return make_once(shared_folder / "two_classes", write)


@pytest.fixture(scope="module")
def trained_classifier(sounds, shared_folder):
    """Workdir of a finished run of six steps."""

    def train(workdir):
        done = run_in_process(
            "train", *SMALL, f"--config.data.source={sounds}", "--config.steps=6", f"--workdir={workdir}"
        )
        assert done.returncode == 0, done.stderr

    return make_once(shared_folder / "classifier", train)


@pytest.fixture(scope="module")
def classifier_bundle(trained_classifier, shared_folder):
    """Bundle exported from the finished run."""

    def export(folder):
        done = run_in_process("export", f"--workdir={trained_classifier}", f"--out={folder}")
        assert done.returncode == 0, done.stderr

    return make_once(shared_folder / "classifier_bundle", export)


@pytest.mark.long  # engine/test_toys.py has the same with small programs
def test_resumed_run_ends_with_the_same_bits(trained_classifier, sounds, tmp_path):
    for steps in (3, 6):
        arguments = (*SMALL, f"--config.data.source={sounds}", f"--config.steps={steps}", f"--workdir={tmp_path}/run")
        assert run_in_process("train", *arguments).returncode == 0
    assert final_digests(tmp_path / "run", 6) == final_digests(trained_classifier, 6)


def test_evaluate_reports_accuracy_with_its_interval(trained_classifier):
    done = run_in_process("evaluate", f"--workdir={trained_classifier}")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["eval/examples"] == 2
    assert 0 <= result["eval/accuracy_low"] <= result["eval/accuracy"] <= result["eval/accuracy_high"] <= 1


def test_classify_prints_classes_by_probability(classifier_bundle, tmp_path):
    # The sound is longer than those of the training, at another rate and in stereo.
    tone = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(3 * 16000) / 16000)
    soundfile.write(tmp_path / "tone.flac", np.stack([tone, tone], 1), 16000)
    done = run_in_process("synth", "classify", tmp_path / "tone.flac", f"--bundle={classifier_bundle}")
    assert done.returncode == 0, done.stderr
    found = [re.fullmatch(r" *([\d.]+)% (\w+)", line).groups() for line in done.stdout.splitlines()]
    assert {name for _, name in found} == {"high", "low"}
    assert float(found[0][0]) >= float(found[1][0])


def test_evaluation_on_data_with_an_unknown_class_is_an_error(trained_classifier, sounds, tmp_path):
    shutil.copytree(sounds, tmp_path / "data")
    write_sound(tmp_path / "data" / "medium" / "0.wav", 1000)
    error = error_in_process("evaluate", f"--workdir={trained_classifier}", f"--data={tmp_path}/data")
    assert "the class 'medium', which is not among the classes that are trained: high, low" in error


def test_errors_of_classify_are_one_line(classifier_bundle, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    bundle = f"--bundle={classifier_bundle}"
    assert "is silent throughout" in error_in_process("synth", "classify", tmp_path / "silent.wav", bundle)
    assert "--top=0 must be at least 1" in error_in_process("synth", "classify", "a.wav", bundle, "--top=0")
    missing = error_in_process("synth", "classify", tmp_path / "silent.wav", f"--bundle={tmp_path}/nothing")
    assert "nothing" in missing


def test_a_missing_sound_of_esc_50_is_named_before_training(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("filename,fold,target,category\n1-1-A-0.wav,1,0,dog\n")
    error = error_in_process("train", *SMALL, f"--config.data.source={tmp_path}", f"--workdir={tmp_path}/run")
    assert "line 2 names 1-1-A-0.wav, which is not in" in error


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.model.layout=rows", "choose channels or image"),
        ("--config.model.architecture=vgg", "choose paper or residual"),
        ("--config.representation.axis=bark", "choose linear, log or mel"),
        ("--config.loss=hinge", "choose softmax or sigmoid"),
        ("--config.data.held_out_folds=(1,2,3,4,5)", "none is left to train on"),
    ],
)
def test_unusable_settings_are_one_line(flag, message, tmp_path):
    assert message in error_in_process("train", *SMALL, flag, "--config.steps=1", f"--workdir={tmp_path}/run")
