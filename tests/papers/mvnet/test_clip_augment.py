"""Augmentation of clips of music: what each part changes, and what it keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_museum import ERAS, make_museum

from specjax.papers.mvnet.clip_augment import ClipAugmentConfig, augment_clip
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig
from specjax.papers.mvnet.encoder_task import EncoderTask, gather
from specjax.papers.mvnet.representation import Representation, Statistics
from specjax.papers.mvnet.triplets import TripletConfig

DEVIATION_DB = np.linspace(2, 4, 128, dtype=np.float32).reshape(128, 1, 1)
CLIP = np.random.default_rng(0).normal(size=(128, 256, 3)).astype(np.float32)


def augment(seed=0, **strengths):
    return np.asarray(
        augment_clip(jax.random.key(seed), jnp.asarray(CLIP), ClipAugmentConfig(**strengths), jnp.asarray(DEVIATION_DB))
    )


def in_order_of_time(clip):
    """The thirds of a clip after each other."""
    return np.concatenate([clip[..., i] for i in range(3)], axis=1)


def test_the_default_changes_nothing():
    np.testing.assert_array_equal(augment(), CLIP)
    assert not ClipAugmentConfig().changes_clips


def test_a_shift_in_time_is_cyclic_over_the_whole_clip():
    shifted, whole = in_order_of_time(augment(time_shift=True)), in_order_of_time(CLIP)
    frames = int(np.argmin([np.abs(np.roll(whole, i, axis=1) - shifted).max() for i in range(768)]))
    assert frames > 0
    np.testing.assert_array_equal(shifted, np.roll(whole, frames, axis=1))


def test_a_change_of_level_is_the_same_in_db_in_all_bands():
    change_db = (augment(max_gain_db=6.0) - CLIP) * DEVIATION_DB
    assert 0 < abs(change_db.mean()) <= 6
    np.testing.assert_allclose(change_db, change_db.mean(), atol=1e-4)


def test_a_tilt_is_linear_in_the_band_and_keeps_the_middle():
    change_db = (augment(max_tilt_db=6.0) - CLIP) * DEVIATION_DB
    np.testing.assert_allclose(change_db[0], -change_db[-1], atol=1e-4)
    np.testing.assert_allclose(change_db[:, 0, 0], np.linspace(change_db[0, 0, 0], change_db[-1, 0, 0], 128), atol=1e-4)


def test_a_shift_along_frequency_moves_bands_and_masks_hide_some():
    shifted = [augment(seed, max_band_shift=1) for seed in range(8)]
    expected = [CLIP, np.concatenate([CLIP[:1], CLIP[:-1]]), np.concatenate([CLIP[1:], CLIP[-1:]])]
    found = [[bool((x == y).all()) for y in expected] for x in shifted]
    assert all(any(row) for row in found)
    assert any(row[1] or row[2] for row in found)
    for part, axis in (("time_masks", 0), ("band_masks", 1)):
        changed = in_order_of_time(augment(3, **{part: 2})) != in_order_of_time(CLIP)
        assert 0 < changed.all(axis=axis).sum() == changed.any(axis=axis).sum() <= 2 * (64, 16)[axis]


@pytest.mark.parametrize("mining", ["random", "semi_hard"])
def test_each_clip_of_a_batch_is_changed_by_another_amount(mining):
    museum = MuseumConfig(eras=ERAS, representation=Representation(statistics=Statistics((0.0,) * 128, (2.0,) * 128)))
    clips, indices, batches = gather(make_museum(0)), jnp.array([0, 4, 7, 11]), []
    for strengths in (ClipAugmentConfig(max_gain_db=6.0), ClipAugmentConfig()):
        task = EncoderTask(EncoderConfig(museum, triplets=TripletConfig(mining=mining), augment=strengths))
        batches.append(np.asarray(jax.jit(task.batch)(clips, indices, jax.random.key(1)).mel))
    change_db = 2 * (batches[0] - batches[1])
    assert len(np.unique(np.round(change_db.mean(axis=(-3, -2, -1)), 4))) == change_db[..., 0, 0, 0].size


def test_settings_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match=r"max_band_shift=128 must lie in \[0, 128\)"):
        ClipAugmentConfig(max_band_shift=128)
    with pytest.raises(ValueError, match="max_gain_db=nan and max_tilt_db=0.0 must be finite"):
        ClipAugmentConfig(max_gain_db=float("nan"))
    with pytest.raises(ValueError, match="scale='power' does not fit augment"):
        EncoderConfig(MuseumConfig(representation=Representation("power")), augment=ClipAugmentConfig(time_shift=True))
