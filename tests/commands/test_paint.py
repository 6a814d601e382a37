"""Commands of the mvnet paper: train the encoder and the GAN on a folder, evaluate, export, and synth paint."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.run import error_in_process, run_in_process
from specjax.data import beats
from specjax.data.beats import Beats

TRAIN = (
    "--config.steps=2",
    "--config.batch_size=4",
    "--config.log_every=1",
    "--config.eval_batch=4",
    "--config.sample_every=0",
)
GAN = (
    "--config=cdcgan:tiny",
    *TRAIN,
    "--config.eval_every=2",
    "--config.model.widths=(4,4)",
    "--config.model.latents=3",
    "--config.model.features=4",
)


def run(name, *arguments):
    """Run a command that succeeds, and return what it prints."""
    done = run_in_process(name, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A museum of two eras, and what is trained on it: the run `encoder`, and the bundles `style` and `painter`."""
    folder, rng = tmp_path_factory.mktemp("museum"), np.random.default_rng(0)
    for era in ("baroque", "modern"):
        for kind in ("audio", "images"):
            (folder / kind / era).mkdir(parents=True)
        for i in range(3):
            noise = 0.1 * rng.standard_normal(int(18.5 * 22_050))  # two clips
            soundfile.write(folder / "audio" / era / f"work{i}.wav", noise, 22_050)
        for i in range(8):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / era / f"{i}.png")
    data = (f"--config.data.source={folder}", "--config.data.held_out_share=0.34")
    narrow = ("--config=encoder:tiny", "--config.widths=(2,2)", "--config.embedding=3", "--config.eval_every=2")
    run("train", *narrow, *TRAIN, *data, f"--workdir={folder}/encoder")
    narrow = ("--config=style:tiny", "--config.widths=(4,4)", "--config.paintings=3", "--config.eval_every=2")
    run("train", *narrow, *TRAIN, *data, f"--workdir={folder}/style_run")
    run("export", f"--workdir={folder}/style_run", f"--out={folder}/style")
    parts = (f"--config.encoder={folder}/encoder", f"--config.style={folder}/style")
    run("train", *GAN, *data, *parts, f"--workdir={folder}/gan")
    run("export", f"--workdir={folder}/gan", f"--out={folder}/painter")
    return folder


def test_runs_are_evaluated_and_show_maps_and_collages(folder):
    figures = json.loads(run("evaluate", f"--workdir={folder}/gan").splitlines()[-1])
    assert {"eval/diversity", "eval/follows", "eval/coverage", "eval/auc"} <= set(figures)
    assert "eval/neighbor" in (folder / "encoder" / "metrics.jsonl").read_text()
    assert list((folder / "encoder" / "samples").rglob("map_pca.png"))
    assert list((folder / "gan" / "samples").rglob("collage_modern.png"))


def test_figures_of_finished_runs(folder, tmp_path):
    figures = ("synth", "paint_figures", f"--encoder={folder}/encoder", f"--gan={folder}/gan")
    lines = run(*figures, f"--out={tmp_path}/a").splitlines()
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {
        "figure_4_0000002_map_pca.png",
        "figure_5_encoder_loss.png",
        "figure_6_gan_losses.png",
        "figure_7_0000002_pairs.png",
        "figure_8_collage_baroque.png",
        "figure_8_collage_modern.png",
    }
    assert len(lines) == len(names)
    error = error_in_process(*figures[:2], f"--encoder={folder}/gan", f"--gan={folder}/gan", f"--out={tmp_path}/b")
    assert "is a run of 'mvnet/cdcgan', expected 'mvnet/encoder'" in error


def test_pictures_are_painted_along_a_piece(folder, tmp_path):
    music = folder / "audio" / "modern" / "work0.wav"
    paint = ("synth", "paint", music, f"--bundle={folder}/painter", "--count=3")
    lines = run(*paint, "--seed=1", f"--out={tmp_path}/a").splitlines()
    assert lines[0].startswith("0.00 to 8.91 s")
    assert lines[2].startswith("9.59 to 18.50 s")
    first = [np.asarray(Image.open(tmp_path / "a" / f"work0-{i}.png")) for i in (1, 2, 3)]
    assert all(picture.shape == (64, 64, 3) for picture in first)
    assert np.asarray(Image.open(tmp_path / "a" / "collage.png")).shape[1] >= 6 * 64
    run(*paint, "--seed=1", f"--out={tmp_path}/b")
    np.testing.assert_array_equal(Image.open(tmp_path / "b" / "work0-2.png"), first[1])
    run(*paint, "--seed=2", f"--out={tmp_path}/c")
    assert not np.array_equal(Image.open(tmp_path / "c" / "work0-2.png"), first[1])


def test_pictures_are_refined_after_painting_or_from_a_file(folder, tmp_path):
    music, painter = folder / "audio" / "modern" / "work0.wav", f"--bundle={folder}/painter"
    run("synth", "paint", music, painter, "--count=1", "--refine", f"--out={tmp_path}/a")
    run("synth", "paint", music, painter, "--count=1", f"--out={tmp_path}/b")
    painted = tmp_path / "b" / "work0-1.png"
    run("synth", "refine", painted, painter, "--size=64", f"--out={tmp_path}/refined.png")
    np.testing.assert_array_equal(Image.open(tmp_path / "refined.png"), Image.open(tmp_path / "a" / "work0-1.png"))
    assert not np.array_equal(Image.open(painted), Image.open(tmp_path / "refined.png"))


