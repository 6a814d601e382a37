"""Digits from every source: orientation, labels, the held-out split, and errors."""

import gzip
import itertools
import struct
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from specjax.cli.errors import UserError
from specjax.papers.chord import data
from specjax.papers.chord.data import DigitsConfig

RNG = np.random.default_rng(0)


def save_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def save_pair(folder, part, count, *, prefix="", suffix="", classes=10):
    """Save random images and labels as a pair of idx files; return both."""
    images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = RNG.integers(0, classes, count, dtype=np.uint8)
    save_idx(folder / f"{prefix}{part}-images-idx3-ubyte{suffix}", images)
    save_idx(folder / f"{prefix}{part}-labels-idx1-ubyte{suffix}", labels)
    return images, labels


def save_picture_folders(folder, labels=3, each=4):
    """Save pictures whose gray level encodes their label."""
    for label in range(labels):
        (folder / str(label)).mkdir()
        for i in range(each):
            level = np.full((28, 28), 50 * label + i, np.uint8)
            Image.fromarray(level).save(folder / str(label) / f"{i}.png")


def load(source, **options):
    return data.load(DigitsConfig(source=str(source), **options))


def assert_digits(result, images, labels):
    np.testing.assert_array_equal(result.image, images)
    np.testing.assert_array_equal(result.label, labels)
    assert result.image.dtype == np.uint8
    assert result.label.dtype == np.int32


class TestBuiltin:
    def test_last_tenth_is_held_out(self):
        train, test = data.load(DigitsConfig())
        assert (len(train.label), len(test.label)) == (1618, 179)
        assert set(train.label.tolist()) == set(test.label.tolist()) == set(range(10))

    def test_images_are_sklearn_digits_resized_to_20_pixels_with_black_margin(self):
        from sklearn.datasets import load_digits

        raw = load_digits()
        train, _ = data.load(DigitsConfig(held_out=0))
        source = jnp.asarray(raw.images[:20] / 16, jnp.float32)
        enlarged = np.clip(jax.image.resize(source, (20, 20, 20), "cubic", antialias=False), 0, 1) * 255
        np.testing.assert_allclose(train.image[:20, 4:24, 4:24], enlarged, atol=0.51)
        np.testing.assert_array_equal(train.label, raw.target)
        margin = train.image.copy()
        margin[:, 4:24, 4:24] = 0
        assert not margin.any()

    def test_ink_is_bright_on_dark(self):
        train, _ = data.load(DigitsConfig())
        assert train.image.max() == 255
        assert np.median(train.image) == 0

    def test_label_above_configured_labels_raises(self):
        with pytest.raises(UserError, match=r"label 5 is out of range 0 to 4: raise data\.labels"):
            data.load(DigitsConfig(labels=5))


