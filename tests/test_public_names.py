"""Names meant for users: listed, importable and documented."""

from types import ModuleType

import numpy as np
import pytest
import soundfile

import specjax
from specjax import data, papers
from specjax.cli.errors import UserError

PACKAGES = [
    specjax,
    *(getattr(specjax, name) for name in specjax.__all__),
    *(getattr(specjax.papers, name) for name in specjax.papers.PAPERS),
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_are_found_by_tab_and_documented(package):
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        value = getattr(package, name)
        if callable(value) or isinstance(value, ModuleType):
            assert value.__doc__, f"{package.__name__}.{name} has no docstring"


def test_files_are_named_by_strings_and_by_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(8000) / 5), 8000)
    wave, sample_rate = data.read_audio(tmp_path / "tone.wav")
    assert sample_rate == 8000
    for name in (str(tmp_path / "tone.wav"), "~/tone.wav"):
        np.testing.assert_array_equal(data.read_audio(name)[0], wave)
        np.testing.assert_array_equal(data.read_clips([name], 8000, 100).waves[0], wave[:100])
    with pytest.raises(UserError, match="nowhere is neither a folder nor a bundle"):
        papers.open_bundle("nowhere")
