"""Tests of benchmarks: operation counts, turns, speedups, and peers that compute the same."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.peers import chord_sound, chord_targets, signal_mel, signal_phase
from specjax.benchmark import report, roofline
from specjax.benchmark.report import Program
from specjax.benchmark.timing import Benchmark
from specjax.benchmark.tones import make_tones
from specjax.cli.config import load
from specjax.papers.chord import benchmarks as chord_benchmarks
from specjax.papers.chord import conditioning
from specjax.papers.chord.conditioning import Conditioning
from specjax.papers.chord.model import UNet, UNetConfig
from specjax.papers.texture import benchmarks as texture_benchmarks
from specjax.papers.texture import network_benchmarks
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
def test_unet_flops_match_the_count_of_the_compiler(config):
    """The count of XLA also includes biases, activations, and its own form of the transposed convolutions."""
    net = UNet(config, 112, 56)
    digits = jnp.zeros((1, 28, 28))
    params = jax.eval_shape(net.init, jax.random.key(0), digits)
    counted = jax.jit(net.apply).lower(params, digits).compile().cost_analysis()["flops"]
    assert chord_benchmarks.unet_flops(config, 112, 56) == pytest.approx(counted, rel=0.25)


def test_unet_flops_match_a_sum_over_layers_by_hand():
    """The sum counts the multiply-adds of each layer of `UNetConfig()`, the network of the authors."""
    fine = 784 * 9 * (64 + 2 * 64**2 + 128 * 64 + 2 * 64**2)
    middle = 196 * 9 * (64 * 128 + 2 * 128**2 + 256 * 128 + 2 * 128**2)
    coarse = 49 * 9 * (128 * 256 + 256**2)
    upsampled = 16 * (49 * 256 * 128 + 196 * 128 * 64)
    head = 784 * 9 * 64 + 1008 * 84 * 84 + 1008 * 84 * 1008
    assert chord_benchmarks.unet_flops(UNetConfig(), 1008, 1008) == 2.0 * (fine + middle + coarse + upsampled + head)


def test_roofline_measures_plausible_speeds():
    machine = roofline.measure()
    assert 1e8 < machine.flops_per_s < 1e15
    assert 1e8 < machine.bytes_per_s < 1e14
    assert machine.seconds(machine.flops_per_s, 0.0) == pytest.approx(1)
    assert machine.seconds(0.0, machine.bytes_per_s) == pytest.approx(1)


def make_rows(*times_ms, batch=2):
    return [{"ms_per_step": t, "items_per_s": 1e3 * batch / t, "batch": batch, "peak_mem_mb": 5.0} for t in times_ms]


def test_speedups_are_computed_within_each_round():
    """A slow round slows down both sides, so that the ratio is 4 in every round."""
    assert report.compute_speedups(make_rows(10.0, 20.0, 10.0), make_rows(40.0, 80.0, 40.0)) == (4, 4, 4)
    assert report.compute_speedups(make_rows(10.0, 10.0), [*make_rows(20.0), {"error": "gone"}]) == (2, 2, 2)
    assert report.compute_speedups(make_rows(1.0), [{"error": "gone"}]) is None


def test_table_has_a_line_for_every_program():
    programs = [Program("targets", name, []) for name in ("specjax", "plain scipy", "tuned")]
    turns = [make_rows(1.0, 2.0), make_rows(10.0, 10.0), [{"error": "no such module"}] * 2]
    text = report.format_table(programs, turns)
    assert "7.5x (5-10)" in text
    assert "audio" not in text
    audio_rows = [{**row, "audio_s_per_s": 5 * row["items_per_s"], "convergence_db": -31.25} for row in turns[0]]
    audio_lines = report.format_table(programs[:2], [audio_rows, turns[1]]).splitlines()
    assert "conv. dB" in audio_lines[0]
    assert " -31.2 " in audio_lines[1]
    assert " 1000 " in audio_lines[2], "the peer processes 200 items of 5 s per second"
    assert "did not run: no such module" in text


def test_programs_take_turns(tmp_path):
    log = tmp_path / "log"
    script = (
        f"import sys; open({str(log)!r}, 'a').write(sys.argv[1]); print('noise'); print('{{\"ms_per_step\": 1.5}}')"
    )
    programs = [Program("targets", name, [sys.executable, "-c", script, name]) for name in "ab"]
    programs.append(Program("targets", "c", [sys.executable, "-c", "raise SystemExit('broken')"]))
    turns = report.take_turns(programs, 3)
    assert log.read_text() == "ababab"
    assert turns[0] == [{"ms_per_step": 1.5, "benchmark": "targets", "peer": "a"}] * 3
    assert turns[2][0]["error"] == "broken"


def test_interrupt_keeps_only_complete_rounds(monkeypatch):
    calls = iter(range(9))

    def run(program):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return {"ms_per_step": 1.0, "benchmark": program.benchmark, "peer": program.name}

    monkeypatch.setattr(report, "run", run)
    programs = [Program("targets", name, []) for name in "ab"]
    assert [len(rows) for rows in report.take_turns(programs, 3)] == [1, 1]


def test_plot_is_saved_as_an_image(tmp_path):
    from PIL import Image

    programs = [Program("targets", name, []) for name in ("specjax", "plain scipy")]
    report.save_plot(programs, [make_rows(1.0, 2.0), make_rows(10.0, 12.0)], tmp_path / "plot.png")
    assert np.asarray(Image.open(tmp_path / "plot.png")).std() > 10


def test_benchmarks_with_a_tuned_peer_run_by_default():
    for module in (chord_benchmarks, texture_benchmarks):
        assert all(info.default for info in module.INFO.values() if info.tuned)


def test_step_benchmark_uses_the_head_and_losses_in_its_name(monkeypatch):
    calls, empty = [], Benchmark(lambda: None, 0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def fake_step(task, train_config):
        calls.append((task.config, train_config))
        return empty

    monkeypatch.setattr(chord_benchmarks, "step", fake_step)
    for head in chord_benchmarks.HEADS:
        for losses in chord_benchmarks.MIXES:
            chord_benchmarks.build(f"step_{head}_{losses}", load("unet:small").to_dict(), 2)
            config, train_config = calls.pop()
            assert (config.model.head, config.loss, config.columns) == (head, chord_benchmarks.MIXES[losses], 0)
            assert (train_config.batch_size, train_config.steps_per_dispatch) == (2, 1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if i.default else pytest.mark.long)
        for n, i in texture_benchmarks.INFO.items()
        if n not in network_benchmarks.INFO
    ],
)
def test_signal_benchmarks_return_finite_results_for_every_clip(name):
    config = {"task": "texture/signal", "mel_s": 0.5, "phase_s": 0.25, "iterations": 2, "refinements": 2}
    benchmark = texture_benchmarks.build(name, config, 4)
    result = benchmark.call()
    assert (result.shape[0], benchmark.items) == (4, 4)
    assert bool(jnp.all(jnp.isfinite(jnp.abs(result))))
    assert min(benchmark.flops, benchmark.bytes_moved, benchmark.audio_s) > 0
    assert (benchmark.convergence_db is None) == (name in ("mel", "mel_100", "stft"))
    assert benchmark.convergence_db is None or benchmark.convergence_db(result) < -5


@pytest.mark.parametrize("name", network_benchmarks.INFO)
def test_network_benchmarks_return_finite_results(name):
    config = {"networks": {"widths": (8, 4), "filters": 8, "duration_s": 0.5}}
    benchmark = texture_benchmarks.build(name, config, 2)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(benchmark.call()))
    assert min(benchmark.flops, benchmark.bytes_moved) > 0


@pytest.mark.parametrize("name", ["stft", "istft", "griffin_lim"])
def test_librosa_peer_returns_the_same_shapes_and_convergence(name, monkeypatch):
    monkeypatch.setattr(signal_phase, "ITERATIONS", 2)
    waves = make_tones(4, 1.0, 22050)
    peer = signal_phase.make_benchmark(name, waves)()
    benchmark = texture_benchmarks.build(name, {"phase_s": 1.0, "iterations": 2}, 4)
    assert benchmark.call().shape == peer.shape
    if benchmark.convergence_db:
        level_db, peer_level_db = benchmark.convergence_db(jnp.asarray(peer)), signal_phase.convergence_db(peer, waves)
        assert max(level_db, -80) == pytest.approx(max(peer_level_db, -80), abs=0.01)


def test_librosa_peer_computes_the_same_mel_spectrogram():
    wave = (0.1 * np.random.default_rng(0).standard_normal(22050)).astype(np.float32)
    ours = spectrogram(jnp.asarray(wave), PRESETS["melodygan"]).values
    np.testing.assert_allclose(ours, signal_mel.log_mel(wave), atol=2e-3)


def test_scipy_peer_computes_the_same_targets():
    """The clean target is multiplied by the noise of the peer, since the random numbers of the two differ."""
    digit = np.random.default_rng(0).random((28, 28))
    peer = chord_targets.make_target(digit, 4, np.random.default_rng(7))
    c = Conditioning()
    clean = conditioning.target(
        conditioning.operators(c), c, jnp.asarray(digit, jnp.float32), jnp.int32(4), jnp.int32(0), None
    )
    noise = chord_targets.perlin_noise(np.random.default_rng(7)) + 20.0
    expected = np.asarray(clean) * (noise / noise.max())
    np.testing.assert_allclose(peer / peer.max(), expected / expected.max(), atol=1e-5)


def test_numpy_peer_synthesizes_the_same_sound(monkeypatch):
    """Both interpolate levels linearly: specjax between the borders of columns, the peer between their centers."""
    rng = np.random.default_rng(0)
    level = np.zeros((1008, 1008))
    level[100:110] = 0.5 + 0.4 * np.sin(np.arange(1008) / 90)
    phases = rng.uniform(0, 2 * np.pi, 1008)
    increment = oscillators.phase_increment(np.arange(1008.0), 44100)
    ours = oscillators.additive_synthesis(
        jnp.asarray(level, jnp.float32), increment, jnp.asarray(phases, jnp.float32), 44100
    )
    peer = chord_sound.synthesize(level, phases)
    np.testing.assert_allclose(ours, peer, atol=2e-3 * np.abs(peer).max())


def test_pytorch_peer_has_the_parameter_count_of_the_authors_network():
    pytest.importorskip("torch")
    from benchmarks.peers.chord_unet import make_network

    assert sum(p.numel() for p in make_network().parameters()) == 2_722_753
