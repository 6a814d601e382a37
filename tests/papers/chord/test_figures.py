"""The paper's figures: what they show, drawn from what trainings left."""

import io
import json

import numpy as np
import pytest
import scipy.signal
from PIL import Image

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.papers.chord import data as digits
from specjax.papers.chord import figures

STEPS = 4


@pytest.fixture
def held_out():
    return digits.load(digits.DigitsConfig())[1]


def pretend(words, workdir, examples):
    """What a training leaves: a log, and a contact sheet of one grey, its step, at the middle and at the end."""
    lines = [
        {"step": s, "train/grad_norm": 10.0**s, "train/loss.fft": 1.0, "train/loss.huber": 0.1} for s in range(1, 5)
    ]
    workdir.mkdir(parents=True)
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (STEPS // 2, STEPS):
        folder = workdir / "samples" / f"{step:07d}"
        folder.mkdir(parents=True)
        (folder / "contact_sheet.png").write_bytes(files.png(np.full((4, 4, 3), step, np.uint8)))
    return {"eval/exact_notes": 0.5}


def picture(path):
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())))


def test_six_figures_are_drawn(tmp_path, monkeypatch, held_out):
    monkeypatch.setattr(figures, "run", pretend)
    drawn = figures.remake(held_out, STEPS, ["--config=unet:small"], tmp_path)
    assert [path.stem for path in drawn] == [*(f"figure_{n}" for n in range(1, 7)), "figure_6_losses"]
    assert all(picture(path).std() > 10 for path in (*drawn[:3], drawn[6])), "something is to be seen"
    assert [int(picture(drawn[n]).max()) for n in (3, 4, 5)] == [STEPS, STEPS, STEPS // 2]


def test_a_target_has_the_harmonics_of_its_chord(held_out):
    noise, target = figures._noise_and_target(held_out)
    assert noise.min() == 0
    assert noise.max() == pytest.approx(1, abs=1e-6)
    profile = target.mean(axis=1)
    peaks = scipy.signal.find_peaks(profile, height=0.01 * profile.max())[0]
    f0 = round(27.5 * 2 ** (figures.LABEL / 12))
    nearest = [min(abs(row / (f0 * r) - np.round(row / (f0 * r))) * f0 * r for r in (1, 1.25, 1.5)) for row in peaks]
    assert len(peaks) > 20
    assert max(nearest) <= 1


def test_a_training_that_stopped_has_no_figure(tmp_path, monkeypatch, held_out):
    monkeypatch.setattr(figures, "run", lambda *_: {"stopped": "not finite"})
    with pytest.raises(UserError, match=r"huber stopped: not finite"):
        figures.remake(held_out, STEPS, [], tmp_path)
