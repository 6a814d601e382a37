"""The encoder's network, updates, figures and bundle."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from tiny_museum import ERAS, make_museum

from specjax.engine import bundle
from specjax.engine.live.values import initial
from specjax.nn.strided_conv import Window, strided_conv
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet import data, separation
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import Encoder, EncoderConfig, EncoderInference, open_encoder
from specjax.papers.mvnet.encoder_task import EncoderTask, gather
from specjax.papers.mvnet.separation import Labeled
from specjax.papers.mvnet.triplets import TripletConfig, mined_loss, triplet_loss

CONFIG = EncoderConfig(
    data=MuseumConfig(eras=ERAS),
    widths=(2, 3),
    optimizer=OptimizerConfig(learning_rate=ScheduleSpec(value=1e-2)),
)


@pytest.fixture(scope="module")
def museums():
    return make_museum(0), make_museum(1)


@pytest.fixture
def examples(museums, monkeypatch):
    """The data of the task."""
    monkeypatch.setattr(data, "load", lambda config: museums)
    return EncoderTask(CONFIG).load()


@pytest.fixture(scope="module", params=["semi_hard", "random"])
def training(request, museums):
    """A task, a batch, the state before and after 12 updates on it, and the losses."""
    task = EncoderTask(replace(CONFIG, triplets=TripletConfig(mining=request.param)))
    batch = task.batch(gather(museums[0]), jnp.array([0, 4, 7, 11]), jax.random.key(1))
    start = state = jax.jit(task.init)(jax.random.key(0))
    step, losses = jax.jit(task.step), []
    for _ in range(12):
        state, metrics = step(state, batch, {}, initial(task.live_values(10)), jax.random.key(2))
        losses.append(float(metrics["loss"]))
    return task, batch, start, state, losses


def test_the_network_is_the_papers():
    variables = jax.eval_shape(EncoderInference(EncoderConfig()).init, jax.random.key(0))["params"]
    assert sum(x.size for x in jax.tree.leaves(variables)) == 11_263_402
    counts = [sum(x.size for x in jax.tree.leaves(variables[f"conv{i}"])) for i in range(1, 7)]
    assert counts == [1568, 32_832, 131_200, 524_544, 2_097_664, 8_389_632]
    assert variables["embedding"]["kernel"].shape == (8192, 10)


def test_the_last_layer_sees_the_mean_and_deviation_over_time_with_pooling():
    network = Encoder(widths=(3,), pooling="moments", embedding=4)
    clips = jnp.asarray(make_museum(0).mel[:2])
    variables = jax.jit(network.init)(jax.random.key(0), clips)
    params, stats = variables["params"], variables["batch_stats"]["norm1"]
    mean, deviation, bias = (
        np.asarray(x).reshape(1, 1, 1, -1)
        for x in (stats["mean"], np.sqrt(stats["var"] + 1e-5), params["conv1"]["bias"])
    )
    maps = np.maximum(
        (strided_conv(clips, params["conv1"]["kernel"], Window((2, 2), (1, 1))) + bias - mean) / deviation, 0
    )
    moments = np.concatenate([maps.mean(axis=2), maps.std(axis=2)], axis=-1).reshape(2, -1)
    expected = moments @ np.asarray(params["embedding"]["kernel"]) + np.asarray(params["embedding"]["bias"])
    np.testing.assert_allclose(jax.jit(network.apply)(variables, clips), expected, rtol=1e-4, atol=1e-4)


def test_updates_reduce_the_loss_and_move_the_statistics(training):
    _, _, start, end, losses = training
    assert losses[-1] < 0.5 * losses[0]
    assert int(end.skipped) == 0
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), start.batch_stats, end.batch_stats)
    assert all(jax.tree.leaves(changed))


def test_the_loss_is_that_of_the_embeddings_in_training(training):
    """Those of random triplets are computed in three passes, each with its own statistics."""
    task, batch, state, _, losses = training
    variables = {"params": state.params, "batch_stats": state.batch_stats}

    @jax.jit
    def embed(mel):
        return task.inference.network.apply(variables, mel, training=True, mutable=["batch_stats"])[0]

    if task.config.triplets.mining == "random":
        expected = triplet_loss(task.config.triplets, *(embed(batch.mel[:, i]) for i in range(3)))
    else:
        expected = mined_loss(task.config.triplets, embed(batch.mel), batch.era)
    assert losses[0] == pytest.approx(float(expected), rel=1e-4)


def test_held_out_clips_come_before_their_known_neighbors(examples, museums):
    train, held_out = museums
    count = len(held_out.clip_era)
    assert (examples.train_count, examples.held_out_count) == (len(train.clip_era), len(train.clip_era) + count)
    np.testing.assert_array_equal(examples.held_out.held_out, np.arange(examples.held_out_count) < count)
    np.testing.assert_array_equal(examples.held_out.mel[count:], train.mel)


def test_evaluation_measures_the_neighbors_of_held_out_clips(examples):
    task = EncoderTask(CONFIG)
    state = jax.jit(task.init)(jax.random.key(0))
    indices = jnp.arange(examples.held_out_count)
    measures = jax.jit(task.evaluate)(state, examples.held_out, indices, {}, jax.random.key(0))
    figures = task.summarize({name: np.asarray(x) for name, x in measures.items()})
    assert figures["eval/clips"] == 12
    assert figures["eval/compositions"] == 4
    assert 0 <= figures["eval/neighbor"] <= 1
    embeddings = np.asarray(measures["embedding"][:12])
    assert figures["eval/silhouette"] == pytest.approx(
        silhouette_score(embeddings, examples.held_out.era[:12]), abs=1e-5
    )


def test_neighbors_and_votes():
    known = Labeled(np.array([[0.0, 0], [10, 0], [20, 0]]), np.array([0, 1, 2]), np.array([0, 1, 2]))
    # The first composition has votes 0, 0, 1; the second 1 and 2; the third 0 and 0.
    points = np.array([[1.0, 0], [2, 0], [9, 0], [11, 0], [19, 0], [0, 1], [0, 2]])
    held_out = Labeled(points, np.array([0, 0, 0, 1, 1, 2, 2]), np.array([5, 5, 5, 6, 6, 7, 7]))
    figures = separation.measure(held_out, known)
    assert figures["eval/neighbor"] == pytest.approx(3 / 7)
    assert figures["eval/neighbor_vote"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["eval/neighbor_worst_era"] == 0
    assert "eval/neighbor" not in separation.measure(held_out, Labeled(*(x[:0] for x in known)))


def test_a_map_of_the_held_out_clips_is_a_sample(examples):
    task = EncoderTask(CONFIG)
    sample = task.sample(
        jax.device_get(jax.jit(task.init)(jax.random.key(0))), examples.held_out, {}, jax.random.key(0)
    )
    assert set(sample.pictures) == {"map_pca", "map_tsne"}
    assert all(len(np.unique(picture.reshape(-1, 3), axis=0)) > 3 for picture in sample.pictures.values())


def test_an_exported_encoder_opens_again(examples, tmp_path):
    task = EncoderTask(CONFIG)
    state = jax.device_get(jax.jit(task.init)(jax.random.key(0)))
    bundle.save(tmp_path / "b", task.name, task.parts(state, {}), {})
    inference, variables = open_encoder(bundle.load(tmp_path / "b"), "b")
    assert inference.config == CONFIG
    mel = examples.held_out.mel[:5]
    expected = jax.jit(inference.embed)({"params": state.params, "batch_stats": state.batch_stats}, mel)
    np.testing.assert_allclose(inference.embed_in_batches(variables, mel, 3), expected, rtol=1e-4, atol=1e-5)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match="1 to 7 convolutions"):
        EncoderConfig(widths=())
