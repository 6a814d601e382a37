"""Benchmarks of the mvnet paper: what they compute, operation counts, and the networks of the peers."""

import jax
import jax.numpy as jnp
import pytest

from specjax.benchmark.training import adversarial_flops
from specjax.cli.config import load
from specjax.cli.errors import UserError
from specjax.nn.adversarial import PenaltyConfig
from specjax.papers.mvnet import benchmarks
from specjax.papers.mvnet.config import GanConfig

TINY = {"widths": [8, 8, 8], "latents": 4, "features": 8}


def tiny_config():
    config = load("cdcgan:tiny").to_dict()
    return config | {"model": config["model"] | TINY}


@pytest.mark.parametrize("name", [pytest.param("painting_step", marks=pytest.mark.long), "painting"])
def test_benchmarks_of_the_config_return_finite_results(name):
    benchmark = benchmarks.build(name, tiny_config(), 4)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(benchmark.call()))
    assert benchmark.items == 4
    assert min(benchmark.flops, benchmark.bytes_moved) > 0


@pytest.mark.long
@pytest.mark.parametrize("name", ["encoder_step", "cdcgan_step"])
def test_benchmarks_of_the_papers_networks_return_finite_results(name):
    benchmark = benchmarks.build(name, tiny_config(), 4)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(benchmark.call()))
    assert benchmark.items == 4


def test_the_encoder_benchmark_is_right_about_its_operations():
    """Six convolutions and a linear layer. XLA does not count the products with padding."""
    sizes, widths = [(64 >> i, 128 >> i) for i in range(6)], (3, 32, 64, 128, 256, 512, 1024)
    convolutions = sum(
        2 * 16 * height * width * a * b for (height, width), a, b in zip(sizes, widths[:-1], widths[1:], strict=True)
    )
    task = benchmarks.EncoderTask(benchmarks._ENCODER)
    variables = jax.eval_shape(task.inference.init, jax.random.key(0))
    counted = benchmarks.count_flops(task.inference.embed, variables, jnp.zeros((1, 128, 256, 3)))
    assert counted == pytest.approx(convolutions + 2 * 8192 * 10, rel=0.15)


@pytest.mark.parametrize(
    ("penalty", "loss", "expected"),
    [("none", "least_squares", 4 * 5 + 8 * 7), ("difference", "relativistic", 4 * 5 + 15 * 7)],
)
def test_operations_of_an_update_are_sums_of_forward_passes(penalty, loss, expected):
    assert adversarial_flops(GanConfig(penalty=PenaltyConfig(penalty), loss=loss), 5.0, 7.0) == expected


def test_a_config_of_another_task_is_an_error():
    with pytest.raises(UserError, match="expected a config of 'mvnet/cdcgan'"):
        benchmarks.build("painting", load("encoder:tiny").to_dict(), 1)


def test_pytorch_peers_have_the_parameter_counts_of_the_paper():
    pytest.importorskip("torch")
    from benchmarks.peers.mvnet_encoder import make_encoder
    from benchmarks.peers.mvnet_gan import make_networks

    counts = [sum(p.numel() for p in network.parameters()) for network in (make_encoder(), *make_networks())]
    assert counts == [11_263_402, 8_114_037, 7_496_385]
