"""Pictures of spectrograms: reading of folders, sizes, and drawing."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from specjax.cli.errors import UserError
from specjax.papers.melody import pictures
from specjax.papers.melody.representation import FRAMES, MELS
from specjax.papers.melody.tracks import MusicConfig

RNG = np.random.default_rng(0)


def write_picture(path, size=(432, 288), mode="RGBA"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def archive(tmp_path):
    """Folder in the layout of the public archive, and its pictures: five of blues and three of jazz."""
    names = [f"blues0000{i}" for i in range(5)] + [f"jazz0000{i}" for i in range(3)]
    folder = tmp_path / "images_original"
    return tmp_path, {name: write_picture(folder / name[:-5] / f"{name}.png") for name in names}


def test_pictures_are_read_and_divided_by_genre(archive):
    folder, pixels = archive
    config = pictures.resolve_genres(MusicConfig(source=str(folder)))
    assert config.genres == ("blues", "jazz")
    train, held_out = pictures.load_pictures(config)
    assert (train.pixels.shape, train.pixels.dtype) == ((2, 4, 288, 432, 4), np.uint8)
    assert (train.pictures.tolist(), held_out.pictures.tolist()) == ([4, 2], [1, 1])
    np.testing.assert_array_equal(train.pixels[0, 1], pixels["blues00001"])
    np.testing.assert_array_equal(train.pixels[1, 3], pixels["jazz00001"])  # repeated
    np.testing.assert_array_equal(held_out.pixels[:, 0], [pixels["blues00004"], pixels["jazz00002"]])


def test_lists_of_sounds_choose_their_pictures(archive, tmp_path):
    folder, pixels = archive
    (tmp_path / "list.txt").write_text("jazz.00000.wav\n")
    _, held_out = pictures.load_pictures(
        MusicConfig(source=str(folder), genres=("jazz",), held_out_list=str(tmp_path / "list.txt"))
    )
    np.testing.assert_array_equal(held_out.pixels[0, 0], pixels["jazz00000"])


def test_picture_without_alpha_is_opaque(tmp_path):
    for name in ("a", "b"):
        write_picture(tmp_path / "rock" / f"{name}.png", mode="RGB")
    train, _ = pictures.load_pictures(MusicConfig(source=str(tmp_path)))
    assert np.all(train.pixels[..., 3] == 255)


def test_unusable_pictures_raise(archive, tmp_path):
    folder, _ = archive
    config = MusicConfig(source=str(folder))
    with pytest.raises(UserError, match="missing does not exist: name a folder of PNG files"):
        pictures.load_pictures(MusicConfig(source=str(tmp_path / "missing")))
    with pytest.raises(UserError, match="has the genres blues, jazz, but not 'rock'"):
        pictures.load_pictures(MusicConfig(source=str(folder), genres=("rock",)))
    path = folder / "images_original" / "jazz" / "jazz00001.png"
    write_picture(path, (432, 300))
    with pytest.raises(UserError, match="jazz00001.png is 300 pixels high and 432 wide, expected 288 and 432"):
        pictures.load_pictures(config)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="jazz00001.png is not a readable image"):
        pictures.load_pictures(config)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(UserError, match="has no subfolders with PNG files"):
        pictures.load_pictures(MusicConfig(source=str(tmp_path / "texts")))


def test_values_and_pixels_convert_into_each_other():
    every = jnp.arange(256, dtype=jnp.uint8).reshape(64, 4)
    values = pictures.to_values(every)
    assert (float(values.min()), float(values.max())) == (-1.0, 1.0)
    np.testing.assert_array_equal(pictures.to_pixels(values), every)
    assert pictures.to_pixels(jnp.array([-1.5, 2.0])).tolist() == [0, 255]


def test_loud_bands_are_bright_and_low_bands_at_the_bottom():
    mel = np.full((MELS, FRAMES), 1e-9, np.float32)
    mel[:8, :100] = 2.0
    picture = pictures.draw_picture(mel).astype(int)
    assert picture.shape == (288, 432, 4)
    assert np.all(picture[..., 3] == 255)
    assert np.all(picture[[0, -1]] == 255)
    brightness = picture[35:253, 54:390, :3].sum(axis=2)
    assert brightness[-1, 0] > 600 > 100 > brightness[0, 0]
    assert brightness[-1, -1] < 100


def test_synthetic_pictures_need_no_folder():
    config = MusicConfig(synthetic_tracks=2, genres=pictures.resolve_genres(MusicConfig()).genres[:1])
    train, held_out = pictures.load_pictures(config)
    assert train.pixels.shape == held_out.pixels.shape == (1, 3, 288, 432, 4)
    assert train.pixels.std() > 10
