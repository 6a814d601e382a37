"""The bench: counts of operations, turns, ratios, and peers that do the same work."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.peers import chord_sound, chord_targets, signal_mel, signal_phase
from specjax.benchmark import report, roofline
from specjax.benchmark.clips import tones
from specjax.benchmark.report import Program
from specjax.benchmark.timing import Benchmark
from specjax.cli.config import load
from specjax.papers.chord import benchmarks as chord
from specjax.papers.chord import conditioning
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.model import UNet, UNetConfig
from specjax.papers.texture import benchmarks as texture
from specjax.signal import oscillators
from specjax.signal.presets import PRESETS, spectrogram


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(widths=(8, 16, 32)),
        UNetConfig(widths=(8, 16, 32), head="rows", depth=2),
        UNetConfig(widths=(16, 16, 16), skips=False, bottleneck_depth=1),
    ],
)
def test_operations_of_a_forward_pass_are_those_the_compiler_counts(config):
    """Against XLA's own count, which also has the small change: biases, activations, and its form of doubling."""
    net = UNet(config, 112, 56)
    digits = jnp.zeros((1, 28, 28))
    params = net.init(jax.random.key(0), digits)
    counted = jax.jit(net.apply).lower(params, digits).compile().cost_analysis()["flops"]
    assert chord.unet_flops(config, 112, 56) == pytest.approx(counted, rel=0.25)


def test_the_authors_network_needs_what_its_layers_say():
    """Sum by hand over the layers of `UNetConfig()`, in millions of multiply-adds."""
    fine = 784 * 9 * (64 + 2 * 64**2 + 128 * 64 + 2 * 64**2)
    middle = 196 * 9 * (64 * 128 + 2 * 128**2 + 256 * 128 + 2 * 128**2)
    coarse = 49 * 9 * (128 * 256 + 256**2)
    doubled = 16 * (49 * 256 * 128 + 196 * 128 * 64)
    head = 784 * 9 * 64 + 1008 * 84 * 84 + 1008 * 84 * 1008
    assert chord.unet_flops(UNetConfig(), 1008, 1008) == 2.0 * (fine + middle + coarse + doubled + head)


def test_the_machines_floor_is_a_speed():
    machine = roofline.measure()
    assert 1e8 < machine.flops_per_s < 1e15
    assert 1e8 < machine.bytes_per_s < 1e14
    assert machine.seconds(machine.flops_per_s, 0.0) == pytest.approx(1)
    assert machine.seconds(0.0, machine.bytes_per_s) == pytest.approx(1)


def rows(*times, batch=2):
    return [{"ms_per_step": t, "items_per_s": 1e3 * batch / t, "batch": batch, "peak_mem_mb": 5.0} for t in times]


def test_ratios_are_within_a_round():
    """A slow round slows both sides: the ratio of medians would say 2, every round says 4."""
    assert report.ratios(rows(10.0, 20.0, 10.0), rows(40.0, 80.0, 40.0)) == (4, 4, 4)
    assert report.ratios(rows(10.0, 10.0), [*rows(20.0), {"error": "gone"}]) == (2, 2, 2)
    assert report.ratios(rows(1.0), [{"error": "gone"}]) is None


def test_a_table_tells_of_every_program():
    programs = [Program("targets", name, []) for name in ("specjax", "plain scipy", "tuned")]
    turns = [rows(1.0, 2.0), rows(10.0, 10.0), [{"error": "no such module"}] * 2]
    text = report.table(programs, turns)
    assert "7.5x (5-10)" in text
    assert "audio" not in text
    sounding = [[{**row, "audio_s_per_s": 5 * row["items_per_s"], "convergence_db": -31.25} for row in turns[0]]]
    heard = report.table(programs[:2], [*sounding, turns[1]]).splitlines()
    assert "near dB" in heard[0]
    assert " -31.2 " in heard[1]
    assert " 1000 " in heard[2], "seconds of theirs: 200 items of 5 s"
    assert "did not run: no such module" in text


def test_programs_take_turns(tmp_path):
    log = tmp_path / "log"
    script = (
        f"import sys; open({str(log)!r}, 'a').write(sys.argv[1]); print('noise'); print('{{\"ms_per_step\": 1.5}}')"
    )
    programs = [Program("work", name, [sys.executable, "-c", script, name]) for name in "ab"]
    programs.append(Program("work", "c", [sys.executable, "-c", "raise SystemExit('broken')"]))
    turns = report.take_turns(programs, 3)
    assert log.read_text() == "ababab"
    assert turns[0] == [{"ms_per_step": 1.5, "work": "work", "peer": "a"}] * 3
    assert turns[2][0]["error"] == "broken"


