"""The GAN's task: batches, the frozen encoder, updates, figures, collages, and the exported bundle."""

from dataclasses import asdict, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from tiny_museum import ERAS, make_museum

from specjax.cli.errors import UserError
from specjax.engine import bundle, program
from specjax.engine.config import TrainConfig
from specjax.engine.live.values import LiveValues, initial
from specjax.engine.task import Part
from specjax.nn.adversarial import PenaltyConfig
from specjax.optim.optimizer import OptimizerConfig
from specjax.optim.schedules import ScheduleSpec
from specjax.papers.mvnet import data
from specjax.papers.mvnet.augment import AugmentConfig
from specjax.papers.mvnet.conditions import ConditionConfig, ConditionStatistics, compute_conditions
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.features import measure_music
from specjax.papers.mvnet.inference import GanInference, find_starts, load_encoder, open_painter
from specjax.papers.mvnet.model import ModelConfig
from specjax.papers.mvnet.pictures import to_pixels
from specjax.papers.mvnet.representation import CLIP_SAMPLES, Representation, clip_mel
from specjax.papers.mvnet.task import GanTask, balance, choose_clips, fade_in
from stops import assert_resumes_with_the_same_bits

POWER = MuseumConfig(eras=ERAS, representation=Representation("power"))
ENCODER = EncoderConfig(data=POWER, widths=(2, 2), embedding=3)
# The gradient of the discriminator's last bias is 0 but for rounding, which a smaller epsilon would blow up.
OPTIMIZER = OptimizerConfig(learning_rate=ScheduleSpec(value=1e-3), b1=0.0, epsilon=1e-3)
CONFIG = GanConfig(
    data=POWER,
    model=ModelConfig(widths=(4, 4), latents=3, features=6),
    condition=ConditionConfig(
        0.5, True, ConditionStatistics((0.0, 0.0, 0.0), 1.0, (10.0, 2.0), (0.5, 4.0)), 0.1, fade_from=0.1, fade_to=0.3
    ),
    balanced=True,
    loss="relativistic",
    penalty=PenaltyConfig("difference", ScheduleSpec(value=0.1)),
    augment=AugmentConfig(0.2, 0.125, 0.5),
    generator=replace(OPTIMIZER, ema_decay=0.9),
    discriminator=OPTIMIZER,
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Folder of the bundle of an encoder."""
    folder = tmp_path_factory.mktemp("bundles") / "encoder"
    variables = jax.jit(EncoderInference(ENCODER).init)(jax.random.key(5))
    bundle.save(folder, "mvnet/encoder", {"encoder": Part(jax.device_get(variables), asdict(ENCODER))}, {})
    return str(folder)


@pytest.fixture(scope="module")
def museums():
    """Training and held-out works, with mel power."""
    return tuple(m._replace(mel=np.abs(m.mel)) for m in (make_museum(0), make_museum(1)))


@pytest.fixture(scope="module")
def task(encoder):
    return GanTask(replace(CONFIG, encoder=encoder))


@pytest.fixture(scope="module")
def examples(task, museums):
    """The data of the task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda config: museums)
        return task.load()


@pytest.fixture(scope="module")
def training(task, examples):
    """States before and after three updates, and the metrics of the last."""
    start = state = jax.jit(task.init)(jax.random.key(0))
    batch = task.batch(examples.train, jnp.arange(4), jax.random.key(1))
    step = jax.jit(task.step)
    for _ in range(3):
        state, metrics = step(state, batch, task.frozen(), initial(task.live_values(10)), jax.random.key(2))
    return start, state, metrics


def test_clips_are_replaced_by_their_conditions_and_brightness(task, examples, museums):
    for gallery, museum in zip((examples.train, examples.held_out), museums, strict=True):
        inference, variables = task.encoder
        expected = jax.jit(partial(compute_conditions, CONFIG.condition, inference))(variables, museum.mel)
        np.testing.assert_allclose(gallery.condition, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gallery.centroid_hz, measure_music(jnp.asarray(museum.mel)).centroid_hz, rtol=1e-5)
        assert len(gallery.museum.mel) == 0
    assert (examples.train_count, examples.held_out_count) == (2 * len(museums[0].pairs), len(museums[1].pairs))


def test_a_batch_has_the_pictures_and_conditions_of_its_pairs(task, examples):
    plain = GanTask(replace(task.config, balanced=False))
    count, museum = len(examples.train.museum.pairs), examples.train.museum
    batch = plain.batch(examples.train, jnp.array([3, count + 17]), jax.random.key(0))
    for i, pair in enumerate((3, 17)):
        clip, picture = museum.pairs[pair]
        pixels = museum.pictures[picture] if i == 0 else museum.pictures[picture][:, ::-1]
        np.testing.assert_allclose(batch.values[i], pixels / 127.5 - 1, atol=1e-6)
        np.testing.assert_allclose(batch.condition[i], examples.train.condition[clip], rtol=1e-6)
        assert int(batch.group[i].argmax()) == museum.clip_era[clip]


