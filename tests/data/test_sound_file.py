"""Sound files that are read in blocks."""

import numpy as np
import soundfile

from specjax.data import audio
from specjax.data.sound_file import SoundFile


def test_sound_file_is_resampled_block_by_block(tmp_path):
    wave = 0.1 * np.random.default_rng(0).standard_normal(600_000).astype(np.float32)
    soundfile.write(tmp_path / "style.wav", wave, 44100, subtype="FLOAT")
    file = SoundFile(tmp_path / "style.wav", 22050)
    blocks = list(file)
    assert len(blocks) > 2
    whole = audio.resample(wave, 44100, 22050)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-4)
    assert sum(len(block) for block in file) == len(whole)
