"""Benchmarks of training and of the melody paper: what they train, operation counts, and the peer's networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.peers import signal_mel
from engine.toy import ToyTask
from engine.toy_ensemble import MODELS, ToyEnsemble
from specjax.benchmark.timing import Benchmark
from specjax.benchmark.tones import make_tones
from specjax.benchmark.training import benchmark_training
from specjax.cli.config import load
from specjax.cli.errors import UserError
from specjax.engine.config import TrainConfig
from specjax.papers.melody import benchmarks
from specjax.papers.melody.representation import FRAMES, MELS, SAMPLE_RATE, Representation

TINY = {
    "model": {"width": 4, "discriminator_width": 4, "whole_latents": 3, "local_latents": 4},
    "data": {"genres": ["jazz", "pop"]},
}


def tiny_config():
    config = load("gan:tiny").to_dict()
    return config | {name: config[name] | values for name, values in TINY.items()}


def test_a_call_makes_all_updates_of_a_dispatch_in_every_run():
    task, config = ToyTask(), TrainConfig(steps=9, batch_size=4, steps_per_dispatch=3)
    benchmark = benchmark_training(task, config, task.load(), 5.0, 7.0, runs=2)
    assert benchmark.items == 2 * 3 * 4
    assert benchmark.flops == 24 * 5.0
    assert benchmark.bytes_moved == 24 * 7.0 + 2 * 3 * 32.0 * 4  # four parameters
    first, second = benchmark.call(), benchmark.call()
    for before, after in zip(first, second, strict=True):
        assert before["loss"].shape == (3,)
        assert float(after["loss"][-1]) < float(before["loss"][0])


def test_items_of_an_ensemble_are_the_examples_of_all_models():
    task = ToyEnsemble()
    benchmark = benchmark_training(task, TrainConfig(steps=9, batch_size=4), task.load(), 1.0, 0.0)
    assert benchmark.items == MODELS * 4
    assert benchmark.bytes_moved == 32.0 * MODELS * 4


@pytest.mark.parametrize(
    ("name", "genres", "runs"),
    [("gan_step", 1, 1), ("gan_step_10", 10, 1), ("gan_step_10_in_turn", 1, 10), ("residual_step", 10, 1)],
)
def test_training_benchmarks_train_the_networks_in_their_name(name, genres, runs, monkeypatch):
    calls, empty = [], Benchmark(lambda: None, 0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def fake_step(config, train_config, *, runs=1):
        calls.append((config, train_config, runs))
        return empty

    monkeypatch.setattr(benchmarks, "training_step", fake_step)
    benchmarks.build(name, load("gan").to_dict(), 0)
    ((config, train_config, found_runs),) = calls
    assert (len(config.data.genres), found_runs, train_config.batch_size) == (genres, runs, 10)
    assert config.approach == ("residual" if name == "residual_step" else "relu")
    assert config.ensemble == (name == "gan_step_10")


@pytest.mark.parametrize("name", [pytest.param("residual_step", marks=pytest.mark.long), "mel_making", "synthesis"])
def test_benchmarks_return_finite_results(name):
    benchmark = benchmarks.build(name, tiny_config(), 4)
    result = benchmark.call()
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(result))
    assert benchmark.items == 4
    assert min(benchmark.flops, benchmark.bytes_moved) > 0
    if name != "residual_step":
        assert result.shape == (4, MELS, FRAMES)
        assert benchmark.audio_s == 10


@pytest.mark.long
def test_synthesis_with_sound_returns_waves():
    assert benchmarks.build("synthesis_sound", tiny_config(), 2).call().shape == (2, 10 * SAMPLE_RATE)


def test_configs_of_other_tasks_are_an_error():
    with pytest.raises(UserError, match="expected a config of 'melody/gan'"):
        benchmarks.build("gan_step", load("judge_genre:tiny").to_dict(), 1)


def test_flops_of_the_papers_networks_match_a_sum_over_layers_by_hand():
    generator = 256 * 100 * 64 + 20 * 16 * 16 * 64 * 32 + 20 * 32 * 48 * 32 * 16 + 16 * 64 * 144 * 16
    discriminator = 16 * 64 * 144 * 64 + 20 * 32 * 48 * 64 * 32 + 20 * 16 * 16 * 32 * 16 + 256 * 16
    assert benchmarks.paper_flops("relu") == (2.0 * generator, 2.0 * discriminator)
    # Forward passes and gradients of all kernels and inputs, except in the discriminator's part in the generator's
    # update, which needs no gradients of kernels.
    assert benchmarks.step_flops(benchmarks._PAPER) == 2.0 * (4 * generator + 2 * 3 * discriminator + 2 * discriminator)


def test_librosa_peer_makes_the_same_mel_spectrogram():
    """Both are logarithms of mel power: to base 10, scaled and shifted, and natural."""
    ours = benchmarks.mel_making(4).call()[0]
    power = np.exp(signal_mel.log_mel(make_tones(4, 10.0, SAMPLE_RATE)[0])) - 1e-5
    expected = Representation(statistics=benchmarks._STATISTICS).encode(jnp.asarray(np.maximum(power, 0)))
    np.testing.assert_allclose(ours, expected, atol=0.05)


def test_pytorch_peer_has_the_parameter_counts_of_the_papers_networks():
    pytest.importorskip("torch")
    from benchmarks.peers.melody_gan import make_networks

    counts = [sum(p.numel() for p in network.parameters()) for network in make_networks()]
    assert counts == [1_690_081, 56_545]