def test_eras_take_turns_in_balanced_batches(examples):
    museum = examples.train.museum
    drawn = np.asarray(balance(museum, 2, jnp.zeros(400, int), jax.random.key(0), mirror=True))
    assert set(drawn) == set(range(2 * len(museum.pairs)))
    clips = museum.pairs[drawn % len(museum.pairs), 0]
    np.testing.assert_array_equal(museum.clip_era[clips], np.arange(400) % 2)
    plain = np.asarray(balance(museum, 2, jnp.zeros(400, int), jax.random.key(0), mirror=False))
    np.testing.assert_array_equal(plain, drawn % len(museum.pairs))


def test_the_condition_is_faded_in():
    strengths = [float(fade_in(CONFIG.condition, step, 100)) for step in (0, 10, 20, 30, 99)]
    np.testing.assert_allclose(strengths, [0, 0, 0.5, 1, 1], atol=1e-6)
    live = GanTask(CONFIG).live_values(100)["condition"]
    assert float(live.schedule(20)) == pytest.approx(0.5)
    assert "condition" not in GanTask(replace(CONFIG, condition=ConditionConfig())).live_values(100)


def test_both_networks_are_trained_and_the_encoder_is_not(task, training):
    start, end, metrics = training
    for old, new in ((start.generator, end.generator), (start.discriminator, end.discriminator)):
        assert int(new.skipped) == 0
        assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.any(a != b)), old.params, new.params)))
    assert set(task.frozen()) == {"encoder"}
    shapes = {x.shape for x in jax.tree.leaves(end)}
    assert not shapes & {x.shape for x in jax.tree.leaves(task.frozen()["encoder"]["params"]) if x.ndim == 4}
    assert all(np.isfinite(float(metrics[name])) for name in ("spread", "auc", "generator.loss", "discriminator.loss"))


def test_a_generator_with_one_picture_of_each_era_has_collapsed(task, examples):
    batch = task.batch(examples.train, jnp.arange(8), jax.random.key(1))
    collapsed = batch.values[jnp.arange(8) % 2]
    spread = float(task.compare(collapsed, batch)["spread"])
    assert any("has collapsed" in line for line in task.alarms({"auc": 0.6, "spread": spread}))
    assert task.alarms({"auc": 0.6, "spread": float(task.compare(batch.values, batch)["spread"])}) == ()


def test_evaluation_measures_held_out_pairs(task, examples, training):
    indices = jnp.arange(examples.held_out_count)
    measures = jax.jit(task.evaluate)(training[1], examples.held_out, indices, task.frozen(), jax.random.key(0))
    figures = task.summarize({name: np.asarray(x) for name, x in measures.items()})
    assert figures["eval/pairs"] == examples.held_out_count
    assert figures["eval/pictures"] == len(examples.held_out.museum.pictures)
    assert figures["eval/diversity"] > 0
    assert figures["eval/follows_low"] <= figures["eval/follows"] <= figures["eval/follows_high"]
    assert 0 <= figures["eval/precision"] <= 1


def test_collages_have_six_pictures_after_each_of_six_clips(task, examples, training):
    museum = examples.held_out.museum
    np.testing.assert_array_equal(choose_clips(museum, 1), np.arange(6) + 6)
    assert len(set(museum.composition[choose_clips(museum, 1)][:3])) == 1
    sample = task.sample(
        jax.device_get(training[1]), examples.held_out, jax.device_get(task.frozen()), jax.random.key(0)
    )
    assert set(sample.pictures) == {"pairs", *(f"collage_{era}" for era in ERAS)}
    picture = sample.pictures["collage_modern"]
    assert min(picture.shape[:2]) >= 6 * 64