def test_interrupted_it_goes_by_whole_rounds(monkeypatch):
    ran = iter(range(9))

    def run(program):
        if next(ran) == 3:
            raise KeyboardInterrupt
        return {"ms_per_step": 1.0, "work": program.work, "peer": program.name}

    monkeypatch.setattr(report, "run", run)
    programs = [Program("work", name, []) for name in "ab"]
    assert [len(rows) for rows in report.take_turns(programs, 3)] == [1, 1]


def test_the_plot_is_a_picture(tmp_path):
    from PIL import Image

    programs = [Program("targets", name, []) for name in ("specjax", "plain scipy")]
    report.plot(programs, [rows(1.0, 2.0), rows(10.0, 12.0)], tmp_path / "plot.png")
    assert np.asarray(Image.open(tmp_path / "plot.png")).std() > 10


def test_benchmarks_with_a_tuned_peer_run_by_default():
    for paper in (chord, texture):
        assert all(info.default for info in paper.INFO.values() if info.tuned)


def test_a_step_is_of_the_head_and_losses_that_its_name_says(monkeypatch):
    asked, nothing = [], Benchmark(lambda: None, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    monkeypatch.setattr(chord, "step", lambda task, train_config: asked.append((task.config, train_config)) or nothing)
    for head in chord.HEADS:
        for losses in chord.MIXES:
            chord.build(f"step_{head}_{losses}", load("unet:small").to_dict(), 2)
            config, timed = asked.pop()
            assert (config.model.head, config.loss, config.columns) == (head, chord.MIXES[losses], 0)
            assert (timed.batch_size, timed.steps_per_dispatch) == (2, 1)


def test_every_work_of_the_signal_floor_is_done():
    """Short clips: what comes out is finite and of as many clips as went in."""
    config = {"task": "texture/signal", "mel_s": 0.5, "phase_s": 0.25, "iterations": 2, "refinements": 2}
    for name in texture.INFO:
        work = texture.build(name, config, 4)
        result = work.call()
        assert (result.shape[0], work.items) == (4, 4), name
        assert bool(jnp.all(jnp.isfinite(jnp.abs(result)))), name
        assert min(work.flops, work.moved, work.audio_s) > 0
        assert (work.convergence_db is None) == (name in ("mel", "mel_100", "stft"))
        assert work.convergence_db is None or work.convergence_db(result) < -5, name


@pytest.mark.parametrize("name", ["stft", "istft", "griffin_lim"])
def test_librosas_transforms_are_the_same_work(name, monkeypatch):
    monkeypatch.setattr(signal_phase, "ITERATIONS", 2)
    waves = tones(4, 1.0, 22050)
    theirs = signal_phase.task(name, waves)()
    work = texture.build(name, {"phase_s": 1.0, "iterations": 2}, 4)
    assert work.call().shape == theirs.shape
    if work.convergence_db:
        ours, of_theirs = work.convergence_db(jnp.asarray(theirs)), signal_phase.convergence_db(theirs, waves)
        assert max(ours, -80) == pytest.approx(max(of_theirs, -80), abs=0.01)


def test_librosas_mel_spectrogram_is_the_same_work():
    wave = (0.1 * np.random.default_rng(0).standard_normal(22050)).astype(np.float32)
    ours = spectrogram(jnp.asarray(wave), PRESETS["melodygan"]).values
    np.testing.assert_allclose(ours, signal_mel.log_mel(wave), atol=2e-3)


def test_the_plain_targets_are_the_same_work():
    """Our clean target under the peer's noise, for the random numbers of the two differ."""
    digit = np.random.default_rng(0).random((28, 28))
    peer = chord_targets.target(digit, 4, np.random.default_rng(7))
    c = Conditioning()
    clean = conditioning.target(
        conditioning.operators(c), c, jnp.asarray(digit, jnp.float32), jnp.int32(4), jnp.int32(0), None
    )
    noise = chord_targets.perlin(np.random.default_rng(7)) + 20.0
    expected = np.asarray(clean) * (noise / noise.max())
    np.testing.assert_allclose(peer / peer.max(), expected / expected.max(), atol=1e-5)


def test_the_plain_sound_is_the_same_work(monkeypatch):
    """Both hold levels in straight lines; ours from border to border of the columns, the peer from centre to centre."""
    rng = np.random.default_rng(0)
    level = np.zeros((1008, 1008))
    level[100:110] = 0.5 + 0.4 * np.sin(np.arange(1008) / 90)
    phases = rng.uniform(0, 2 * np.pi, 1008)
    increment = oscillators.phase_increment(np.arange(1008.0), 44100)
    ours = oscillators.additive_synthesis(
        jnp.asarray(level, jnp.float32), increment, jnp.asarray(phases, jnp.float32), 44100
    )
    peer = chord_sound.sound(level, phases)
    np.testing.assert_allclose(ours, peer, atol=2e-3 * np.abs(peer).max())


def test_the_plain_network_is_the_authors():
    pytest.importorskip("torch")
    from benchmarks.peers.chord_unet import network

    assert sum(p.numel() for p in network().parameters()) == 2_722_753
