"""The clip of a genre that is shown as an example of real music."""

import numpy as np
import pytest
import soundfile

from specjax.cli.errors import UserError
from specjax.papers.melody.recordings import read_example
from specjax.papers.melody.representation import SAMPLE_RATE as RATE
from specjax.papers.melody.tracks import MusicConfig

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    """Tracks of pop: the first one is damaged, the second too short, the others last 11 s."""
    (tmp_path / "genres" / "pop").mkdir(parents=True)
    (tmp_path / "genres" / "pop" / "a.wav").write_bytes(b"RIFF")
    for name, seconds in (("b", 2), ("c", 11), ("d", 11)):
        wave = RNG.uniform(-0.5, 0.5, seconds * RATE)
        soundfile.write(tmp_path / "genres" / "pop" / f"{name}.wav", wave, RATE, subtype="FLOAT")
    return tmp_path


@pytest.mark.parametrize(("held_out", "shown"), [(None, "d"), ("a b c", "c"), ("d c", "c")])
def test_the_first_usable_held_out_track_is_shown(folder, held_out, shown):
    config = MusicConfig(source=str(folder / "genres"))
    if held_out:
        (folder / "list.txt").write_text(held_out.replace(" ", "\n"))
        config = MusicConfig(source=config.source, held_out_list=str(folder / "list.txt"))
    wave, _ = soundfile.read(folder / "genres" / "pop" / f"{shown}.wav", dtype="float32")
    np.testing.assert_allclose(read_example(config, "pop"), wave[: 10 * RATE], atol=1e-6)


def test_a_genre_without_usable_tracks_is_an_error(folder):
    (folder / "list.txt").write_text("a\nb")
    config = MusicConfig(source=str(folder / "genres"), held_out_list=str(folder / "list.txt"))
    with pytest.raises(UserError, match="no track of the genre 'pop' can be shown: .*a.wav"):
        read_example(config, "pop")