class TestIdxFolder:
    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_test_split_is_held_out(self, tmp_path, suffix):
        train, test = (
            save_pair(tmp_path, "train", 12, suffix=suffix),
            save_pair(tmp_path, "t10k", 5, suffix=suffix),
        )
        result = load(tmp_path)
        assert_digits(result[0], *train)
        assert_digits(result[1], *test)

    def test_without_test_split_the_last_tenth_is_held_out(self, tmp_path):
        images, labels = save_pair(tmp_path, "train", 20)
        train, test = load(tmp_path)
        assert_digits(train, images[:18], labels[:18])
        assert_digits(test, images[18:], labels[18:])

    @pytest.mark.parametrize("held_out", [0, 1, 7, 19])
    def test_held_out_sets_the_number_of_held_out_examples(self, tmp_path, held_out):
        images, labels = save_pair(tmp_path, "train", 20)
        save_pair(tmp_path, "t10k", 5)
        train, test = load(tmp_path, held_out=held_out)
        assert_digits(train, images[: 20 - held_out], labels[: 20 - held_out])
        assert_digits(test, images[20 - held_out :], labels[20 - held_out :])

    def test_another_source_is_evaluated_on_its_test_split_or_on_all_with_a_warning(self, tmp_path, caplog):
        images, labels = save_pair(tmp_path, "train", 20)
        settings = DigitsConfig(held_out=7).for_evaluation(str(tmp_path))
        assert_digits(data.load(settings)[1], images, labels)
        (warning,) = caplog.messages
        assert "no test split: all its 20 examples are measured, which must not be those of the training" in warning
        test = save_pair(tmp_path, "t10k", 5)
        assert_digits(data.load(settings)[1], *test)
        assert caplog.messages == [warning]

    @pytest.mark.parametrize("held_out", [20, 21])
    def test_holding_out_all_examples_raises(self, tmp_path, held_out):
        save_pair(tmp_path, "train", 20)
        with pytest.raises(UserError, match=f"held_out={held_out} leaves nothing of 20"):
            load(tmp_path, held_out=held_out)

    def test_emnist_images_are_transposed_to_upright(self, tmp_path):
        train = save_pair(tmp_path, "train", 12, prefix="emnist-digits-", suffix=".gz")
        test = save_pair(tmp_path, "test", 4, prefix="emnist-digits-", suffix=".gz")
        for result, (images, labels) in zip(load(tmp_path), (train, test), strict=True):
            assert_digits(result, np.swapaxes(images, 1, 2), labels)
            assert result.image.flags.c_contiguous

    def test_labels_that_do_not_start_at_zero_are_mapped_in_order(self, tmp_path):
        """As in EMNIST's letters, labeled 1 to 26."""
        images, labels = save_pair(tmp_path, "train", 60, classes=4)
        save_idx(tmp_path / "train-labels-idx1-ubyte", labels + np.uint8(1))
        config = data.resolve(DigitsConfig(source=str(tmp_path), labels=4, held_out=0))
        assert config.classes == ("1", "2", "3", "4")
        assert_digits(data.load(config)[0], images, labels)

    def test_folders_named_like_the_files_and_hidden_files_are_ignored(self, tmp_path):
        train = save_pair(tmp_path, "train", 20)
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"train-{kind}-ubyte").rename(tmp_path / f"train-{kind.replace('-', '.')}-ubyte")
            (tmp_path / f"train-{kind}-ubyte").mkdir()
            (tmp_path / f"._train-{kind}-ubyte").write_bytes(b"junk")
        images, labels = (np.concatenate(part) for part in zip(*load(tmp_path), strict=True))
        assert_digits(data.Digits(images, labels), *train)

    def test_one_of_several_sets_is_chosen_by_its_file(self, tmp_path):
        letters = [save_pair(tmp_path, part, 12, prefix="emnist-letters-") for part in ("train", "test")]
        save_pair(tmp_path, "train", 9)
        names = "emnist-letters-train-images-idx3-ubyte, train-images-idx3-ubyte"
        with pytest.raises(UserError, match=f"has several data sets: name one of the files as data.source: {names}"):
            load(tmp_path)
        loaded = load(tmp_path / "emnist-letters-train-images-idx3-ubyte")
        for result, (images, labels) in zip(loaded, letters, strict=True):
            assert_digits(result, np.swapaxes(images, 1, 2), labels)
        (train, test) = load(tmp_path / "train-images-idx3-ubyte")
        assert (len(train.label), len(test.label)) == (9, 0)

    def test_missing_label_file_raises(self, tmp_path):
        save_pair(tmp_path, "train", 3)
        (tmp_path / "train-labels-idx1-ubyte").unlink()
        with pytest.raises(UserError, match="train-labels-idx1-ubyte: No such file"):
            load(tmp_path)

    def test_label_count_other_than_image_count_raises(self, tmp_path):
        save_pair(tmp_path, "train", 3)
        save_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(4, np.uint8))
        with pytest.raises(UserError, match=r"\(4,\) labels for 3 images"):
            load(tmp_path)

    def test_label_out_of_range_raises(self, tmp_path):
        save_pair(tmp_path, "train", 3)
        save_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 47, 1], np.uint8))
        with pytest.raises(UserError, match="label 47 is out of range 0 to 9"):
            load(tmp_path)
        train, _ = load(tmp_path, labels=62, held_out=0)
        np.testing.assert_array_equal(train.label, [0, 47, 1])

    def test_damaged_test_split_raises(self, tmp_path):
        save_pair(tmp_path, "train", 3)
        save_pair(tmp_path, "t10k", 3)
        path = tmp_path / "t10k-images-idx3-ubyte"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(UserError, match="t10k-images-idx3-ubyte is truncated"):
            load(tmp_path)

    def test_images_of_other_size_raise(self, tmp_path):
        save_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 32, 32), np.uint8))
        save_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
        with pytest.raises(UserError, match=r"\(32, 32\), expected 28 x 28"):
            load(tmp_path)

    def test_test_split_alone_raises(self, tmp_path):
        save_pair(tmp_path, "t10k", 3)
        with pytest.raises(UserError, match="no .*train-images"):
            load(tmp_path)

    def test_real_mnist(self, real_data):
        train, test = load(real_data / "mnist")
        assert (len(train.label), len(test.label)) == (54_000, 6_000)
        np.testing.assert_array_equal(train.label[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
        assert np.mean(train.image) == pytest.approx(33.3, abs=0.2)


class TestPictureFolders:
    def test_pictures_keep_their_labels(self, tmp_path):
        save_picture_folders(tmp_path)
        train, test = load(tmp_path)
        assert (len(train.label), len(test.label)) == (11, 1)
        images, labels = (np.concatenate(x) for x in zip(train, test, strict=True))
        np.testing.assert_array_equal(images[:, 0, 0] // 50, labels)
        np.testing.assert_array_equal(np.sort(images[:, 0, 0]), [50 * y + i for y in range(3) for i in range(4)])

    def test_order_is_shuffled_and_reproducible(self, tmp_path):
        save_picture_folders(tmp_path)
        train, test = load(tmp_path, held_out=6)
        again = load(tmp_path, held_out=6)
        assert len(set(test.label.tolist())) > 1
        assert_digits(again[0], *train)
        assert_digits(again[1], *test)

    def test_other_files_are_ignored(self, tmp_path):
        save_picture_folders(tmp_path)
        (tmp_path / "README").write_text("hello")
        (tmp_path / "0" / "notes.txt").write_text("hello")
        train, _ = load(tmp_path, held_out=0)
        assert len(train.label) == 12

    @pytest.mark.parametrize("name", ["cat", "-1", "1.5"])
    def test_folder_not_named_by_a_label_raises(self, tmp_path, name):
        save_picture_folders(tmp_path)
        (tmp_path / "0").rename(tmp_path / name)
        with pytest.raises(UserError, match=f"the class '{name}' is unknown, expected a label 0 to 9"):
            load(tmp_path)

    def test_classes_of_any_name_get_labels_in_order(self, tmp_path):
        save_picture_folders(tmp_path)
        for label, name in enumerate(("dog", "cat", "12")):
            (tmp_path / str(label)).rename(tmp_path / name)
        config = data.resolve(DigitsConfig(source=str(tmp_path), labels=3, held_out=0))
        assert config.classes == ("12", "cat", "dog")
        train, _ = data.load(config)
        np.testing.assert_array_equal(2 - train.image[:, 0, 0] // 50, train.label)
        for labels, classes in itertools.product((2, 10), ((), config.classes)):
            with pytest.raises(UserError, match=r"3 classes, 12, cat, dog, .*set data\.labels and model\.labels to 3"):
                data.resolve(DigitsConfig(source=str(tmp_path), labels=labels, classes=classes))
        (tmp_path / "cat").rename(tmp_path / "cow")
        with pytest.raises(UserError, match="the class 'cow' is unknown, expected 12, cat, dog"):
            data.load(config)

    def test_numbers_below_labels_are_the_labels_themselves(self, tmp_path):
        save_picture_folders(tmp_path)
        (tmp_path / "0").rename(tmp_path / "7")
        config = DigitsConfig(source=str(tmp_path), held_out=0)
        assert data.resolve(config) == config
        assert set(data.load(config)[0].label.tolist()) == {1, 2, 7}

    def test_pictures_of_any_size_are_fitted_on_demand(self, tmp_path):
        """Without this, pictures of ink on paper are an error."""
        save_picture_folders(tmp_path, labels=1, each=1)
        for side in (280, 28):
            paper = np.full((side, side), 255, np.uint8)
            paper[side // 4 : -side // 4, side // 2 : side // 2 + side // 10] = 0
            Image.fromarray(paper).save(tmp_path / "0" / "0.png")
            message = "expected 28 x 28 .*data.fit=true" if side == 280 else "bright background, .*data.fit=true"
            with pytest.raises(UserError, match=message):
                load(tmp_path, held_out=0)
            train, _ = load(tmp_path, held_out=0, fit=True)
            np.testing.assert_array_equal(np.flatnonzero(train.image[0].any(axis=1)), np.arange(4, 24))

    def test_folder_named_by_label_out_of_range_raises(self, tmp_path):
        save_picture_folders(tmp_path)
        (tmp_path / "0").rename(tmp_path / "10")
        with pytest.raises(UserError, match="label 10 is out of range"):
            load(tmp_path)

    def test_error_names_unreadable_picture(self, tmp_path):
        save_picture_folders(tmp_path)
        (tmp_path / "1" / "bad.png").write_text("no picture")
        with pytest.raises(UserError, match=r"1/bad\.png is not a readable image"):
            load(tmp_path)

    def test_error_names_picture_of_other_size(self, tmp_path):
        save_picture_folders(tmp_path)
        Image.fromarray(np.zeros((32, 30), np.uint8)).save(tmp_path / "2" / "big.png")
        with pytest.raises(UserError, match=r"2/big\.png: images of shape \(32, 30\)"):
            load(tmp_path)

    def test_folder_without_digits_raises(self, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(UserError, match="has neither idx files nor folders of pictures"):
            load(tmp_path)


def test_empty_folder_raises(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        load(tmp_path)


def test_missing_folder_raises(tmp_path):
    with pytest.raises(UserError, match="does not exist: name a folder"):
        load(tmp_path / "gone")


def test_file_instead_of_folder_raises(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is not a folder"):
        load(tmp_path / "file")


@pytest.mark.parametrize("options", [{"labels": 0}, {"held_out": -2}])
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DigitsConfig(**options)


class TestTfds:
    """Replaces tensorflow_datasets by a stub, since the real one would download the data."""

    @pytest.fixture
    def sets(self, monkeypatch):
        sets = {
            split: [{"image": RNG.integers(0, 256, (28, 28, 1), dtype=np.uint8), "label": i % 10} for i in range(n)]
            for split, n in (("train", 6), ("test", 3))
        }
        stub = SimpleNamespace(data_source=lambda name, split: sets[split])
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", stub)
        return sets

    @pytest.mark.parametrize("source", ["digits", "tfds:mnist"])
    def test_numbers_are_mapped_to_the_classes_of_a_trained_model_or_raise(self, sets, source):
        numbers = data.load(DigitsConfig(source))[1].label
        reversed_labels = data.load(DigitsConfig(source, classes=tuple("9876543210")))[1].label
        np.testing.assert_array_equal(reversed_labels, 9 - numbers)
        with pytest.raises(UserError, match="the class '0' is unknown, expected a, b: .* or name other data"):
            data.load(DigitsConfig(labels=2, classes=("a", "b")).for_evaluation(source))

    @pytest.mark.parametrize(("name", "upright"), [("mnist", lambda x: x), ("emnist/digits", lambda x: x.T)])
    def test_both_splits_are_read_and_emnist_is_transposed(self, sets, name, upright):
        for result, split in zip(load(f"tfds:{name}"), ("train", "test"), strict=True):
            images = np.stack([upright(example["image"][..., 0]) for example in sets[split]])
            assert_digits(result, images, [example["label"] for example in sets[split]])

    def test_missing_data_set_raises_with_a_remedy(self, monkeypatch):
        def missing(name, split):
            raise ValueError("no such set")

        monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace(data_source=missing))
        with pytest.raises(UserError, match=r"tfds:nope cannot be read \(ValueError: no such set\): prepare it"):
            load("tfds:nope")

    def test_images_of_other_shape_raise(self, sets):
        sets["train"][0]["image"] = sets["train"][1]["image"] = np.zeros((28, 28, 1), np.uint8)
        sets["test"] = [{"image": np.zeros((32, 32, 3), np.uint8), "label": 0}]
        with pytest.raises(UserError, match=r"tfds:cifar10: images of shape \(32, 32, 3\)"):
            load("tfds:cifar10")