def test_an_exported_painter_needs_no_other_bundle(task, training, tmp_path):
    state = jax.device_get(training[1])
    parts = task.parts(state, jax.device_get(task.frozen()))
    bundle.save(tmp_path / "b", task.name, parts, {})
    painter = open_painter(bundle.load(tmp_path / "b"), "b")
    assert painter.networks.config.encoder == ""
    jax.tree.map(np.testing.assert_array_equal, painter.generator, {"params": state.generator.ema_params})
    waves = 0.1 * np.random.default_rng(0).standard_normal((3, CLIP_SAMPLES)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 3)
    pixels = painter.paint(waves, keys)
    assert pixels.shape == (3, 64, 64, 3)
    compute = jax.jit(partial(compute_conditions, CONFIG.condition, task.encoder.inference))
    conditions = compute(task.encoder.variables, clip_mel(jnp.asarray(waves)))
    latents = task.inference.draw_latents(keys)
    expected = jax.jit(task.inference.generate)(task.generator_variables(state), latents, conditions)
    np.testing.assert_allclose(pixels.astype(int), to_pixels(expected), atol=1)
    np.testing.assert_allclose(painter.paint(waves[1:2], keys[1:2])[0].astype(int), pixels[1], atol=1)
    with pytest.raises(UserError, match="expected \\['encoder', 'generator'\\]"):
        open_painter(bundle.load(tmp_path / "b")._replace(parts={"generator": parts["generator"]}), "b")


def test_a_bundle_of_a_config_that_does_not_know_features_has_none(encoder, tmp_path):
    networks = GanInference(replace(CONFIG, condition=ConditionConfig()), ENCODER.embedding)
    card = asdict(networks.config)
    del card["condition"]["features"], card["condition"]["statistics"]
    shapes = jax.eval_shape(networks.init_generator, jax.random.key(0))
    generator = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
    parts = {
        "generator": Part(generator, card),
        "encoder": Part(load_encoder(encoder, ERAS).variables, asdict(ENCODER)),
    }
    bundle.save(tmp_path / "b", "mvnet/cdcgan", parts, {})
    painter = open_painter(bundle.load(tmp_path / "b"), "b")
    assert painter.networks == networks
    jax.tree.map(np.testing.assert_array_equal, painter.generator, generator)


def test_pictures_are_placed_along_the_piece():
    np.testing.assert_array_equal(find_starts(CLIP_SAMPLES + 100, 5, "a.wav"), [0, 25, 50, 75, 100])
    np.testing.assert_array_equal(find_starts(CLIP_SAMPLES, 2, "a.wav"), [0, 0])
    with pytest.raises(UserError, match=r"a.wav lasts 1.00 s, expected at least 8.91 s"):
        find_starts(22_050, 2, "a.wav")


def test_a_training_needs_an_encoder(encoder, tmp_path):
    with pytest.raises(UserError, match="names no encoder"):
        load_encoder("", ERAS)
    bundle.save(tmp_path / "b", "mvnet/judge", {"judge": Part({"x": np.ones(1)}, {})}, {})
    with pytest.raises(UserError, match="is a bundle of 'mvnet/judge', expected 'mvnet/encoder'"):
        load_encoder(str(tmp_path / "b"), ERAS)
    with pytest.raises(UserError, match="knows the eras baroque, modern, expected modern, baroque: name a model"):
        load_encoder(encoder, ERAS[::-1])


@pytest.mark.long
def test_one_and_four_devices_give_the_same_losses(task, examples, mesh):
    settings, losses = TrainConfig(steps=3, batch_size=8, eval_every=0), []
    for count in (1, 4):
        small = Mesh(mesh.devices.flat[:count].reshape(1, count), mesh.axis_names, axis_types=mesh.axis_types)
        with jax.set_mesh(small):
            inputs = program.place(examples.train, task.frozen(), task, small)
            run = program.init(task, settings, small)
            live = LiveValues(task.live_values(3), small)(0, 1)
            update = program.compile_update(task, settings, small, examples.train_count, run, inputs, live)
            found = []
            for _ in range(3):
                run, outputs = update(run, inputs, live)
                found.append([outputs.metrics[f"{name}.loss"] for name in ("generator", "discriminator")])
        losses.append(np.asarray(jax.device_get(found)))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


@pytest.mark.long
def test_a_resumed_run_ends_with_the_same_bits(task, museums, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "load", lambda config: museums)
    settings = TrainConfig(steps=3, batch_size=4, eval_every=0, sample_every=0, steps_per_dispatch=1)
    assert_resumes_with_the_same_bits(task, settings, tmp_path)


@pytest.mark.long
def test_the_papers_networks_are_trained(encoder, examples):
    task = GanTask(GanConfig(data=POWER, encoder=encoder, approach="paper", paper_divisor=8, generator=OPTIMIZER))
    state = jax.jit(task.init)(jax.random.key(0))
    batch = task.batch(examples.train, jnp.arange(4), jax.random.key(1))
    new, metrics = jax.jit(task.step)(state, batch, {}, initial(task.live_values(10)), jax.random.key(2))
    assert all(int(network.skipped) == 0 for network in new)
    changed = jax.tree.map(
        lambda a, b: bool(np.any(a != b)), state.discriminator.batch_stats, new.discriminator.batch_stats
    )
    assert all(jax.tree.leaves(changed))
    assert 0.4 < float(metrics["discriminator.loss"]) < 2
