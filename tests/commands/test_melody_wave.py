"""Commands with a GAN of waves: train on a folder of music, evaluate, export, and synth melody."""

import json

import numpy as np
import pytest
import soundfile

from commands.conftest import make_once
from commands.run import error_in_process, run_in_process

RATE = 22050
WAVE = ("--config=melody_wave:tiny", "--config.model.widths=(4,4)", "--config.model.trunk_blocks=0")
SMALL = ("--config.batch_size=4", "--config.eval_every=0", "--config.sample_every=0", "--config.steps=2")


def run(*arguments):
    done = run_in_process(*arguments)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def wave(shared_folder):
    """Folder with music of two genres, a finished run, and its bundle."""

    def make(folder):
        rng = np.random.default_rng(0)
        for genre in ("jazz", "pop"):
            (folder / "music" / genre).mkdir(parents=True)
            for i in range(3):  # one is held out
                soundfile.write(folder / "music" / genre / f"{i}.wav", rng.normal(0, 0.1, 12 * RATE), RATE)
        source = f"--config.data.source={folder}/music"
        run("train", *WAVE, *SMALL, source, f"--workdir={folder}/run")
        run("export", f"--workdir={folder}/run", f"--out={folder}/bundle")

    return make_once(shared_folder / "wave", make)


@pytest.mark.long  # papers/melody/wave has the parts
def test_evaluation_reports_figures_of_the_held_out_clips(wave):
    figures = json.loads(run("evaluate", f"--workdir={wave}/run", "--examples=0").stdout.splitlines()[-1])
    assert figures["eval/clips"] == 2
    assert set(figures) == {"step", "eval/auc", "eval/level_db", "eval/outer_thirds_db", "eval/clips"}


def test_waves_are_written_as_they_are_generated(wave, tmp_path):
    done = run("synth", "melody", f"--bundle={wave}/bundle", "--count=2", f"--out={tmp_path}/a", "--seed=3")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["jazz-1", "jazz-2", "pop-1", "pop-2"]
    assert {path.name for path in (tmp_path / "a").iterdir()} >= {"grid.png", "jazz-1.png", "pop-2.wav"}
    run("synth", "melody", f"--bundle={wave}/bundle", "--count=2", f"--out={tmp_path}/b", "--seed=3")
    first, again = (soundfile.read(tmp_path / name / "pop-2.wav")[0] for name in "ab")
    assert len(first) == 10 * RATE
    assert 0 < np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, again)


def test_longer_pieces_and_loops(wave, tmp_path):
    melody = ("synth", "melody", f"--bundle={wave}/bundle", "--genre=pop")
    run(*melody, "--duration=12.5", f"--out={tmp_path}/a")
    assert len(soundfile.read(tmp_path / "a" / "pop-1.wav")[0]) == pytest.approx(12.5 * RATE, abs=512)
    run(*melody, "--duration=4", "--loop", f"--out={tmp_path}/b")
    assert len(soundfile.read(tmp_path / "b" / "pop-1.wav")[0]) == 172 * 512


def test_one_tempo_for_all_tracks_is_an_error(tmp_path):
    error = error_in_process("train", *WAVE, "--config.data.tempo_bpm=107.67", f"--workdir={tmp_path}/run")
    assert "data.tempo_bpm=107.67 can bring spectrograms to one tempo, but not waves: set it to 0" in error
