"""The synthetic museum: works can be told apart by era, and music and pictures vary together inside an era."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from specjax.papers.mvnet.data import load, resolve
from specjax.papers.mvnet.dataset import ERAS, MuseumConfig
from specjax.papers.mvnet.features import measure_music, measure_pictures
from specjax.papers.mvnet.museum import music, pictures
from specjax.papers.mvnet.museum.attributes import PICTURES, clip_attributes, clip_of_picture
from specjax.papers.mvnet.museum.styles import STYLES
from specjax.papers.mvnet.representation import CLIP_SAMPLES, Representation, to_level_db

COMPOSITIONS, SEGMENTS = 4, 2
CLIPS = SEGMENTS * COMPOSITIONS
CONFIG = MuseumConfig(
    synthetic_compositions=COMPOSITIONS,
    synthetic_segments=SEGMENTS,
    held_out_share=0.25,
    representation=Representation("power"),
)


@pytest.fixture(scope="module")
def museum():
    return load(CONFIG)


@jax.jit
@jax.vmap
def attributes(era, clip):
    return clip_attributes(era, clip, SEGMENTS)


@jax.jit
@jax.vmap
def source(era, picture):
    return clip_of_picture(era, picture, CLIPS)


def test_sizes_are_those_of_the_config(museum):
    train, held_out = museum
    for side, compositions in ((train, 3), (held_out, 1)):
        clips = SEGMENTS * compositions
        assert np.bincount(side.clip_era).tolist() == [clips] * 5
        assert np.bincount(side.picture_era).tolist() == [PICTURES * clips] * 5
        assert len(set(side.composition)) == 5 * compositions
        assert side.pairs.shape == (5 * PICTURES * clips, 2)
    assert not set(train.composition) & set(held_out.composition)


def test_works_can_be_told_apart_by_era(museum):
    spectra = [np.asarray(to_level_db(jnp.asarray(side.mel))).mean(axis=(2, 3)) for side in museum]
    pixels = [side.pictures.reshape(len(side.pictures), -1) / 255 for side in museum]
    for (known, unknown), eras in ((spectra, "clip_era"), (pixels, "picture_era")):
        era, truth = (getattr(side, eras) for side in museum)
        nearest = np.linalg.norm(unknown[:, None] - known, axis=-1).argmin(axis=1)
        assert np.mean(era[nearest] == truth) > 0.6  # by chance: 0.2


def test_features_follow_the_attributes_inside_each_era(museum):
    train, _ = museum
    heard, seen = measure_music(jnp.asarray(train.mel)), measure_pictures(jnp.asarray(train.pictures))
    brightness, light = [], []
    for era in range(5):
        clips, shown = train.clip_era == era, train.picture_era == era
        of_clips = attributes(jnp.full(sum(clips), era), jnp.arange(sum(clips)))
        of_pictures = attributes(jnp.full(sum(shown), era), source(jnp.full(sum(shown), era), jnp.arange(sum(shown))))
        brightness.append(spearmanr(heard.centroid_hz[clips], of_clips.brightness)[0])
        light.append(spearmanr(seen.luminance[shown], of_pictures.brightness)[0])
    assert min(brightness) > 0.5
    assert np.mean(brightness) > 0.8
    assert min(light) > 0.8


def test_each_clip_has_as_many_pictures_with_its_attributes():
    for era in (0, 4):
        clip = np.asarray(source(jnp.full(PICTURES * CLIPS, era), jnp.arange(PICTURES * CLIPS)))
        assert np.bincount(clip).tolist() == [PICTURES] * CLIPS
        assert not np.array_equal(np.sort(clip), clip)


def test_picture_depends_on_its_number_and_not_on_its_neighbors(museum):
    train, _ = museum
    era, number = np.arange(64) % 5, np.arange(64)[::-1] // 5
    drawn = np.asarray(pictures.draw(jnp.asarray(era), jnp.asarray(number), clips=CLIPS, segments=SEGMENTS, size=64))
    for i in (0, 3, 63):
        np.testing.assert_array_equal(drawn[i], train.pictures[np.flatnonzero(train.picture_era == era[i])[number[i]]])


def test_waves_have_the_length_of_a_clip_and_the_same_peak():
    era, clip = jnp.arange(8, dtype=jnp.int32) % 5, jnp.arange(8, dtype=jnp.int32)
    waves = np.asarray(music.synthesize(era, clip, SEGMENTS))
    assert waves.shape == (8, CLIP_SAMPLES)
    np.testing.assert_allclose(np.abs(waves).max(axis=1), 0.8, rtol=0.02)


def test_all_eras_have_a_style_and_a_painter():
    assert tuple(STYLES) == tuple(pictures.PAINTERS) == ERAS


def test_resolved_config_standardizes_the_training_clips(museum):
    config = resolve(replace(CONFIG, representation=Representation("log")))
    assert config.eras == ERAS
    assert resolve(config) == config
    train, held_out = load(config)
    np.testing.assert_allclose(train.mel.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(train.mel.std(axis=(0, 2, 3)), 1, atol=1e-3)
    power = jnp.asarray(museum[1].mel)
    decoded = config.representation.decode(jnp.asarray(held_out.mel))
    np.testing.assert_allclose(np.asarray(to_level_db(decoded)), np.asarray(to_level_db(power)), atol=0.01)
    assert not train.mel.flags.writeable
