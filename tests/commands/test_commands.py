"""Commands train, evaluate, export, synth and bench, run as a user would."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from commands.run import SMALL, error_in_process, run, run_in_process
from specjax.cli.config import config_names, load


def test_train_writes_log_contact_sheet_sounds_and_tensorboard(trained_run):
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert all(np.isfinite(line["train/loss"]) for line in lines)
    samples = trained_run / "samples" / "0000012"
    assert (samples / "contact_sheet.png").is_file()
    assert len(list(samples.glob("*.wav"))) == 10
    assert list((trained_run / "tensorboard").glob("events*"))


def test_finished_run_resumes_without_training(trained_run, tmp_path):
    workdir = shutil.copytree(trained_run, tmp_path / "run")
    log = (workdir / "metrics.jsonl").read_text()
    done = run_in_process("train", *SMALL, "--config.steps=12", "--config.checkpoint_every=6", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "resumed at step 12" in done.stderr
    assert (workdir / "metrics.jsonl").read_text() == log


def test_last_line_of_evaluate_is_one_json_object(trained_run):
    done = run_in_process("evaluate", f"--workdir={trained_run}", "--examples=20")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["step"] == 12
    assert summary["eval/examples"] == 20
    assert 0 <= summary["eval/exact_notes"] <= 1


def test_bundle_without_its_run_gives_equal_sounds_on_one_and_three_devices(cache, trained_run, bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    arguments = ("chord", f"--bundle={copy}", "--digit=4", "--digit=7", "--duration=0.5", "--sample_rate=22050")
    for devices in ("1", "3"):
        out = tmp_path / f"out{devices}"
        done = run(cache, "synth", *arguments, f"--out={out}", JAX_NUM_CPU_DEVICES=devices)
        assert done.returncode == 0, done.stderr
        wave, rate = soundfile.read(out / "digit_4.wav")
        assert (len(wave), rate) == (11025, 22050)
        assert np.abs(wave).max() == pytest.approx(1.0, abs=1e-3)
        with Image.open(out / "digit_7.png") as picture:
            assert picture.size[0] > 500
    sounds = [(tmp_path / f"out{devices}" / "digit_4.wav").read_bytes() for devices in "13"]
    assert sounds[0] == sounds[1]


def test_synth_uses_the_bundle_that_comes_with_the_package(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("specjax.cli.shipped.FOLDER", bundle.parent)
    done = run_in_process("synth", "chord", "--digit=4", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "digit_4.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("chord", "--digit=4", "--out={}/out"), "unet"),
        (("melody", "--out={}/out"), "gan"),
        (("paint", "{}/a.wav", "--out={}/out"), "cdcgan"),
        (("refine", "{}/a.png", "--out={}/b.png"), "style"),
        (("classify", "{}/a.wav"), "classifier"),
        (("panels", "--content={}/a.wav", "--style={}/a.wav", "--out={}/out"), "classifier"),
    ],
)
def test_bundle_of_a_subcommand_is_required_unless_one_comes_with_the_package(tmp_path, monkeypatch, arguments, name):
    monkeypatch.setattr("specjax.cli.shipped.FOLDER", tmp_path)
    soundfile.write(tmp_path / "a.wav", np.zeros(22050), 22050)
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    command = ("synth", *(word.format(tmp_path) for word in arguments))
    assert error_in_process(*command).startswith("error: the following arguments are required: --bundle")
    (tmp_path / name).mkdir()
    (tmp_path / name / "card.json").write_text("{}")
    assert f"{name}/card.json is of format None" in error_in_process(*command)


def test_synth_chord_takes_pictures_and_fits_other_sizes(bundle, tmp_path):
    large = np.full((90, 70), 255, np.uint8)
    large[20:70, 30:38] = 10  # dark stroke on white paper
    Image.fromarray(large).save(tmp_path / "stroke.png")
    small = np.zeros((28, 28), np.uint8)
    small[4:24, 12:16] = 255
    Image.fromarray(small).save(tmp_path / "o,ne.png")
    out = tmp_path / "out"
    plain = run_in_process("synth", "chord", f"--bundle={bundle}", f"--picture={tmp_path}/o,ne.png", f"--out={out}")
    assert plain.returncode == 0, plain.stderr
    fitted = run_in_process(
        "synth", "chord", f"--bundle={bundle}", f"--picture={tmp_path}/stroke.png", "--fit", f"--out={out}"
    )
    assert fitted.returncode == 0, fitted.stderr
    assert re.match(r"stroke: \d \(\d+%\), [A-G]#?[34] major -> ", fitted.stdout)
    assert "stroke: read as" in fitted.stderr, "the network was trained for a few steps only"
    assert {path.name for path in out.iterdir()} == {"o,ne.wav", "o,ne.png", "stroke.wav", "stroke.png"}


def test_bench_prints_json_lines_and_table_and_writes_plot(tmp_path):
    plot = tmp_path / "bench.png"
    names = ("targets", "step")
    arguments = ("--rounds=1", "--repeats=2", f"--benchmarks={','.join(names)}", f"--plot={plot}")
    done = run_in_process("bench", *SMALL, *arguments)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["benchmark"] for row in rows] == list(names)
    assert all(row["items_per_s"] > 0 and 0 < row["share_of_roofline"] < 1.5 for row in rows)
    assert "specjax speedup" in done.stdout
    assert plot.stat().st_size > 1000


@pytest.mark.long  # a process for each batch size and number of devices
def test_bench_sweeps_batch_and_devices(cache):
    done = run(
        cache, "bench", *SMALL, "--rounds=1", "--repeats=1", "--benchmarks=targets", "--sweep=batch:4,8", "--devices=2"
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(row["batch"], row["devices"]) for row in rows] == [(4, 2), (8, 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmarks=juggling",), "--benchmarks=juggling is unknown: choose from targets"),
        (("--sweep=warp:1,2",), "--sweep=warp:1,2 must be batch:N"),
        (("--sweep=batch:0,2",), "numbers from 1 up are expected"),
        (("--devices=two",), "--devices=two: numbers from 1 up"),
        (("--peers_dir=nowhere",), "--peers_dir=nowhere is not a folder"),
        (("--plot=nowhere/plot.png",), "must be a .png in a folder that exists"),
    ],
)
def test_bad_options_of_bench(arguments, message):
    assert message in error_in_process("bench", *SMALL, *arguments)


@pytest.mark.parametrize("name", config_names())
def test_every_config_builds_its_task(name):
    from specjax import papers

    if name == "signal":  # It has benchmarks only, and no task.
        return
    config, task = papers.build(load(name).to_dict())
    assert config.steps > 0
    assert task.name


def test_wheel_includes_the_configs():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parent.parent.parent / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"configs": "specjax/configs"}
