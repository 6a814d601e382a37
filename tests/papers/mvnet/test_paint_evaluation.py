"""Figures of generated pictures: of copies, of collapsed ones, and of pictures that follow the music or do not."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_museum import ERAS, make_museum

from specjax.engine import bundle
from specjax.engine.live.values import initial
from specjax.measure.comparison import mean_pairwise_distance
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet import evaluation
from specjax.papers.mvnet.data import Paintings
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.judge import JudgeConfig, JudgeInference, Verdict, open_judge
from specjax.papers.mvnet.judge_task import JudgeTask, draw_noise
from specjax.papers.mvnet.pictures import collage, thumbnails, to_pixels, to_values
from specjax.papers.mvnet.representation import Representation

COUNT = 80
ERA = np.repeat([0, 1], COUNT // 2)


def make_measures(seed=0):
    """Measures of pairs whose generated pictures are as real ones, and as bright as their clips."""
    rng = np.random.default_rng(seed)
    centroid_hz = rng.uniform(500, 2000, COUNT)
    return {
        "clip": np.arange(COUNT),
        "composition": np.arange(COUNT) // 4,
        "picture": np.arange(COUNT),
        "era": ERA,
        "centroid_hz": centroid_hz,
        **{f"{kind}_embedding": rng.normal(size=(COUNT, 5)) + 9 * ERA[:, None] for kind in ("real", "fake", "twin")},
        **{f"{kind}_luminance": centroid_hz / 2000 for kind in ("real", "fake", "twin")},
        "real_guess": ERA,
        "fake_guess": ERA,
        "fake_noise": ERA == 0,
        "twin_guess": ERA,
    }


def test_pictures_as_real_as_real_ones():
    figures = evaluation.summarize(make_measures())
    assert figures["eval/diversity"] == pytest.approx(1, abs=0.1)
    assert figures["eval/diversity_same_music"] == pytest.approx(1, abs=0.15)
    assert figures["eval/follows"] == figures["eval/follows_low"] == pytest.approx(1)
    assert abs(figures["eval/follows_shuffled"]) < 0.05  # 100 draws of 80 clips
    assert figures["eval/judge_accuracy"] == figures["eval/judge_accuracy_real"] == 1
    assert 0.3 < figures["eval/judge_accuracy_shuffled"] < 0.7
    assert figures["eval/judge_noise"] == 0.5
    assert figures["eval/coverage"] > 0.8


def test_one_picture_of_each_era_has_no_diversity():
    measures = make_measures()
    collapsed = measures["real_embedding"][[0, COUNT // 2]][ERA]
    figures = evaluation.summarize(measures | {"fake_embedding": collapsed, "twin_embedding": collapsed})
    assert figures["eval/diversity"] == figures["eval/diversity_worst_era"] == 0
    assert figures["eval/diversity_same_music"] == 0
    assert figures["eval/coverage"] < 0.3


def test_the_same_picture_for_the_same_music_is_diverse_over_the_music_only():
    measures = make_measures()
    figures = evaluation.summarize(measures | {"twin_embedding": measures["fake_embedding"]})
    assert figures["eval/diversity"] > 0.9
    assert figures["eval/diversity_same_music"] == 0


def test_pictures_that_follow_the_era_alone_do_not_follow_the_music():
    measures = make_measures()
    bright = {f"{kind}_luminance": ERA + np.random.default_rng(1).normal(size=COUNT) for kind in ("fake", "twin")}
    figures = evaluation.summarize(measures | bright | {"centroid_hz": measures["centroid_hz"] + 5000 * ERA})
    assert abs(figures["eval/follows"]) < 0.3
    assert figures["eval/follows_low"] < 0 < figures["eval/follows_high"]


def test_a_picture_in_several_pairs_counts_once_and_a_clip_too():
    measures = {name: np.concatenate([x, x[:10]]) for name, x in make_measures().items()}
    figures = evaluation.summarize(measures)
    assert figures["eval/pairs"] == COUNT + 10
    assert figures["eval/pictures"] == COUNT
    assert figures["eval/follows"] == pytest.approx(1)


def test_mean_pairwise_distance_is_that_of_all_pairs():
    points = np.random.default_rng(0).normal(size=(6, 3))
    pairs = [np.linalg.norm(points[i] - points[j]) for i in range(6) for j in range(i)]
    assert mean_pairwise_distance(points) == pytest.approx(np.mean(pairs))
    assert np.isnan(mean_pairwise_distance(points[:1]))


def test_pixels_and_values_are_inverse_and_collages_are_filled_up():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(to_values(jnp.asarray(pixels))), pixels)
    small = thumbnails(to_values(jnp.asarray(pixels))).reshape(7, 16, 16, 3)
    np.testing.assert_allclose(small[2, 3, 5], pixels[2, 12:16, 20:24].mean((0, 1)) / 127.5 - 1, atol=1e-5)
    sheet = collage(pixels, 4)
    assert sheet.shape == (2 + 2 * 66, 2 + 4 * 66, 3)
    assert (sheet[-60:, -60:] == 255).all()


def test_noise_has_the_mean_and_covariance_of_the_pictures_of_an_era():
    """Pictures of two eras, each with a level of its own and a left half that varies with the right one."""
    rng = np.random.default_rng(0)
    level, change = np.repeat([80.0, 160.0], 40).reshape(-1, 1, 1, 1), 15 * rng.normal(size=(80, 1, 1, 1))
    sign = np.where(np.arange(64) < 32, 1.0, -1.0).reshape(1, 1, 64, 1)
    pixels = np.broadcast_to(level + change * sign, (80, 64, 64, 3)).astype(np.uint8)
    paintings = Paintings(pixels, np.repeat([0, 1], 40).astype(np.int32))
    keys = jax.random.split(jax.random.key(0), 200)
    drawn = jax.jit(draw_noise)(keys, paintings, jnp.repeat(jnp.array([1, 0]), 100))
    drawn_pixels = (np.asarray(drawn, float) + 1) * 127.5
    for own, real in ((drawn_pixels[:100], pixels[40:]), (drawn_pixels[100:], pixels[:40])):
        (left, right), (real_left, real_right) = ((x[:, 5, 3, 0], x[:, 60, 60, 2]) for x in (own, real))
        np.testing.assert_allclose([left.mean(), right.mean()], [real_left.mean(), real_right.mean()], atol=5)
        np.testing.assert_allclose([left.std(), right.std()], [real_left.std(), real_right.std()], rtol=0.25)
        assert np.corrcoef(left, right)[0, 1] < -0.95


def test_a_share_of_each_batch_is_noise_of_a_class_of_its_own():
    config = JudgeConfig(MuseumConfig(eras=ERAS, representation=Representation("power")), widths=(4, 4), noise=0.5)
    task, museum = JudgeTask(config), make_museum(0)
    pictures = Paintings(museum.pictures, museum.picture_era)
    batch = jax.jit(task.batch)(pictures, jnp.array([0, 7, 1, 8]), jax.random.key(0))
    np.testing.assert_array_equal(batch.era, [0, 1, 2, 2])
    state = jax.jit(task.init)(jax.random.key(0))
    measures = jax.jit(task.evaluate)(state, pictures, jnp.arange(12), {}, jax.random.key(0))
    figures = task.summarize({name: np.asarray(x) for name, x in measures.items()})
    assert figures["eval/noise"] == np.mean(measures["noise_recognized"])
    with pytest.raises(ValueError, match=r"noise=1.0 must lie in \[0, 1\)"):
        replace(config, noise=1.0)


def test_the_guess_of_a_judge_is_an_era_even_for_what_it_takes_for_noise():
    inference = JudgeInference(JudgeConfig(MuseumConfig(eras=ERAS), noise=0.5))
    verdict = Verdict(jnp.array([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]]), jnp.zeros((2, 1)), ())
    np.testing.assert_array_equal(inference.guess(verdict), [1, 0])
    np.testing.assert_array_equal(inference.is_noise(verdict), [True, False])


def test_a_judge_learns_the_eras_of_pictures_and_opens_from_its_bundle(tmp_path):
    config = JudgeConfig(
        data=MuseumConfig(eras=ERAS, representation=Representation("power")),
        widths=(4, 4),
        optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-2)),
    )
    task, museum = JudgeTask(config), make_museum(0)
    pictures = Paintings(museum.pictures, museum.picture_era)
    state, step = jax.jit(task.init)(jax.random.key(0)), jax.jit(task.step)
    batch = task.batch(pictures, jnp.arange(12), jax.random.key(1))
    losses = []
    for i in range(30):
        state, metrics = step(state, batch, {}, initial(task.live_values(10)), jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.5 * losses[0]
    measures = jax.jit(task.evaluate)(state, pictures, jnp.arange(12), {}, jax.random.key(0))
    figures = task.summarize({name: np.asarray(x) for name, x in measures.items()})
    assert figures["eval/pictures"] == 12
    bundle.save(tmp_path / "b", task.name, task.parts(jax.device_get(state), {}), {})
    inference, variables = open_judge(bundle.load(tmp_path / "b"), "b")
    verdict = jax.jit(inference.judge)(variables, to_values(jnp.asarray(museum.pictures)))
    np.testing.assert_array_equal(verdict.logits.argmax(1), measures["guess"])
