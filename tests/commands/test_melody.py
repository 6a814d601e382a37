"""Commands with music: train GANs and a judge, evaluate, export, synth melody and its figures, as a user would."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.conftest import make_once
from commands.run import error_in_process, read_log, run_in_process
from specjax.papers.melody.studies import embedding, rows, sounds
from specjax.signal.inversion import Inversion

RATE = 22050
MUSIC = ("--config.data.genres=('jazz','pop')", "--config.data.synthetic_tracks=3", "--config.data.hop_s=10.0")
SMALL = ("--config.batch_size=4", "--config.eval_every=0", "--config.log_every=1", "--config.steps=4")
NARROW = ("--config.model.width=8", "--config.model.discriminator_width=8", "--config.model.block_depth=0")
GAN = ("--config=gan:tiny", *NARROW, *MUSIC, *SMALL)
TRANSFORMER = ("--config=melody_transformer:tiny", *MUSIC, *SMALL)
IMAGES = ("--config=gan_images", "--config.batch_size=2", "--config.steps=1", "--config.log_every=1")
JUDGE = ("--config=judge_genre:tiny", "--config.widths=(8,8)", *MUSIC, *SMALL)


def run(*arguments):
    done = run_in_process(*arguments)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def judge(shared_folder):
    """Bundle of a judge of two genres."""

    def make(folder):
        run("train", *JUDGE, f"--workdir={folder}/run")
        run("export", f"--workdir={folder}/run", f"--out={folder}/bundle")

    return make_once(shared_folder / "judge", make) / "bundle"


@pytest.fixture(scope="module")
def gan(judge, shared_folder):
    """Folder with a finished run of a GAN of two genres, and its bundle."""

    def make(folder):
        run("train", *GAN, f"--config.judge={judge}", f"--workdir={folder}/run")
        run("export", f"--workdir={folder}/run", f"--out={folder}/bundle")

    return make_once(shared_folder / "gan", make)


@pytest.fixture(scope="module")
def transformer(shared_folder):
    """Bundle of a transformer of two genres."""

    def make(folder):
        run("train", *TRANSFORMER, f"--workdir={folder}/run")
        run("export", f"--workdir={folder}/run", f"--out={folder}/bundle")

    return make_once(shared_folder / "transformer", make) / "bundle"


@pytest.fixture(scope="module")
def images(shared_folder):
    """Folder with pictures of a genre, a finished run of a GAN that draws such pictures, and its bundle."""

    def make(folder):
        (folder / "data" / "images_original" / "pop").mkdir(parents=True)
        for i in range(5):
            noise = Image.effect_noise((432, 288), 64).convert("RGBA")
            noise.save(folder / "data" / "images_original" / "pop" / f"pop0000{i}.png")
        run("train", *IMAGES, f"--config.data.source={folder}/data", f"--workdir={folder}/run")
        run("export", f"--workdir={folder}/run", f"--out={folder}/bundle")

    return make_once(shared_folder / "images", make)


def test_training_leaves_a_picture_and_sounds(gan):
    (folder,) = (gan / "run" / "samples").iterdir()
    assert {path.name for path in folder.iterdir()} >= {"generated.png", "jazz.wav", "pop.wav"}


def test_evaluation_reports_figures_of_the_judge(gan):
    figures = json.loads(run("evaluate", f"--workdir={gan}/run", "--examples=0").stdout.splitlines()[-1])
    assert figures["eval/clips"] == 6  # one held-out track of each genre, with three clips
    for name in ("eval/judge_accuracy", "eval/judge_accuracy_real", "eval/coverage", "eval/auc"):
        assert 0 <= figures[name] <= 1


def test_a_piece_of_each_genre_and_a_grid(gan, tmp_path):
    done = run("synth", "melody", f"--bundle={gan}/bundle", "--duration=2", f"--out={tmp_path}/a")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["jazz-1", "pop-1"]
    assert {path.name for path in (tmp_path / "a").glob("*.png")} == {"grid.png", "jazz-1.png", "pop-1.png"}
    wave, rate = soundfile.read(tmp_path / "a" / "pop-1.wav")
    assert rate == RATE
    assert len(wave) == pytest.approx(2 * RATE, abs=512)
    assert 0 < np.abs(wave).max() <= 1


@pytest.mark.long  # papers/melody/test_pieces.py has longer pieces
def test_longer_pieces_and_morphs(gan, tmp_path):
    melody = ("synth", "melody", f"--bundle={gan}/bundle")
    for out, options, duration_s in (("default", (), 10), ("longer", ("--duration=12.5",), 12.5)):
        run(*melody, "--genre=pop", *options, f"--out={tmp_path}/{out}")
        assert len(soundfile.read(tmp_path / out / "pop-1.wav")[0]) == pytest.approx(duration_s * RATE, abs=512)
    done = run(*melody, "--morph=jazz,pop", "--count=2", f"--out={tmp_path}/b")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["jazz-pop-1", "jazz-pop-2"]


@pytest.mark.long  # papers/melody/test_pieces.py has loops
def test_a_loop_has_whole_columns(gan, tmp_path):
    run("synth", "melody", f"--bundle={gan}/bundle", "--genre=pop", "--duration=4", "--loop", f"--out={tmp_path}/a")
    loop = soundfile.read(tmp_path / "a" / "pop-1.wav")[0]
    assert len(loop) % (16 * 512) == 0
    assert len(loop) == pytest.approx(4 * RATE, abs=8 * 512)


@pytest.mark.long  # its parts are tested in papers/melody/test_melody_transformer.py
def test_pieces_of_a_transformer_are_reproducible(transformer, tmp_path):
    melody = ("synth", "melody", f"--bundle={transformer}", "--duration=2", "--seed=5")
    for out in ("a", "b"):
        run(*melody, "--genre=pop", f"--out={tmp_path}/{out}")
    a, b = (soundfile.read(tmp_path / out / "pop-1.wav")[0] for out in ("a", "b"))
    assert len(a) == pytest.approx(2 * RATE, abs=512)
    assert (tmp_path / "a" / "pop-1.png").read_bytes() == (tmp_path / "b" / "pop-1.png").read_bytes()
    assert np.corrcoef(a, b)[0, 1] > 0.99  # the reconstruction of phases may amplify rounding
    done = run(*melody, "--morph=jazz,pop", "--count=2", f"--out={tmp_path}/c")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["jazz-pop-1", "jazz-pop-2"]
    error = error_in_process(*melody, "--loop", f"--out={tmp_path}/d")
    assert "writes no loops: omit --loop" in error


def test_a_judge_writes_no_music(judge, tmp_path):
    error = error_in_process("synth", "melody", f"--bundle={judge}", f"--out={tmp_path}/a")
    assert "is a bundle of 'melody/judge', expected 'melody/gan' or 'melody/transformer'" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--genre=polka",), "genre 'polka' is unknown: choose from jazz, pop"),
        (("--morph=jazz",), "--morph names 1 genres, expected two"),
        (("--count=0",), "--count=0 must be at least 1"),
        (("--duration=0.5",), "--duration=0.5 must lie between 1 and 600"),
        (("--seed=-1",), "--seed=-1 must lie between 0 and"),
    ],
)
def test_unusable_options_are_one_line(gan, arguments, message, tmp_path):
    error = error_in_process("synth", "melody", f"--bundle={gan}/bundle", *arguments, f"--out={tmp_path}/a")
    assert message in error
    assert not (tmp_path / "a").exists()


@pytest.fixture
def cheap(monkeypatch):
    """The table of generators without what takes long, of which other tests are."""
    quick = Inversion("griffin_lim", ("zero",), iterations=1, mel_steps=0)
    ranks = {"pieces": [0.5], "loops": [0.5]}
    monkeypatch.setattr(embedding, "train_and_test", lambda *_: 0.5)
    monkeypatch.setattr(sounds, "CLIPS", 1)
    monkeypatch.setattr(sounds, "INVERSION", quick)
    monkeypatch.setattr(rows, "INVERSION", quick)
    monkeypatch.setattr(rows, "PIECE_S", 15.0)
    monkeypatch.setattr(rows, "record", lambda: None)
    monkeypatch.setattr(rows, "rank_recordings", lambda _: ranks)
    monkeypatch.setattr(rows, "rank_joined", lambda _: ranks)
    monkeypatch.setattr(rows, "measure_limits", lambda: {"pieces": 0.9, "loops": 0.9})


@pytest.mark.long  # papers/melody/test_music_table.py has the parts
def test_the_table_of_generators_has_control_rows_and_is_not_computed_again(gan, judge, cheap, tmp_path):
    data = ("--config.data.synthetic_tracks=6", "--config.data.held_out_share=0.34")
    models = (f"--bundles=tiny={gan}/bundle", f"--runs=tiny={gan}/run", f"--judge={judge}", "--examples=6")
    arguments = ("music", *GAN, *data, *models, f"--workdir={tmp_path}/studies")
    done = run("study", *arguments)
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert names == ["", "real", "copies", "moment-matched noise", "tiny"]
    assert "N = 6 clips" in done.stdout
    again = run("study", *arguments)
    assert again.stdout == done.stdout
    assert "tiny: embedding" in done.stderr
    assert "tiny: embedding" not in again.stderr


def test_a_table_of_unusable_models_is_one_line(gan, judge, tmp_path):
    music = ("study", "music", *GAN, f"--workdir={tmp_path}/studies")
    generator = f"--bundles=tiny={gan}/bundle"
    for arguments, message in (
        ((generator,), "--judge is missing"),
        ((f"--judge={judge}", f"--bundles={gan}/bundle"), "expected NAME=FOLDER"),
        ((f"--judge={judge}", f"--bundles=a={judge}"), "expected 'melody/gan'"),
        ((f"--judge={judge}", generator, f"--runs=other={gan}/run"), "--runs names 'other', which is not in --bundles"),
        ((f"--judge={judge}", f"--bundles=copies={gan}/bundle"), "which is a control row"),
    ):
        assert message in error_in_process(*music, *arguments)


def test_a_judge_of_other_genres_is_an_error(judge, tmp_path):
    others = ("--config.data.genres=('rock','pop')", "--config.data.synthetic_tracks=2")
    error = error_in_process(
        "train", "--config=gan:tiny", *others, f"--config.judge={judge}", *SMALL, f"--workdir={tmp_path}/run"
    )
    assert "knows the genres jazz, pop, expected rock, pop" in error


def test_pictures_are_drawn_without_sounds(images, tmp_path):
    assert [path.name for path in images.glob("run/samples/*/*")] == ["generated.png"]
    measured = {name: value for line in read_log(images / "run") for name, value in line.items()}
    assert measured["train/generator/skipped"] == measured["train/discriminator/skipped"] == 0
    assert (measured["eval/pictures"], "eval/auc" in measured) == (1, True)
    melody = ("melody", f"--bundle={images}/bundle")
    done = run("synth", *melody, "--genre=pop", "--count=2", f"--out={tmp_path}/a")
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"pop-1.png", "pop-2.png", "grid.png"}
    assert np.asarray(Image.open(tmp_path / "a" / "pop-2.png")).shape == (288, 432, 4)
    assert done.stderr.splitlines()[-1] == "no sounds: the colors of a picture cannot be turned back to sound"
    error = error_in_process("synth", *melody, "--loop", f"--out={tmp_path}/b")
    assert "draws pictures of a fixed size: omit --morph, --loop and --duration" in error


def test_a_picture_of_another_size_is_one_line(tmp_path):
    (tmp_path / "data" / "pop").mkdir(parents=True)
    for i in range(2):
        Image.new("RGBA", (432, 200)).save(tmp_path / "data" / "pop" / f"{i}.png")
    error = error_in_process("train", *IMAGES, f"--config.data.source={tmp_path}/data", f"--workdir={tmp_path}/run")
    assert "0.png is 200 pixels high and 432 wide, expected 288 and 432 as in the public set: resize it" in error


def test_figures_of_finished_runs(gan, images, tmp_path):
    done = run("synth", "melody_figures", f"--runs={gan}/run,{images}/run", f"--out={tmp_path}/a")
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {
        "figure_5_real_spectrogram.png",
        "figure_6_real_picture.png",
        "figure_8_real_wave.png",
        *(f"residual_{kind}.png" for kind in ("spectrogram", "wave", "losses")),
        *(f"images_{kind}.png" for kind in ("picture", "losses")),
    }
    assert len(done.stdout.splitlines()) == len(names)
    for name in names:
        assert np.asarray(Image.open(tmp_path / "a" / name).convert("RGB")).std() > 0, f"{name} is blank"
    real = np.asarray(Image.open(tmp_path / "a" / "figure_6_real_picture.png"))
    held_out = Image.open(images / "data" / "images_original" / "pop" / "pop00004.png")
    np.testing.assert_array_equal(real, np.asarray(held_out))


def test_runs_that_cannot_be_shown_are_one_line(gan, images, judge, tmp_path):
    for runs, message in (
        (f"{images}/run", "generates pictures without sound: name a run of a generator of music as well"),
        (f"{gan}/run,{gan}/run", "are both of approach 'residual': leave one out"),
        (f"{judge.parent}/run", "is a run of melody/judge, expected one of melody/gan, "),
        (f"{tmp_path}/none", "none"),
    ):
        assert message in error_in_process("synth", "melody_figures", f"--runs={runs}", f"--out={tmp_path}/a")
    error = error_in_process("synth", "melody_figures", f"--runs={gan}/run", "--genre=polka", f"--out={tmp_path}/a")
    assert "genre 'polka' is unknown: choose from jazz, pop" in error


def write_tracks(folder, genre, wave, rate=RATE):
    """Write two tracks of a genre; of two tracks, one is held out."""
    (folder / genre).mkdir(parents=True)
    for i in range(2):
        soundfile.write(folder / genre / f"{genre}.0000{i}.wav", wave, rate)


NOISE = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE)


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (None, RATE, "has the genres jazz, but not 'pop' of data.genres: use other data, or other genres"),
        (NOISE[: 2 * RATE], RATE, "pop.00000.wav lasts 2.0 s, expected at least 10.0: use longer tracks, or remove it"),
        (0 * NOISE, RATE, "none of 2 tracks of the genre 'pop' can be used; the first: "),
        # The sample rate is no problem, the number of clips is.
        (NOISE[: 10 * 16000], 16000, "there are 2 training examples, fewer than batch_size=4: add examples, or lower"),
    ],
    ids=["missing_genre", "short", "silent", "few_clips"],
)
def test_unusable_music_is_one_line(wave, rate, message, tmp_path):
    write_tracks(tmp_path / "music", "jazz", NOISE)
    if wave is not None:
        write_tracks(tmp_path / "music", "pop", wave, rate)
    error = error_in_process("train", *GAN, f"--config.data.source={tmp_path}/music", f"--workdir={tmp_path}/run")
    assert message in error


def test_a_folder_of_pictures_is_one_line(tmp_path):
    for genre in ("jazz", "pop"):
        (tmp_path / "music" / genre).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "music" / genre / "a.png")
    error = error_in_process("train", *GAN, f"--config.data.source={tmp_path}/music", f"--workdir={tmp_path}/run")
    assert "contains no sound files" in error
