"""The figures of the paper, drawn from the files of simulated training runs."""

import io
import json

import numpy as np
import pytest
import scipy.signal
from PIL import Image

from specjax.cli import files
from specjax.cli.errors import UserError
from specjax.papers.chord import data, figures

STEPS = 4


@pytest.fixture
def held_out():
    return data.load(data.DigitsConfig())[1]


def simulate_run(flags, workdir, examples):
    """Write the files of a training run: a log, and contact sheets whose gray level is the step."""
    losses = {f"train/loss.{name}": 0.1 for name in ("fft", "huber", "ms_ssim")}
    lines = [{"step": s, "train/grad_norm": 10.0**s, **losses} for s in range(1, 5)]
    workdir.mkdir(parents=True)
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (STEPS // 2, STEPS):
        folder = workdir / "samples" / f"{step:07d}"
        folder.mkdir(parents=True)
        (folder / "contact_sheet.png").write_bytes(files.png(np.full((4, 4, 3), step, np.uint8)))
    return {"eval/exact_notes": 0.5}


def read_picture(path):
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())))


def test_all_figures_are_drawn(tmp_path, monkeypatch, held_out):
    monkeypatch.setattr(figures, "run", simulate_run)
    paths = figures.remake(held_out, STEPS, ["--config=unet:small"], tmp_path)
    assert [path.stem for path in paths] == [*(f"figure_{n}" for n in range(1, 7)), "figure_6_losses"]
    assert all(read_picture(path).std() > 10 for path in (*paths[:3], paths[6])), "a figure is blank"
    assert [int(read_picture(paths[n]).max()) for n in (3, 4, 5)] == [STEPS, STEPS, STEPS // 2]


def test_peaks_of_target_are_harmonics_of_its_chord(held_out):
    noise, target = figures._compute_noise_and_target(held_out)
    assert noise.min() == 0
    assert noise.max() == pytest.approx(1, abs=1e-6)
    profile = target.mean(axis=1)
    peaks = scipy.signal.find_peaks(profile, height=0.01 * profile.max())[0]
    f0 = round(27.5 * 2 ** (figures.LABEL / 12))
    deviations = [min(abs(row / (f0 * r) - np.round(row / (f0 * r))) * f0 * r for r in (1, 1.25, 1.5)) for row in peaks]
    assert len(peaks) > 20
    assert max(deviations) <= 1


def test_training_that_stopped_raises(tmp_path, monkeypatch, held_out):
    monkeypatch.setattr(figures, "run", lambda *_: {"stopped": "not finite"})
    with pytest.raises(UserError, match=r"huber stopped: not finite"):
        figures.remake(held_out, STEPS, [], tmp_path)