def test_a_picture_takes_over_the_style_of_an_era_or_of_a_given_one(folder, tmp_path):
    sky = np.linspace([20, 60, 120], [230, 200, 160], 90).astype(np.uint8)[:, None].repeat(100, 1)
    Image.fromarray(sky).save(tmp_path / "sky.jpg")
    refine = ("synth", "refine", tmp_path / "sky.jpg", f"--bundle={folder}/style", "--iterations=5", "--size=64")
    for i, option in enumerate(("--era=modern", f"--style={folder}/images/modern/0.png")):
        line = run(*refine, option, f"--out={tmp_path}/{i}.png")
        before, after = map(float, re.search(r"distance from the style (\S+) -> (\S+) ->", line).groups())
        assert after < before


def test_what_cannot_be_refined_is_one_line(folder, tmp_path):
    picture, style = folder / "images" / "modern" / "0.png", folder / "style"
    without = shutil.copytree(folder / "painter", tmp_path / "without")
    card = json.loads((without / "card.json").read_text())
    del card["parts"]["style"], card["sha256"]
    (without / "card.json").write_text(json.dumps(card))
    paint = ("synth", "paint", folder / "audio" / "modern" / "work0.wav", f"--bundle={without}", "--refine")
    assert "without has no second stage" in error_in_process(*paint, f"--out={tmp_path}/a")
    refine = ("synth", "refine", picture, f"--out={tmp_path}/a.png")
    for options, message in (
        ((f"--bundle={without}",), "without has no second stage, which refines pictures"),
        ((f"--bundle={style}", "--size=100"), "pictures of 100 pixels cannot be refined: choose one of 64, 128, 256"),
        ((f"--bundle={style}", "--era=rococo"), "--era=rococo is unknown: choose one of baroque, modern"),
        ((f"--bundle={style}", "--era=modern", f"--style={picture}"), "expected one of them: leave one out"),
        ((f"--bundle={style}", "--iterations=0"), "iterations=0 must lie between 1 and 100000"),
        ((f"--bundle={style}", "--style=missing.png"), "missing.png: No such file"),
    ):
        assert message in error_in_process(*refine, *options)
    assert not (tmp_path / "a.png").exists()


def test_a_film_has_24_frames_per_second_of_the_piece(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(beats, "track", lambda wave, rate: Beats(60.0, np.arange(1.0, 9.0)))
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(1).standard_normal(9 * 22_050), 22_050)
    paint = ("synth", "paint", tmp_path / "short.wav", f"--bundle={folder}/painter", "--count=1", "--size=96")
    lines = run(*paint, f"--film={tmp_path}/frames", f"--out={tmp_path}/a").splitlines()
    assert lines[-1].startswith("film of 216 frames, 24 per second -> ")
    assert len(list((tmp_path / "frames").iterdir())) == 216
    for path in (tmp_path / "frames" / "000216.png", tmp_path / "a" / "short-1.png"):
        assert np.asarray(Image.open(path)).shape == (96, 96, 3)
    (tmp_path / "frames" / "000001.png").unlink()
    error = error_in_process(*paint, f"--film={tmp_path}/frames", f"--out={tmp_path}/b")
    assert "has frames of another film, such as 000002.png: name another folder" in error
    (tmp_path / "frames" / "000217.png").touch()
    run(*paint, f"--film={tmp_path}/frames", f"--out={tmp_path}/a", "--overwrite")
    assert len(list((tmp_path / "frames").iterdir())) == 216


def test_a_film_that_cannot_be_written_is_one_line(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    paint = ("synth", "paint", folder / "audio" / "modern" / "work0.wav", f"--bundle={folder}/painter")
    error = error_in_process(*paint, f"--film={tmp_path}/film.mp4", f"--out={tmp_path}/a")
    assert "film.mp4 needs ffmpeg, which is not installed: install it, or name a folder" in error
    error = error_in_process(*paint, f"--film={tmp_path}/film.mov", f"--out={tmp_path}/a")
    assert "film.mov ends in .mov: name a file NAME.mp4, or a folder without a suffix" in error
    assert "--size=65 must be even" in error_in_process(*paint, "--size=65", f"--out={tmp_path}/a")
    assert not (tmp_path / "a").exists()


def test_bad_input_is_one_line(folder, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.sin(np.arange(22_050)), 22_050)
    bundle = f"--bundle={folder}/painter"
    error = error_in_process("synth", "paint", tmp_path / "short.wav", bundle, f"--out={tmp_path}/a")
    assert "lasts 1.00 s, expected at least 8.91 s" in error
    error = error_in_process("synth", "paint", tmp_path / "short.wav", bundle, "--count=0", f"--out={tmp_path}/a")
    assert "--count=0 must lie between 1 and 10000" in error
    data = f"--config.data.source={folder}"
    error = error_in_process("train", *GAN, data, f"--workdir={tmp_path}/gan")
    assert "names no encoder" in error
    error = error_in_process("train", *GAN, data, f"--config.encoder={folder}/gan", f"--workdir={tmp_path}/gan")
    assert "is a run of 'mvnet/cdcgan', expected 'mvnet/encoder'" in error


def test_a_piece_of_each_era_is_written(tmp_path):
    assert "5 synthetic pieces" in run("synth", "museum", f"--out={tmp_path}/a", "--composition=1")
    waves = {path.stem: soundfile.read(path)[0] for path in (tmp_path / "a").iterdir()}
    assert set(waves) == {"renaissance", "baroque", "classical", "romantic", "modern"}
    for wave in waves.values():
        assert len(wave) == 6 * 196_465
        assert 0.5 < np.abs(wave).max() <= 1
    assert "--composition=-1 must lie between 0 and 9999" in error_in_process(
        "synth", "museum", f"--out={tmp_path}/b", "--composition=-1"
    )
