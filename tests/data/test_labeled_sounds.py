"""Sources of labeled sounds: class folders, and data sets of TensorFlow Datasets."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from specjax.cli.errors import UserError
from specjax.data.labeled_sounds import class_files, open_tfds

TONE = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)


class TestTfds:
    """Replaces tensorflow_datasets by a stub, since the real one would download the data."""

    @pytest.fixture
    def dataset(self, monkeypatch):
        """A data set `tones` of two sounds at 8 kHz: of 16-bit integers and of floats."""
        audio = np.round(TONE * 32767).astype(np.int64), TONE.astype(np.float32)
        examples = [{"audio": audio[0], "label": 1}, {"audio": audio[1], "label": 0}]
        features = {"audio": SimpleNamespace(sample_rate=8000), "label": SimpleNamespace(names=["dog", "cat"])}
        builder = SimpleNamespace(as_data_source=lambda split: examples, info=SimpleNamespace(features=features))

        def make_builder(name):
            if name != "tones":
                raise ValueError("no such set")
            return builder

        monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace(builder=make_builder))
        return features

    def test_integer_and_float_sounds_become_waves(self, dataset):
        opened = open_tfds("tfds:tones")
        assert [opened.class_name(example) for example in opened.examples] == ["cat", "dog"]
        for example in opened.examples:
            np.testing.assert_allclose(opened.wave(example, 8000), TONE, atol=1e-4)
            resampled = opened.wave(example, 16000)
            np.testing.assert_allclose(resampled[200:-200:2], TONE[100:-100], atol=2e-3)

    @pytest.mark.parametrize("name", ["tfds:nope", "tfds:tones"])
    def test_missing_set_and_set_without_sounds_raise(self, dataset, name):
        dataset.pop("audio")
        with pytest.raises(UserError, match=f"{name} cannot be read as labeled sounds .*: prepare it once"):
            open_tfds(name)


def test_class_files_are_listed_by_subfolder(tmp_path):
    for name in ("dog/b.wav", "dog/more/a.ogg", "cat/c.flac", ".hidden/d.wav", "e.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = {name: [path.name for path in paths] for name, paths in class_files(tmp_path).items()}
    assert files == {"cat": ["c.flac"], "dog": ["b.wav", "a.ogg"]}
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(UserError, match="empty contains no sound files"):
        class_files(tmp_path)
